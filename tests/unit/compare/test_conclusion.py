"""The exit status and the sentence that ends every report, word for word."""

from __future__ import annotations

import dataclasses
import datetime as dt
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.acceptance import Acceptance
from vitgate.compare.causes import Cause
from vitgate.compare.pairing import Side, VerdictRow
from vitgate.compare.verdict import Conclusion
from vitgate.records.record import Environment, Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.claims import read_claims
from vitgate.spec.outcome import NO_TOOLS

NOT_WHOLE = "of a whole run: this is about the claims that were checked."


def row(word: str = "same", name: str = "label[digits-qnnpack-lite]", deviation: str = "", **fields: Any) -> VerdictRow:
    side = Side(status="passed", outcome="passed", deviation=deviation)
    return VerdictRow(name=name, word=word, claim="label", subject="s", old=side, **{"new": side, **fields})


def cause(id: str = "gone", rows: int = 1, **fields: Any) -> Cause:
    names = tuple(f"label[{n}]" for n in range(rows))
    given = {"kind": "deviation", "says": "It is gone", "regressed": True, "red": True, **fields}
    return Cause(id=id, rows=names, **given)


@pytest.fixture
def concluded(record: Callable[..., Record], environment: Environment) -> Callable[..., Conclusion]:
    """Return a helper: the conclusion from 2.12.1 to 2.13.0 of these rows, by default one that is the same."""

    def make(
        *rows: VerdictRow,
        torch: tuple[str, str] = ("2.12.1+cpu", "2.13.0+cpu"),
        complete: tuple[bool, bool] = (True, True),
        **fields: Any,
    ) -> Conclusion:
        old, new = (
            record(environment=environment.model_copy(update={"torch": version}), complete=whole)
            for version, whole in zip(torch, complete, strict=True)
        )
        rows = rows or (row(),)
        made = Conclusion(old, new, rows=rows, items=rows, causes=(), accepted=(), problems=())
        return dataclasses.replace(made, **fields)

    return make


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["same"], 0),
        (["fixed"], 0),
        (["broken in both"], 0),
        (["regressed"], 0),  # accepted: it is not red
        (["not comparable"], 1),
        (["missing"], 1),
        (["missing", "same"], 0),
        (["same", "environment error"], 6),
    ],
)
def test_exit_status_0_needs_a_compared_claim(
    concluded: Callable[..., Conclusion], words: list[str], status: int
) -> None:
    assert concluded(*map(row, words)).exit_status() == status


def test_environment_error_outranks_regressions_and_problems(
    concluded: Callable[..., Conclusion],
) -> None:
    assert concluded(row(red=True)).exit_status() == 1
    assert concluded(problems=("f:1: it covers nothing",)).exit_status() == 1
    assert concluded(row(red=True), row("environment error")).exit_status() == 6


def test_unchanged_claims_may_upgrade(concluded: Callable[..., Conclusion]) -> None:
    assert concluded().answer() == "PyTorch 2.12.1 → 2.13.0: may upgrade; every claim holds as before."


def test_local_versions_are_named_if_only_they_differ(concluded: Callable[..., Conclusion]) -> None:
    assert concluded(torch=("2.13.0+cpu", "2.13.0+cu130")).answer().startswith("PyTorch 2.13.0+cpu → 2.13.0+cu130: may")
    assert concluded(torch=("2.13.0+cpu", "2.13.0+cpu")).answer().startswith("PyTorch 2.13.0 → 2.13.0: may")


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 claim that did not hold before is"), (2, "2 claims that did not hold before are")]
)
def test_fixed_claims_are_counted(concluded: Callable[..., Conclusion], count: int, text: str) -> None:
    answer = concluded(row(), *[row("fixed")] * count).answer()

    assert answer == f"PyTorch 2.12.1 → 2.13.0: may upgrade; every claim holds as before, and {text} fixed."


