"""Where a case's weights and reference picture come from, decided once per run, before torch is imported.

The controller asks first, so that a download shows its progress on the terminal and the header can say what was found.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.hub import hub_weights
from vitgate.inputs.picture_files import embedded_picture, further_picture, own_reference, reference_picture
from vitgate.inputs.pictures import read_standin
from vitgate.inputs.weights import cached_checkpoint, Checkpoint, choose_source, WeightsSource
from vitgate.spec.cases import Case, OwnCase
from vitgate.spec.outcome import Evidence


def weights_source(case: Case, request: str) -> Evidence:
    """Return kind, path and note of the weights; MachineError for a checkpoint that was asked for and cannot be had."""
    if isinstance(case, OwnCase) and request == "own":
        source = _own(case)
    elif request == "hub":
        source = _hub(case)
    elif request == "trained":
        assert case.trained is not None
        source = WeightsSource("trained", case.folder / case.trained, "trained weights, committed with the suite")
    else:
        source = choose_source(request, _checkpoint(case), case.standin is not None)
    paths = {
        name: str(path) if path else None for name, path in (("path", source.path), ("published", source.published))
    }
    return Evidence({"kind": source.kind, **paths, "note": source.note})


def _checkpoint(case: Case) -> Checkpoint | None:
    row = case.checkpoint
    return Checkpoint(row.url, row.sha256, file=row.file) if row else None


def _hub(case: Case) -> WeightsSource:
    """Let the authors' own code load the weights: the one place where code from the network runs, and only as asked."""
    row, checkpoint = case.hub, _checkpoint(case)
    if row is None:
        do = "name another case, or other weights"
        raise UsageError(f"no repository of torch.hub is known for {case.id}", where="--weights hub", do=do)
    path = hub_weights(row)
    published = cached_checkpoint(checkpoint) if checkpoint else None
    note = f"weights as {row.repository} at commit {row.commit[:7]} loads them"
    note += ", equal to the published checkpoint" if published else ""
    return WeightsSource("pretrained", path, note, published)


def _own(case: OwnCase) -> WeightsSource:
    if case.weights is None:
        return WeightsSource("own", None, f"own weights, as {case.build} gives them")
    path = case.folder / case.weights
    if not path.is_file():
        raise UsageError(f"the weights of {case.id} are not a file", where=path, do="mend the file of cases")
    return WeightsSource("own", path, f"own weights from {path}")


def source_from(evidence: Evidence) -> WeightsSource:
    """Rebuild the choice that `weights_source` stored."""
    path, published = (Path(name) if (name := evidence.values[key]) else None for key in ("path", "published"))
    return WeightsSource(evidence.values["kind"], path, evidence.values["note"], published)


def picture_source(case: Case, assets: str | None, weights: str) -> Evidence:
    """Return where the reference picture is; a case with pictures of its own needs none.

    Args:
        case: Whose picture.
        assets: A folder of the user's that may hold it.
        weights: The kind of the case's weights: they decide which pictures have a known label.

    Returns:
        `path`, `source`, `sha256` and `note`; `further` are name, path and label of the case's further pictures, which
        the published weights alone are known to name right.

    Raises:
        UsageError: The asset folder does not exist, or its file of the picture's name is another, or no picture.
        MachineError: Not even the embedded picture can be read.
    """
    if isinstance(case, OwnCase):
        return Evidence({"path": "", "source": "own", "sha256": "", "note": f"own pictures, {len(case.picture)}"})
    if case.preprocessing == "digits":
        note = "held-out scans, committed with the suite"
        return Evidence({"path": "", "source": "embedded", "sha256": "", "note": note})
    embedded = fixtures_folder() / read_standin(case).fallback_reference
    folder = Path(assets) if assets else None
    if case.reference is None:
        found = reference_picture(folder, embedded=embedded)
    elif weights == "standin":  # whose head knows the sketch alone
        found = embedded_picture(embedded, "since the stand-in weights know its label alone")
    else:
        found = own_reference(folder, case.reference.file, embedded=embedded)
    further, notes = _further(case, folder) if weights == "pretrained" else ([], [])
    note = "; ".join([found.note, *notes])
    return Evidence({**asdict(found), "path": str(found.path), "note": note, "further": further})


def _further(case: Case, folder: Path | None) -> tuple[list[dict[str, object]], list[str]]:
    """Return the further pictures that can be had, and a note about each one."""
    rows: list[dict[str, object]] = []
    notes = []
    for row in case.further:
        found = further_picture(folder, row.file, row.url)
        if isinstance(found, str):
            notes.append(f"the picture of the {row.name} was left out, because {found}")
            continue
        rows.append({"name": row.name, "path": str(found.path), "label": row.label})
        notes.append(f"{found.note}, sha256 {found.sha256}, must be called {row.label}, {row.name}")
    return rows, notes
