"""What a model's Linears and operators give, and what its int8 logits should be, by the reference arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from vitgate.files.hashing import digest
from vitgate.observe.artifacts import model_of, path_of, variant_of
from vitgate.observe.inputs import calibration, pictures
from vitgate.observe.observer import LocalObserver, observation
from vitgate.observe.outputs import cached, logits_one_by_one
from vitgate.observe.saved_weights import linears_of
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, SchemeName
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.outcome import Evidence
from vitgate.spec.variants import SUCCESSORS

if TYPE_CHECKING:
    from vitgate.expected.layers import FileLayer
    from vitgate.judge.metrics import Array

FEWEST_LOGITS = 100
"""How many logits an error is measured by at the least, where there are as many: its size has a spread of its own."""

_PICTURES = 5  # and at least as many; the reference costs more than a call of the model


def of_scheme(case: str, name: SchemeName) -> str:
    """Return the name of evidence about a case and a reference arithmetic."""
    return f"{case}-{name.replace(' ', '-')}"


@observation(name_of=of_scheme)
def expected_logits(observer: LocalObserver, case: str, name: SchemeName) -> Evidence:
    """Return the logits that int8 should give by a reference arithmetic.

    Args:
        observer: Gives the original and the pictures.
        case: Its id.
        name: Of the arithmetic.

    Returns:
        `logits` float32 [n, classes] of the first n pictures, `FEWEST_LOGITS` numbers at least where there are as many;
        `heldout_logits` of all held-out pictures of a case that has some.
    """
    original = CellId(case, NO_ENGINE, "original")
    return cached(observer, kind_of(observer, case, name), original, lambda: _expected(observer, case, name))[0]


def kind_of(observer: LocalObserver, case: str, name: SchemeName) -> str:
    """Return what a reference arithmetic's logits are called in the cache: a static one's by its calibration too.

    Args:
        observer: Gives the calibration pictures.
        case: Its id.
        name: Of the arithmetic.
    """
    from vitgate.expected.names import scheme_named
    from vitgate.expected.static import StaticInt8

    if not isinstance(scheme_named(name), StaticInt8):
        return f"expected-{name}"
    return f"expected-{name}-{digest(observer.get(calibration, case).arrays['x'].tobytes())[:16]}"


def reference(observer: LocalObserver, case: str, name: SchemeName, batch: int = 1) -> Callable[[Array], Array]:
    """Return what computes logits float32 [N, classes] of pictures float32 [N, C, H, W] by a reference arithmetic.

    Args:
        observer: Gives the original.
        case: Its id.
        name: Of the arithmetic.
        batch: How many pictures go into one call.
    """
    import torch

    from vitgate.expected.logits import expected_logits as compute
    from vitgate.expected.names import scheme_named
    from vitgate.expected.static import StaticInt8

    model, taken, scheme = model_of(observer, case), read_cases()[case].returns.taken, scheme_named(name)
    fixed = torch.from_numpy(observer.get(calibration, case).arrays["x"]) if isinstance(scheme, StaticInt8) else None

    def run(x: Array) -> Array:
        return compute(model, scheme, torch.from_numpy(x), taken, batch=batch, calibration=fixed).numpy()

    return run


def _expected(observer: LocalObserver, case: str, name: SchemeName) -> Evidence:
    from vitgate.pipeline.stages import stage

    given, run = observer.get(pictures, case).arrays, reference(observer, case, name)
    with stage("run"):
        arrays = {"logits": enough(run, given["x"])}
        if "heldout_x" in given:
            arrays["heldout_logits"] = run(given["heldout_x"])
        return Evidence(arrays=arrays)


def enough(run: Callable[[Array], Array], x: Array) -> Array:
    """Return the logits [n, classes] of as many of the pictures [N, C, H, W] as the size of an error takes."""
    found = run(x[:_PICTURES])
    more = x[_PICTURES : -(-FEWEST_LOGITS // max(1, found.shape[1]))]
    return np.concatenate([found, run(more)]) if len(more) else found


@observation()
def few_outputs(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `logits` float32 [n, classes] of the first pictures, as many as `expected_logits` has."""
    from vitgate.pipeline.stages import engine_set

    def run(x: Array) -> Array:
        return logits_one_by_one(observer, cell, variant_of(observer, cell), x)

    with engine_set(cell.engine):
        return Evidence(arrays={"logits": enough(run, observer.get(pictures, cell.case).arrays["x"])})


@observation()
def kernels(observer: LocalObserver, case: str) -> Evidence:
    """Return `kernels`: for each operator of the original a `vitgate.expected.kernels.KernelError` as values."""
    return cached(observer, "kernels", CellId(case, NO_ENGINE, "original"), lambda: _kernels(observer, case))[0]


def _kernels(observer: LocalObserver, case: str) -> Evidence:
    import torch

    from vitgate.expected.kernels import kernel_errors
    from vitgate.pipeline.stages import stage

    x = torch.from_numpy(observer.get(pictures, case).arrays["x"][:1])
    model = model_of(observer, case)
    with stage("run"):
        return Evidence({"kernels": [asdict(each) for each in kernel_errors(model, x)]})


@observation()
def layers(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `layers`: for each Linear of the file a `vitgate.expected.layers.LayerError` as values."""
    return cached(observer, "layers", cell, lambda: _layers(observer, cell))[0]


def _layers(observer: LocalObserver, cell: CellId) -> Evidence:
    import torch

    from vitgate.expected.layers import layer_errors
    from vitgate.expected.names import LINEAR_SCHEMES
    from vitgate.pipeline.free_memory import release_free_memory
    from vitgate.pipeline.stages import engine_set, stage

    model, own = model_of(observer, cell.case), file_layers(observer, cell)
    x = torch.from_numpy(observer.get(pictures, cell.case).arrays["x"][:1])
    key = f"{cell.case} {cell.scheme}"
    if cell.scheme and observer.pool.references[0] != key:
        observer.pool.references = (key, {})
    scheme = LINEAR_SCHEMES[cell.scheme or "8 bits"]  # of a float file none is asked
    with engine_set(cell.engine), stage("run"):
        found = layer_errors(model, x, own, scheme, observer.pool.references[1])
    observer.pool.linears = ("", {})  # nothing more is asked about them
    del own
    release_free_memory(path_of(observer, cell))
    return Evidence({"layers": [asdict(each) for each in found]})


def file_layers(observer: LocalObserver, cell: CellId) -> dict[str, FileLayer]:
    """Return the Linears of the cell's file by the names that the model has for them."""
    from vitgate.expected.layers import FileLayer

    if cell.variant in SUCCESSORS:
        from torch import nn

        from vitgate.observe.successor_layers import successor_layers
        from vitgate.pipeline.stages import stage

        path, model = path_of(observer, cell), model_of(observer, cell.case)
        with stage("read_weights"):
            linears = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
            return successor_layers(path, cell.form.runtime, linears)
    return {
        name: FileLayer(layer.call, layer.weight, layer.weight.is_quantized)
        for name, layer in linears_of(observer, cell).items()
        if layer is not None and layer.call is not None
    }
