"""What a fault is, and the list of all.

The decorator says what must turn red: claims, and for each the variants (or subjects) about which it is made. `may`
names claims that can turn red as well, where numbers decide and differ between releases. Everything else must stay as
in the clean run. Variants that this PyTorch cannot build are left out of what must turn red, unless the fault is found
there too (`everywhere`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vitgate.spec.engines import Engine
from vitgate.spec.variants import VariantName

from ..scene import Scene

ALL: tuple[VariantName, ...] = ("original", "scripted", "scripted_quantized", "optimized", "lite", "lite_frozen")
FILES = ALL[1:]
INT8 = ALL[2:]
LITE = ("lite", "lite_frozen")
MADE_FROM_INT8 = ("optimized", "lite", "lite_frozen")
TABLE = ("{case}-{engine}",)

Reds = Mapping[str, tuple[str, ...]]
Inject = Callable[[Scene], None]


@dataclass(frozen=True)
class Fault:
    """One injected fault. `reds`: claim to the variants, or the subjects where it is not about cells, that turn red.

    `says` must stand in the message of a claim that turns red; `stage` is the one at which a claim must say to have
    failed, `step` the step of the preprocessing that `inputs` or `image_processor` must name; `full_size` marks what
    could depend on the model's size, so that it can be run with DeiT-Base too.
    """

    id: str
    what: str
    inject: Inject
    reds: Reds
    may: tuple[str, ...] = ()
    says: str = ""
    stage: str = ""
    step: str = ""
    everywhere: bool = False
    full_size: bool = False
    engine: Engine = "fbgemm"


_CATALOGUE: list[Fault] = []


def catalogue() -> tuple[Fault, ...]:
    """Return all faults."""
    return tuple(_CATALOGUE)


def fault(
    may: tuple[str, ...] = (),
    says: str = "",
    stage: str = "",
    step: str = "",
    everywhere: bool = False,
    full_size: bool = False,
    engine: Engine = "fbgemm",
    **reds: tuple[str, ...],
) -> Callable[[Inject], Inject]:
    """Add the decorated function to the catalogue; its docstring says what went wrong."""

    def add(inject: Inject) -> Inject:
        what = (inject.__doc__ or "").strip()
        row = Fault(inject.__name__, what, inject, reds, may, says, stage, step, everywhere, full_size, engine)
        _CATALOGUE.append(row)
        return inject

    return add
