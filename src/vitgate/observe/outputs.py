"""The logits that variants give: of the case's pictures, of made-up ones, and of files that were made elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitgate.files.errors import UsageError
from vitgate.files.hashing import digest, key_of
from vitgate.inputs.field_files import located, OWN, read_field, seen
from vitgate.judge.metrics import by_class
from vitgate.observe.artifacts import artifact, output_of, variant_of
from vitgate.observe.environment import environment
from vitgate.observe.inputs import pictures, weights
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.store import pack, unpack
from vitgate.spec.cases import OwnCase, read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.engines import engine_named
from vitgate.spec.outcome import ClaimFailed, Evidence, Outcome
from vitgate.spec.processors import limits

if TYPE_CHECKING:
    import torch

    from vitgate.judge.metrics import Array
    from vitgate.observe.runtimes import Runnable

_BUILD = ("torch", "commit", "configuration_digest", "cpu", "cpu_capability")
_CODE = tuple(Path(__file__).parents[1] / room for room in ("observe", "expected", "pipeline", "inputs"))


@observation()
def outputs(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `logits` float32 [N, classes] of each picture alone, `again` [1, classes], and `heldout_logits`.

    `again` is the first picture once more after all others: a variant with a memory gives something else.
    """
    from vitgate.pipeline.stages import engine_set

    with engine_set(cell.engine):
        run = variant_of(observer, cell)
        found, key = cached(observer, "outputs", cell, lambda: _observed(observer, cell, run))
        if cell.variant == "original" and isinstance(read_cases()[cell.case], OwnCase):
            _check_labels(observer, cell.case, found.arrays["logits"])
        if not key:
            return found
        first = logits_one_by_one(observer, cell, run, observer.get(pictures, cell.case).arrays["x"][:1])
        if np.array_equal(first, found.arrays["logits"][:1]):
            return found
        observer.cache.drop(key)  # this machine computes something else now: what was cached proves nothing
        return _observed(observer, cell, run)


