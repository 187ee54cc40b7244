"""Where a case's weights and reference picture come from, decided once per run, before torch is imported.

The controller asks first, so that a download shows its progress on the terminal and the header can say what was found.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from vitgate.cases import Case, OwnCase
from vitgate.data import fixtures_folder
from vitgate.errors import UsageError
from vitgate.evidence import Evidence
from vitgate.inputs.images import embedded_picture, own_reference, reference_picture
from vitgate.inputs.pictures import read_standin
from vitgate.inputs.weights import Checkpoint, choose_source, WeightsSource


def weights_source(case: Case, request: str) -> Evidence:
    """Return kind, path and note of the weights; MachineError for a checkpoint that was asked for and cannot be had."""
    if isinstance(case, OwnCase) and request == "own":
        source = _own(case)
    elif request == "trained":
        assert case.trained is not None
        source = WeightsSource("trained", case.folder / case.trained, "trained weights, committed with the suite")
    else:
        row = case.checkpoint
        checkpoint = Checkpoint(row.url, row.sha256, file=row.file) if row else None
        source = choose_source(request, checkpoint, case.standin is not None)
    return Evidence({"kind": source.kind, "path": str(source.path) if source.path else None, "note": source.note})


def _own(case: OwnCase) -> WeightsSource:
    if case.weights is None:
        return WeightsSource("own", None, f"own weights, as {case.build} gives them")
    path = case.folder / case.weights
    if not path.is_file():
        raise UsageError(f"the weights of {case.id} are no file", where=path, do="mend the file of cases")
    return WeightsSource("own", path, f"own weights from {path}")


def source_from(evidence: Evidence) -> WeightsSource:
    """Rebuild the choice that `weights_source` stored."""
    path = evidence.values["path"]
    return WeightsSource(evidence.values["kind"], Path(path) if path else None, evidence.values["note"])


def picture_source(case: Case, assets: str | None, weights: str) -> Evidence:
    """Return path, source, sha256 and note of the reference picture; a case with pictures of its own needs none.

    `weights` is the kind of the case's weights.
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
    return Evidence({**asdict(found), "path": str(found.path)})
