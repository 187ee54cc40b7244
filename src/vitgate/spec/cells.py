"""The cells (case x engine x variant) that the suite makes claims about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vitgate.spec.cases import read_cases
from vitgate.spec.engines import ACTIVATION_BITS, Engine, engine_named, EVERY_ENGINE
from vitgate.spec.variants import FORMS, Stage, SUCCESSORS, torchao_reduces_range, Variant, VariantName, VARIANTS

SchemeName = Literal[
    "7 bits",
    "8 bits",
    "torchao",
    "torchao 8 bits",
    "xnnpack",
    "onnxruntime",
    "bfloat16",
    "int8 weights",
    "onnxruntime static",
    "xnnpack static",
]
"""The arithmetic of a variant that is not in float32.

The tutorial's int8 is named by the bits of an activation, a successor's by who defines it.
"""

_SUCCESSOR_SCHEMES: dict[VariantName, SchemeName] = {
    "executorch_int8": "xnnpack",
    "onnx_int8": "onnxruntime",
    "exported_bf16": "bfloat16",
    "exported_int8wo": "int8 weights",
    "inductor_bf16": "bfloat16",
    "onnx_static": "onnxruntime static",
    "executorch_static": "xnnpack static",
}


def _torchao() -> SchemeName:
    return "torchao" if torchao_reduces_range() else "torchao 8 bits"


def cell_name(case: str, engine: str, variant: str) -> str:
    """Return the id `case-engine-variant`, also of a cell that somebody else's record names.

    Args:
        case: The id of a case, known here or not.
        engine: The name of an engine, or `none`.
        variant: The name of a variant.
    """
    return f"{case}-{engine}-{variant}"


@dataclass(frozen=True)
class GroupId:
    """One case under one engine: what is built and measured together; `str(group)` is `case-engine`."""

    case: str
    engine: Engine

    def __str__(self) -> str:
        """Return `case-engine`, the id of a test about both."""
        return f"{self.case}-{self.engine}"

    @classmethod
    def parse(cls, text: str) -> GroupId:
        """Return the group of the id `case-engine`; ValueError for any other text. No id of a case has a hyphen."""
        case, _, engine = text.partition("-")
        if not case or engine not in EVERY_ENGINE:
            raise ValueError(f"{text!r} is not the id of a case and an engine")
        return cls(case, engine_named(engine))

    @property
    def original(self) -> CellId:
        """The cell of the group's float model."""
        return CellId(self.case, self.engine, "original")


@dataclass(frozen=True)
class CellId:
    """One case under one engine in one variant; `str(cell)` is its test id."""

    case: str
    engine: Engine
    variant: VariantName

    def __str__(self) -> str:
        """Return the exact test id, `case-engine-variant`."""
        return cell_name(self.case, self.engine, self.variant)

    @classmethod
    def parse(cls, text: str) -> CellId:
        """Return the cell of the id `case-engine-variant`; ValueError for any other text."""
        group, _, variant = text.rpartition("-")
        if variant not in FORMS:
            raise ValueError(f"{text!r} is not the id of a cell")
        found = GroupId.parse(group)
        return cls(found.case, found.engine, FORMS[variant].name)

    @property
    def group(self) -> GroupId:
        """The case and engine."""
        return GroupId(self.case, self.engine)

    @property
    def evidence_name(self) -> str:
        """The name under which evidence is kept: float variants are the same under every engine."""
        return str(self) if self.form.quantized else f"{self.case}-{self.variant}"

    @property
    def form(self) -> Variant:
        """The row of the variant table."""
        return FORMS[self.variant]

    @property
    def scheme(self) -> SchemeName | None:
        """The arithmetic of its int8 Linears, or of bfloat16; None of a variant in float32."""
        if self.variant in SUCCESSORS:
            return _torchao() if "quantize_torchao" in self.form.stages else _SUCCESSOR_SCHEMES.get(self.variant)
        return ("8 bits" if ACTIVATION_BITS[self.engine] == 8 else "7 bits") if self.form.quantized else None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that make the variant from its parent, as the case's model goes through them."""
        case = read_cases().get(self.case)  # a record may name a case of somebody else's
        conversion = case.conversion if case else "script"
        return tuple(conversion if stage == "script" else stage for stage in self.form.stages)

    def at(self, variant: VariantName) -> CellId:
        """Return the cell of the same case and engine at another variant."""
        return CellId(self.case, self.engine, variant)

    @property
    def parameters(self) -> int:
        """How many numbers are trained, as published; 0 where nobody says."""
        return read_cases()[self.case].parameters or 0

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators that the case's lite files may need beside those of all."""
        return read_cases()[self.case].operators

    @property
    def arithmetic(self) -> dict[str, int] | None:
        """What the cell's saved graph computes, with the convolution that the mobile optimizer packs.

        None where the case does not say.
        """
        case = read_cases()[self.case].arithmetic
        if case is None:
            return None
        optimized = any("optimize_for_mobile" in cell.stages for cell in self.lineage())
        return {f"prepacked {word}" if optimized and word == "conv2d" else word: case[word] for word in case}

    @property
    def parent(self) -> CellId | None:
        """The cell that this one is built from."""
        return None if self.form.parent is None else self.at(self.form.parent)

    def run_together(self) -> list[CellId]:
        """Return the cells that one process runs together: those of the case and engine which are quantized alike."""
        cells = [self.at(variant) for variant in (SUCCESSORS if self.variant in SUCCESSORS else VARIANTS)]
        return [cell for cell in cells if cell.form.quantized == self.form.quantized]

    def lineage(self) -> Iterator[CellId]:
        """Yield the ancestors, the original first, and the cell itself last."""
        if self.parent is not None:
            yield from self.parent.lineage()
        yield self


@dataclass(frozen=True)
class FieldFileId:
    """A file of another release: who made it, and the id of its cell; `str` is `2.12.1-digits-x86-lite`."""

    maker: str
    cell: str

    def __str__(self) -> str:
        """Return `maker-case-engine-variant`."""
        return f"{self.maker}-{self.cell}"

    @property
    def variant(self) -> str:
        """The last part of the cell's id."""
        return self.cell.rpartition("-")[2]

    @classmethod
    def parse(cls, text: str) -> FieldFileId:
        """Return what `str` wrote. Any text is accepted: it may come from a stranger's record."""
        maker, _, cell = text.partition("-")
        return cls(maker, cell)


@dataclass(frozen=True)
class RowName:
    """A claim and its subject; `str(name)` is `claim[subject]`, the words of `--claim` and of a test's id.

    Without a subject it stands for all rows of the claim, and is written as the claim's id.
    """

    claim: str
    subject: str = ""

    def __str__(self) -> str:
        """Return `claim[subject]`."""
        return f"{self.claim}[{self.subject}]" if self.subject else self.claim

    @classmethod
    def parse(cls, text: str) -> RowName:
        """Return the name that `str` wrote; text without brackets is a claim's id. Any text is accepted."""
        claim, _, rest = text.partition("[")
        return cls(claim, rest.removesuffix("]"))

    @classmethod
    def of_test(cls, node_id: str) -> RowName:
        """Return the name of a test by its node id, `path::test_label[digits-x86-lite]`."""
        return cls.parse(node_id.rpartition("::")[2])