@observation()
def anchor(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `logits` float32 [N, classes] of the made-up pictures of `vitgate.inputs.pictures`."""
    import torch

    from vitgate.inputs.pictures import made_up_pictures
    from vitgate.pipeline.stages import engine_set

    x = torch.from_numpy(made_up_pictures(read_cases()[cell.case]))
    with engine_set(cell.engine):
        return Evidence(arrays={"logits": logits_of(variant_of(observer, cell), x)})


@observation(name_of=lambda claim, folder, row: f"{claim}-{row}")
def field(observer: LocalObserver, claim: str, folder: str, row: str) -> Evidence:  # noqa: ARG001  # in its name
    """Return `logits` and `again`, as `outputs` does, of a file from elsewhere on its own inputs.

    Where nobody names the inputs they are made up and returned as `x`, of the shape that the file's own signature says,
    or else that of a picture.

    Args:
        observer: Unpacks the file into its session.
        claim: `field` or `artifacts`: part of the evidence's name alone.
        folder: The field folder.
        row: The file's id in it.

    Raises:
        ClaimFailed: The file cannot be loaded or run.
    """
    import torch

    from vitgate.observe import runtimes
    from vitgate.pipeline.stages import engine_set

    observer.get(environment)
    item = next(item for item in read_field(Path(folder)) if item.row.id == row)
    with engine_set(item.row.engine or engine_named(torch.backends.quantized.engine)):
        output = output_of(observer, item.row.case, item.row.runtime) if item.row.case else None
        run = runtimes.load_foreign(item.row.runtime, str(located(item, Path(observer.plan.session))), output)
        inputs = seen(item, run.shape)
        x = [torch.from_numpy(picture[None]) for picture in inputs.x]
        try:
            logits = np.concatenate([logits_of(run, picture) for picture in x])
        except ClaimFailed as failure:
            if not inputs.assumed or run.shape:
                raise
            raise ClaimFailed(_guessed(failure.outcome, x[0], run.likely_shape())) from None
        made_up = {"x": inputs.x} if inputs.assumed else {}
        return Evidence(arrays={"logits": logits, "again": logits_of(run, x[0]), **made_up})


def _guessed(outcome: Outcome, x: torch.Tensor, likely: tuple[int, ...]) -> Outcome:
    """Return the outcome of a call with a shape that nobody named, with what to name."""
    do = f"name it as `input` in {OWN}" + (f", likely {list(likely)}" if likely else "")
    said = f"{outcome.message} (nobody named the input's shape, so {list(x.shape)} was given: {do})"
    return replace(outcome, message=said)


def _observed(observer: LocalObserver, cell: CellId, run: Runnable) -> Evidence:
    given = observer.get(pictures, cell.case).arrays
    arrays = {"logits": logits_one_by_one(observer, cell, run, given["x"])}
    arrays["again"] = logits_one_by_one(observer, cell, run, given["x"][:1])  # the same memory: shows who wrote into it
    if "heldout_x" in given:
        arrays["heldout_logits"] = logits_one_by_one(observer, cell, run, given["heldout_x"])
    return Evidence(arrays=arrays)


def _check_labels(observer: LocalObserver, case: str, logits: Array) -> None:
    """UsageError for a label that the model has no logit for."""
    given, kind = observer.get(pictures, case), read_cases()[case].returns.kind
    decided = [label for labels, _ in given.values.get("decisions", ()) for label in labels]
    most = max([*decided, *given.arrays["labels"].tolist()])
    classes = (logits if kind == "multilabel" else by_class(logits)).shape[1]
    if most >= classes and kind != "embedding":
        what = f"label {most} is beyond the model's {classes} classes"
        raise UsageError(what, where=f"case {case}", do=f"give its pictures labels from 0 to {classes - 1}")


def logits_one_by_one(observer: LocalObserver, cell: CellId, run: Runnable, x: Array) -> Array:
    """Run the pictures one by one, as users do: a batch would share its activations' scales.

    Args:
        observer: Counts the calls of the cell.
        cell: The variant.
        run: The same, loaded.
        x: float32 [N, C, H, W].

    Returns:
        Logits, float32 [N, classes].
    """
    import torch

    observer.pool.calls[cell.evidence_name] += len(x)
    logits: Array = np.concatenate([logits_of(run, torch.from_numpy(picture[None])) for picture in x])
    return logits


def logits_of(run: Runnable, x: torch.Tensor) -> Array:
    """Return the logits of a batch, float32 [N, classes], whatever real dtype the model gives them in.

    ClaimFailed (`failed at run`) if the model returns no matrix; whether it is of the right size is judged.
    """
    import torch

    found: object = run(x)
    if not isinstance(found, torch.Tensor):
        raise _not_logits(f"a {type(found).__name__}")
    plain = found.dequantize() if found.is_quantized else found.detach()
    if plain.dim() != 2 or plain.is_complex():
        raise _not_logits(f"{plain.dtype} {list(plain.shape)} for an input {list(x.shape)}")
    logits: Array = plain.to(torch.float32).cpu().numpy()
    return logits


def _not_logits(what: str) -> ClaimFailed:
    message = f"the model returned {what}: return one tensor of logits of shape [N, classes]"
    return ClaimFailed(Outcome("failed at", "run", "TypeError", message))


def cached(observer: LocalObserver, kind: str, cell: CellId, make: Callable[[], Evidence]) -> tuple[Evidence, str]:
    """Return evidence about a file, from the artifact cache where that outlives the session.

    Args:
        observer: Has the cache, and what decides the key.
        kind: What the evidence is called in the cache.
        cell: The file's.
        make: Makes it where the cache does not have it.

    Returns:
        The evidence, and its key where an earlier session made it; otherwise an empty one.
    """
    if Path(observer.plan.artifacts).is_relative_to(observer.plan.session):
        return make(), ""
    key = _key(observer, kind, cell)
    fresh: list[Evidence] = []

    def write(path: Path) -> None:
        fresh.append(make())
        pack(fresh[0], path)

    entry = observer.cache.get(key, f"{kind}.npz", write)
    return (fresh[0], "") if fresh else (unpack(Path(entry.path)), key)


def _key(observer: LocalObserver, kind: str, cell: CellId) -> str:
    """Return a key that changes with everything that decides the outputs, or the content, of a variant's file."""
    build = observer.get(environment).values
    code = sorted(path for folder in _CODE for path in folder.glob("*.py"))
    return key_of(
        {
            **{name: build[name] for name in _BUILD},
            "limits": limits(),
            "kind": kind,
            "cell": cell.evidence_name,
            "output": str(read_cases()[cell.case].returns),
            "file": observer.get(artifact, cell).demand().values["digest"] if cell.form.file else "",
            "weights": observer.get(weights, cell.case).values["digest"],
            "pictures": digest(observer.get(pictures, cell.case).arrays["x"].tobytes()),
            "code": digest(b"".join(path.read_bytes() for path in code)),
        }
    )
