"""Why a row is red, and what is said of it: one cause for all rows that come of one thing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.causes import Cause, Causes
from vitgate.compare.pairing import Judged, JudgedLatency, JudgedMatrixRow, MatrixRow, PairedLatency, Side, VerdictRow
from vitgate.judge.deviations import Deviation
from vitgate.records.rows import ClaimRow
from vitgate.spec.outcome import NO_TOOLS

from ..outcomes import in_parts

FAILED = {"status": "failed", "outcome": "failed"}
LACKING = {"status": "unsupported", "outcome": "unsupported", "error": NO_TOOLS}
NAME = "label[digits-x86-lite]"


def side(status: str = "passed", outcome: str = "passed", **fields: Any) -> Side:
    return Side(**in_parts(status=status, outcome=outcome, **fields))


def row(
    new: Side | None = None,
    word: str = "regressed",
    claim: str = "label",
    old: Side | None = None,
    variant: str = "lite",
    **fields: Any,
) -> VerdictRow:
    place = {"case": "digits", "engine": "x86", "variant": variant, "subject": f"digits-x86-{variant}"}
    own = {"name": f"{claim}[digits-x86-{variant}]", "red": True, **place, **fields}
    return VerdictRow(word=word, claim=claim, old=old or side(), new=new, **own)


def deviation(**fields: Any) -> Deviation:
    given = {
        "id": "gone",
        "claims": ("label",),
        "torch": ">=2.13",
        "outcome": "failed at load",
        "error": "RuntimeError",
        "message": "xnnpack::",
        "reason": "Built without XNNPACK.",
        "link": "https://example.org/1",
        "advice": "Freeze instead.",
        "review": dt.date(2027, 1, 1),
    }
    return Deviation(**{**given, **fields})


def crossing(word: str = "regressed", **fields: Any) -> JudgedMatrixRow:
    state = {"status": "failed", "outcome": "failed at load", **fields}
    made = MatrixRow(maker="2.12.1", runner="2.15.0", case="digits", engine="x86", variant="lite", **in_parts(**state))
    return JudgedMatrixRow(name=made.name, word=word, red=True, row=made)


def slower(variant: str, ratio: float = 1.3, old_ms: float = 10.0, note: str = "") -> JudgedLatency:
    numbers = {"ratio": ratio, "low": 1.0, "high": 2.0, "old_ms": old_ms, "new_ms": ratio * old_ms, "pairs": 3}
    made = PairedLatency(case="digits", engine="x86", variant=variant, verdict="regressed", note=note, **numbers)
    return JudgedLatency(name=made.name, word="regressed", red=True, row=made)


def causes(*builds: ClaimRow, declared: list[Deviation] | tuple[()] = (), torch: str = "2.15.0+cpu") -> Causes:
    return Causes(builds, declared, torch)


def only(item: JudgedLatency | JudgedMatrixRow | VerdictRow, *builds: ClaimRow, **options: Any) -> Cause:
    """Return the one cause of an item."""
    made = causes(*builds, **options)
    (found,) = made.grouped([item], {item.name: made.key(item)})
    return found


@pytest.mark.parametrize(
    ("item", "key"),
    [
        (row(side(**FAILED)), ("undeclared", "label")),
        (row(side(), note="it grew"), ("undeclared", "label")),
        (row(side("failed", "failed at script")), ("undeclared", "failed at script")),
        (row(side("failed", "passed", deviation="gone")), ("undeclared", "label")),
        (row(side("declared", "failed", deviation="gone")), ("deviation", "gone")),
        (row(side("declared", "blocked by optimized", deviation="gone")), ("deviation", "gone")),
        (row(side("failed", "blocked by optimized")), ("undeclared", "blocked by optimized")),
        (row(side("unsupported", "unsupported")), ("engine", "no engine x86")),
        (row(side("unsupported", "unsupported"), engine=""), ("engine", "no engine")),
        (row(side("unsupported", "unsupported", error=NO_TOOLS), "missing"), ("missing", "no tools for label")),
        (row(None, "missing"), ("missing", "missing")),
        (row(side(), "environment error"), ("environment error", "environment error")),
        (crossing("environment error"), ("environment error", "environment error")),
        (crossing(), ("crossing", "files of 2.12.1 under 2.15.0")),
        (crossing(status="declared", deviation="gone"), ("deviation", "gone")),
        (crossing(status="failed", deviation="gone"), ("crossing", "files of 2.12.1 under 2.15.0")),
        (crossing(status="declared"), ("crossing", "files of 2.12.1 under 2.15.0")),
        (slower("lite"), ("latency", "slower")),
    ],
)
def test_each_red_item_has_its_kind_of_cause(
    item: JudgedLatency | JudgedMatrixRow | VerdictRow, key: tuple[str, str]
) -> None:
    assert causes().key(item) == key


def test_blocked_row_is_caused_by_failed_ancestor_build(claim_row: Callable[..., ClaimRow]) -> None:
    def build(variant: str, **state: Any) -> ClaimRow:
        return claim_row("build", variant, engine="x86", **state)

    blocked = row(side("failed", "blocked by lite"))
    chain = [build("lite", status="failed", outcome="blocked by optimized")]

    assert causes(*chain).key(blocked) == ("undeclared", "blocked by optimized")
    stopped = build("optimized", status="failed", outcome="failed at save")
    assert causes(*chain, stopped).key(blocked) == ("undeclared", "failed at save")
    declared = build("optimized", status="declared", outcome="failed at save", deviation="gone")
    assert causes(*chain, declared).key(blocked) == ("deviation", "gone")
    odd = build("optimized", status="failed", outcome="failed")
    assert causes(*chain, odd).key(blocked) == ("undeclared", "build")


@pytest.mark.parametrize("outcome", ["passed", "blocked by lite"])
def test_build_row_without_stage_is_no_cause(claim_row: Callable[..., ClaimRow], outcome: str) -> None:
    build = claim_row("build", "lite", engine="x86", status="failed", outcome=outcome)
    other = claim_row("label", "lite", engine="x86", status="failed", outcome="failed at save")

    assert causes(build, other).key(row(side("failed", "blocked by lite"))) == ("undeclared", "blocked by lite")


def test_declared_cause_quotes_its_deviation() -> None:
    found = only(row(side("declared", "failed at load", deviation="gone", message="x")), declared=[deviation()])

    assert found == Cause(
        id="gone",
        kind="deviation",
        says="Built without XNNPACK.",
        reason="Built without XNNPACK.",
        link="https://example.org/1",
        advice="Freeze instead.",
        rows=(NAME,),
        regressed=True,
        red=True,
    )


@pytest.mark.parametrize(("message", "says"), [("it is gone", "it is gone"), ("", "no reason is given.")])
def test_unknown_deviation_is_described_by_row_message(message: str, says: str) -> None:
    found = only(row(side("declared", "failed", deviation="old", message=message)), declared=[deviation()])

    assert (found.id, found.says, found.reason, found.link, found.advice) == ("old", says, "", "", "")


def test_failure_like_declared_deviation_gets_its_advice() -> None:
    new = side("failed", "failed at load", error="RuntimeError", message="no xnnpack::conv")

    found = only(row(new), declared=[deviation(id="other", message="mkldnn"), deviation()])

    assert found == Cause(
        id="failed at load like gone",
        kind="undeclared",
        says="declared nowhere: no xnnpack::conv. So it is with gone: Built without XNNPACK.",
        reason="Built without XNNPACK.",
        link="https://example.org/1",
        advice="Freeze instead.",
        rows=(NAME,),
        regressed=True,
        red=True,
    )


@pytest.mark.parametrize(
    ("new", "declared", "torch"),
    [
        ({"outcome": "failed at run"}, {}, "2.15.0"),
        ({"error": "OSError"}, {}, "2.15.0"),
        ({"message": "else"}, {}, "2.15.0"),
        ({"deviation": "gone"}, {}, "2.15.0"),
        ({"status": "declared"}, {}, "2.15.0"),
        ({}, {"claims": ("size",)}, "2.15.0"),
        ({}, {}, "2.12.1"),
        ({}, {}, "no version"),
    ],
)
def test_failure_unlike_deviation_gets_no_advice(
    new: dict[str, str], declared: dict[str, tuple[str]], torch: str
) -> None:
    shown = {"status": "failed", "outcome": "failed at load", "error": "RuntimeError", "message": "no xnnpack::conv"}

    found = only(row(side(**{**shown, **new})), declared=[deviation(**declared)], torch=torch)

    assert "like" not in found.id
    assert "So it is" not in found.says


def test_rows_are_grouped_by_cause_in_order_of_first_row() -> None:
    items = [
        row(side(**FAILED), claim="size"),
        row(side(**FAILED), claim="label"),
        Judged(name="green", word="same"),
        row(side(**FAILED), claim="label", variant="optimized", word="broken in both", red=False),
    ]
    made = causes()
    keys = {item.name: made.key(item) for item in items if item.name != "green"}

    found = made.grouped(items, keys)

    label = (NAME, "label[digits-x86-optimized]")
    assert [(cause.id, cause.rows) for cause in found] == [("size", ("size[digits-x86-lite]",)), ("label", label)]


@pytest.mark.parametrize(
    ("word", "red", "expected"),
    [("regressed", True, (True, True)), ("broken in both", True, (False, True)), ("regressed", False, (True, False))],
)
def test_cause_takes_severity_of_worst_row(word: str, red: bool, expected: tuple[bool, bool]) -> None:
    items = [row(side(**FAILED), "missing", red=False), row(side(**FAILED), word, variant="optimized", red=red)]
    made = causes()

    (found,) = made.grouped(items, {item.name: made.key(item) for item in items})

    assert (found.regressed, found.red) == expected


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (row(None, "missing"), "what is not checked says nothing."),
        (
            row(side("unsupported", "unsupported", error=NO_TOOLS, message="no ninja"), "missing"),
            "what is not checked says nothing: no ninja",
        ),
        (row(side("unsupported", "unsupported")), "this build lacks the engine that the earlier one had."),
        (row(side(**FAILED, message="two\n  lines")), "declared nowhere: two lines"),
        (row(side(**FAILED)), "declared nowhere"),
        (row(side(**FAILED), old=side(**FAILED, message="before")), "declared nowhere: before"),
        (
            row(side(**FAILED, message="a"), "broken in both"),
            "it failed before too, which excuses nothing; declared nowhere: a",
        ),
        (row(side(**FAILED, message="m" * 240)), f"declared nowhere: {'m' * 240}"),
        (row(side(**FAILED, message="m" * 241)), f"declared nowhere: {'m' * 240}…"),
        (crossing(message="no op"), "declared nowhere: no op"),
        (crossing(), "declared nowhere: failed at load"),
        (crossing("environment error"), "failed at load"),
        (row(side(message="new"), "environment error"), "no reason is given."),
        (row(side("environment error", "environment error", message="new"), "environment error"), "new"),
        (
            row(
                side(message="new"),
                "environment error",
                old=side("environment error", "environment error", message="no network"),
            ),
            "no network",
        ),
        (JudgedLatency(**{**vars(slower("lite")), "word": "environment error"}), "no reason is given."),
    ],
)
def test_undeclared_cause_is_described_by_its_row(
    item: JudgedLatency | JudgedMatrixRow | VerdictRow, says: str
) -> None:
    assert only(item).says == says


def test_undeclared_cause_quotes_first_message() -> None:
    items = [row(side(**FAILED), variant=name) for name in ("scripted", "lite")]
    items[1] = row(side(**FAILED, message="here"))
    items.append(row(side(**FAILED, message="there"), variant="optimized"))
    made = causes()

    (found,) = made.grouped(items, {item.name: made.key(item) for item in items})

    assert found.says == "declared nowhere: here"


def test_failed_before_is_noted_only_if_all_rows_failed_before() -> None:
    items = [row(side(**FAILED), "broken in both"), row(side(**FAILED), variant="optimized")]
    made = causes()

    (found,) = made.grouped(items, {item.name: made.key(item) for item in items})

    assert found.says == "declared nowhere"


def test_latency_cause_quotes_slowest_cell() -> None:
    items = [slower("lite", 1.2, 30.0), slower("optimized", 1.5, 10.0, note="not pinned"), slower("scripted", 1.1)]
    made = causes()

    (found,) = made.grouped(items, {item.name: made.key(item) for item in items})

    said = "1.50 times the latency (from 10.00 to 15.00 ms) at worst; not pinned."
    assert (found.id, found.kind, found.says) == ("slower", "latency", said)
    assert only(slower("lite")).says == "1.30 times the latency (from 10.00 to 13.00 ms) at worst."


def test_successor_without_its_packages_is_one_cause(claim_row: Callable[..., ClaimRow]) -> None:
    build = claim_row("build", "executorch", engine="none", **LACKING)
    lost = row(side(**LACKING), "missing", variant="executorch", engine="none")

    keys = {causes(build).key(lost.model_copy(update={"claim": claim})) for claim in ("label", "size", "build")}

    assert keys == {("missing", "no tools for executorch")}


@pytest.mark.parametrize(("engine", "state"), [("none", {}), ("none", FAILED), ("x86", LACKING)])
def test_claim_without_its_tools_is_a_cause_of_its_own(
    engine: str, state: dict[str, str], claim_row: Callable[..., ClaimRow]
) -> None:
    build = claim_row("build", engine=engine, **state)
    lost = row(side(**LACKING), "missing", claim="native", engine=engine)

    assert causes(build).key(lost) == ("missing", "no tools for native")