def test_claims_broken_in_both_are_counted_with_deviations(concluded: Callable[..., Conclusion]) -> None:
    rows = [row("broken in both", deviation=name) for name in ("b", "a", "b", "")]

    assert concluded(*rows, row(deviation="c")).answer() == (
        "PyTorch 2.12.1 → 2.13.0: may upgrade; every claim holds as before, "
        "apart from 4 claims broken in both, as declared (a, b)."
    )
    assert concluded(rows[-1]).answer().endswith("apart from 1 claim broken in both, as declared.")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a" * 29, "b" * 29], f"{'a' * 29}, {'b' * 29}"),
        (["a" * 29, "b" * 30], f"{'a' * 29} and 1 more"),
        (["a" * 61], f"{'a' * 60}…"),
    ],
    ids=["room for both", "room for one", "too long"],
)
def test_deviations_of_claims_broken_in_both_are_named_in_sixty_characters(
    concluded: Callable[..., Conclusion], names: list[str], text: str
) -> None:
    rows = [row("broken in both", deviation=name) for name in names]

    assert concluded(*rows).answer().endswith(f", as declared ({text}).")


def test_acceptances_are_named_with_owner_and_expiry(concluded: Callable[..., Conclusion]) -> None:
    entries = (
        Acceptance("a", "f:1", "why", "ml-platform", dt.date(2027, 1, 31)),
        Acceptance("b", "--accept"),
    )

    assert concluded(row("regressed"), row("fixed"), accepted=entries).answer() == (
        "PyTorch 2.12.1 → 2.13.0: may upgrade; what breaks is accepted (a by ml-platform until 2027-01-31, b), "
        "and 1 claim that did not hold before is fixed."
    )


@pytest.mark.parametrize(
    ("causes", "text"),
    [
        ([cause()], "1 thing breaks: gone (label[0])."),
        ([cause(rows=2)], "1 thing breaks: gone (2 rows)."),
        ([cause(), cause("b", 3)], "2 things break: gone (label[0]), b (3 rows)."),
        ([cause(regressed=False)], "1 thing stands in the way: gone (label[0])."),
        (
            [cause(regressed=False), cause("b", regressed=False)],
            "2 things stand in the way: gone (label[0]), b (label[0]).",
        ),
        ([cause(), cause("b", regressed=False)], "2 things break: gone (label[0]), b (label[0])."),
        ([cause(red=False, advice="Freeze."), cause("b")], "1 thing breaks: b (label[0])."),
        ([cause(advice="Freeze.")], "1 thing breaks: gone (label[0]). The report says what to do instead."),
    ],
)
def test_regressions_are_named(concluded: Callable[..., Conclusion], causes: list[Cause], text: str) -> None:
    answer = concluded(row("regressed", red=True), causes=causes).answer()

    assert answer == f"Do not upgrade from PyTorch 2.12.1 to 2.13.0: {text}"


@pytest.mark.parametrize(("count", "more"), [(6, ""), (7, " and 1 more"), (9, " and 3 more")])
def test_excess_causes_in_answer_are_counted(concluded: Callable[..., Conclusion], count: int, more: str) -> None:
    causes = [cause(f"cause-{n}") for n in range(count)]

    answer = concluded(row("regressed", red=True), causes=causes).answer()

    names = ", ".join(f"cause-{n} (label[0])" for n in range(min(count, 6)))
    assert answer == f"Do not upgrade from PyTorch 2.12.1 to 2.13.0: {count} things break: {names}{more}."


def test_long_name_in_the_answer_is_cut(concluded: Callable[..., Conclusion]) -> None:
    long = Cause(id="i" * 100, kind="undeclared", says="x", rows=("r" * 101,), regressed=True, red=True)

    answer = concluded(row("regressed", red=True), causes=[long]).answer()

    assert answer.endswith(f": 1 thing breaks: {'i' * 100} ({'r' * 18}….")


def test_problems_of_acceptances_are_named(concluded: Callable[..., Conclusion]) -> None:
    problems = [f"f:{n}: a covers nothing: delete it" for n in range(9)]

    beside = concluded(row("regressed", red=True), causes=[cause()], problems=problems).answer()
    alone = concluded(problems=problems[:1]).answer()

    start = "Do not upgrade from PyTorch 2.12.1 to 2.13.0"
    said = f"{', '.join(problems[:3])} and 6 more"
    assert beside == f"{start}: 1 thing breaks: gone (label[0]). Mend the acceptances: {said}."
    assert alone == f"{start} yet: nothing breaks unaccepted, but: Mend the acceptances: {problems[0]}."


def test_answer_has_at_most_three_lines(concluded: Callable[..., Conclusion]) -> None:
    causes = [cause(f"a-long-name-of-a-cause-{n}", advice="x") for n in range(99)]
    problems = [f"accepted.toml:{n}: a covers nothing: delete it" for n in range(99)]

    answer = concluded(row("regressed", red=True), causes=causes, problems=problems, complete=(False, True)).answer()

    assert len(textwrap.wrap(answer, 160)) <= 3, answer


