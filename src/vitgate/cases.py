"""What is deployed: the cases of `fixtures/cases.toml`, and the cells (case × engine × variant) that they span."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vitgate.data import fixtures_folder, InnerPath, read_model, Strict, unique
from vitgate.engines import Engine
from vitgate.errors import UsageError
from vitgate.variants import Variant, VariantName, VARIANTS


class CheckpointRow(Strict):
    """Where the published weights are: address, and the first digits of the sha256 (as the file name carries them)."""

    url: str = Field(pattern=r"^https?://[^\s/?#\[\]]+/([^\s?#]*/)?[A-Za-z0-9_\-][A-Za-z0-9_.\-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{8,64}$")


class Case(Strict):
    """One deployed model.

    `model` is a name of timm's registry, or `VisionTransformer` for a model built from `arguments` alone.
    `trained` names committed weights (safetensors) that are the real ones; `standin` the head of the generated ones.
    `arithmetic` is what the graph of the model computes, in the words of `vitgate.run.arithmetic`.
    `anchor` names the float model's logits of made-up pictures, for the weights that are `trained` or stand in.
    `heldout` names the labelled pictures of the accuracy claim (npz: images uint8 [N, H, W], labels uint8 [N]).
    """

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    model: str = Field(pattern=r"^[A-Za-z0-9_.]+$")  # no address: timm would load what it leads to
    arguments: dict[str, Any] = {}
    input: tuple[int, int, int]
    files: str = Field(pattern=r"^[A-Za-z0-9_\-]+$")
    arithmetic: dict[str, int]
    anchor: InnerPath
    preprocessing: Literal["tutorial", "digits"]
    checkpoint: CheckpointRow | None = None
    standin: InnerPath | None = None
    trained: InnerPath | None = None
    heldout: InnerPath | None = None


class CaseFile(Strict):
    """The whole of `cases.toml`."""

    case: list[Case]


@dataclass(frozen=True)
class Cell:
    """One case under one engine in one variant; `str(cell)` is its test id."""

    case: str
    engine: Engine
    variant: VariantName

    def __str__(self) -> str:
        """Return the exact test id, `case-engine-variant`."""
        return f"{self.case}-{self.engine}-{self.variant}"

    @property
    def evidence_name(self) -> str:
        """The name under which evidence is kept: float variants are the same under every engine."""
        return str(self) if self.form.quantized else f"{self.case}-{self.variant}"

    @property
    def form(self) -> Variant:
        """The row of the variant table."""
        return VARIANTS[self.variant]

    def at(self, variant: VariantName) -> Cell:
        """Return the cell of the same case and engine at another variant."""
        return Cell(self.case, self.engine, variant)

    @property
    def arithmetic(self) -> dict[str, int]:
        """What the cell's saved graph computes: the case's, with the convolution that the mobile optimizer packs."""
        optimized = any("optimize_for_mobile" in cell.form.stages for cell in self.lineage())
        case = read_cases()[self.case].arithmetic
        return {f"prepacked {word}" if optimized and word == "conv2d" else word: case[word] for word in case}

    @property
    def parent(self) -> Cell | None:
        """The cell that this one is built from."""
        return None if self.form.parent is None else self.at(self.form.parent)

    def lineage(self) -> Iterator[Cell]:
        """Yield the ancestors, the original first, and the cell itself last."""
        if self.parent is not None:
            yield from self.parent.lineage()
        yield self


@cache
def read_cases(path: Path | None = None) -> dict[str, Case]:
    """Return the cases by id, in the file's order."""
    path = path or fixtures_folder() / "cases.toml"
    rows = read_model(CaseFile, path).case
    unique([row.id for row in rows], where=path)
    return {row.id: row for row in rows}


def case_named(name: str) -> Case:
    """Return the case of that exact id; UsageError names the known ones."""
    cases = read_cases()
    if name not in cases:
        raise UsageError(f"unknown case {name!r}", where="--case", do=f"choose from {', '.join(cases)}")
    return cases[name]
