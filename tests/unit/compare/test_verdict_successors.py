"""Which successors a red verdict offers: those about which all held on both sides, and every crossing too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.verdict import compare, MatrixRow
from vitgate.records.record import Environment, Record
from vitgate.records.rows import ClaimRow, FindingRow
from vitgate.spec.outcome import NO_TOOLS

from .states import FAILED, NUMBER_OUT

OLD, NEW = "2.12.1", "2.15.0"
UNRUN = {"status": "unsupported", "outcome": "unsupported", "error": NO_TOOLS}
HOLDING = "Successors that hold on both sides, and load what the other made: "


States = dict[str, tuple[dict[str, Any], dict[str, Any]]]
"""By successor the fields of its rows on the old and on the new side."""


@pytest.fixture
def offered(
    record: Callable[..., Record], environment: Environment, claim_row: Callable[..., ClaimRow]
) -> Callable[..., str]:
    """Return a helper: what a verdict on a broken lite file says of these successors, by their state on either side."""

    def make(states: States, *crossings: MatrixRow, **fields: Any) -> str:
        sides = []
        for place, version in enumerate((OLD, NEW)):
            rows = [
                claim_row(name, variant, engine="none", **both[place])
                for variant, both in states.items()
                for name in ("build", "size")
            ]
            broken = claim_row("label", **({} if version == OLD else FAILED))
            about = environment.model_copy(update={"torch": version})
            sides.append(record(environment=about, claims=(*rows, broken), **fields))
        return "".join(note for note in compare(*sides, matrix=crossings).notes if note.startswith(HOLDING))

    return make


def crossing(variant: str, **fields: Any) -> MatrixRow:
    state: dict[str, Any] = {"status": "passed", "outcome": "passed", **fields}
    return MatrixRow(maker=OLD, runner=NEW, case="digits", engine="none", variant=variant, **state)


def of_size(value: float) -> dict[str, Any]:
    return {"findings": (FindingRow(statistic="size", value=value, unit="bytes"),)}


def test_successors_that_hold_are_named_in_order_of_their_table(offered: Callable[..., str]) -> None:
    assert offered({"onnx": ({}, {}), "exported": ({}, {})}) == f"{HOLDING}exported, onnx."


@pytest.mark.parametrize(
    ("old", "new"),
    [(of_size(1000.0), of_size(2000.0)), (FAILED, NUMBER_OUT), ({}, FAILED)],
    ids=["its file grew", "better, but not passed", "failed"],
)
def test_successor_with_a_row_that_does_not_hold_is_not_named(
    offered: Callable[..., str], old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert offered({"onnx": (old, new), "exported": ({}, {})}) == f"{HOLDING}exported."


@pytest.mark.parametrize(
    ("state", "names"), [({}, "exported, onnx"), (FAILED, "exported"), (UNRUN, "exported, onnx")], ids=str
)
def test_successor_whose_file_the_other_cannot_load_is_not_named(
    offered: Callable[..., str], state: dict[str, Any], names: str
) -> None:
    both: States = {"onnx": ({}, {}), "exported": ({}, {})}

    assert offered(both, crossing("onnx", **state)) == f"{HOLDING}{names}."


@pytest.mark.parametrize(("ships_to", "names"), [("host", "inductor, onnx"), ("baseline", "onnx")])
def test_compiled_package_is_named_only_for_the_processor_that_compiled_it(
    offered: Callable[..., str], ships_to: str, names: str
) -> None:
    both: States = {"inductor": ({}, {}), "onnx": ({}, {})}

    assert offered(both, ships_to=ships_to) == f"{HOLDING}{names}."