def test_no_compared_claim_gives_no_answer(concluded: Callable[..., Conclusion]) -> None:
    start = "No answer for PyTorch 2.12.1 → 2.13.0: no claim could be compared."

    assert concluded(row("missing")).answer() == start
    assert concluded(row("missing"), problems=("f:1: a",)).answer() == f"{start} Mend the acceptances: f:1: a."


@pytest.mark.parametrize(
    ("says", "rows", "text"),
    [
        ("no network", 1, "1 claim: no network."),
        ("no network.", 2, "2 claims: no network."),
        ("no network!", 1, "1 claim: no network!"),
        ("no\nnetwork?", 1, "1 claim: no network?"),
    ],
)
def test_environment_error_is_reported_with_count_and_reason(
    concluded: Callable[..., Conclusion], says: str, rows: int, text: str
) -> None:
    causes = [cause(), cause("environment error", rows, kind="environment error", says=says)]

    answer = concluded(row("environment error"), causes=causes).answer()

    assert answer == f"No answer for PyTorch 2.12.1 → 2.13.0: the environment stood in the way of {text}"


def test_engines_missing_on_both_sides_are_named_once(concluded: Callable[..., Conclusion]) -> None:
    lacking = [row("not comparable", engine=name) for name in ("qnnpack", "x86", "qnnpack")]

    notes = list(concluded(row(engine="fbgemm"), *lacking).notes())

    assert notes == ["Not compared, as both builds lack the engine: x86, qnnpack."]


def test_unchecked_claims_are_named_with_missing_tools(concluded: Callable[..., Conclusion]) -> None:
    side = Side(status="unsupported", outcome="unsupported", error=NO_TOOLS)
    rows = [row("not comparable", engine="x86", new=side).model_copy(update={"claim": "native"})] * 2
    no_engine = row("not comparable", engine="qnnpack").model_copy(update={"claim": "native_concurrent"})

    notes = list(concluded(row(engine="x86"), *rows, no_engine).notes())

    assert notes == [
        "Not compared, as both builds lack the engine: qnnpack.",
        f"Not checked: native, which takes {read_claims()['native'].tools}.",
    ]


@pytest.mark.parametrize("side", ["old", "new"])
def test_claims_and_variants_that_one_side_left_out_are_named(
    concluded: Callable[..., Conclusion], claim_row: Callable[..., ClaimRow], side: str
) -> None:
    whole = concluded()
    rows = (claim_row("label"), claim_row("batch", "optimized"))
    other = {"old": "new", "new": "old"}[side]
    left_out = {
        side: getattr(whole, side).model_copy(
            update={"left_out": ("batch", "lite", "memory", "processors"), "claims": ()}
        ),
        other: getattr(whole, other).model_copy(update={"left_out": ("memory",), "claims": rows}),
    }

    notes = list(dataclasses.replace(whole, **left_out).notes())

    assert notes == [f"Not compared, as the {side} run's options left it out: batch, lite."]


@pytest.mark.parametrize(
    ("complete", "text"),
    [
        ((False, True), f" The old record is not {NOT_WHOLE}"),
        ((True, False), f" The new record is not {NOT_WHOLE}"),
        ((False, False), f" Neither record is {NOT_WHOLE}"),
    ],
)
def test_narrowed_run_is_named_as_limit_of_answer(
    concluded: Callable[..., Conclusion], complete: tuple[bool, bool], text: str
) -> None:
    whole, narrow = concluded().answer(), concluded(complete=complete).answer()

    assert narrow == whole + text


@pytest.mark.parametrize(("count", "text"), [(1, "1 claim holds"), (2, "2 claims hold")])
def test_improved_claims_are_counted_apart_from_fixed_ones(
    concluded: Callable[..., Conclusion], count: int, text: str
) -> None:
    better = [row("fixed", note="growth against old: 0.5")] * count

    answer = concluded(row(note="the same"), row("fixed"), *better).answer()

    assert answer == (
        "PyTorch 2.12.1 → 2.13.0: may upgrade; every claim holds as before, "
        f"and 1 claim that did not hold before is fixed, and {text} better than before."
    )
