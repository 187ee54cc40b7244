"""From the rows and evidence of a run to its record: nothing that was not checked counts as checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from vitgate import __version__
from vitgate.observe.store import Store
from vitgate.records.assemble import assemble, expected_claims
from vitgate.records.record import Environment
from vitgate.records.rows import ClaimRow
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.outcome import Evidence
from vitgate.spec.run_config import RunConfig
from vitgate.spec.variants import SUCCESSORS

BOTH = {"cases": ("digits", "deit_tiny"), "engines": ("qnnpack", "x86")}


@pytest.fixture
def rows_of(claim_row: Callable[..., ClaimRow]) -> Callable[..., Any]:
    """Return a helper: a passed row for every claim that a whole run of a plan checks."""

    def make(plan: RunConfig, leave_out: str = "") -> Any:
        names = [name[:-1].split("[") for name in expected_claims(plan) if name != leave_out]
        rows = [claim_row(claim, "", subject=subject) for claim, subject in names]
        others = [claim.id for claim in read_claims().values() if claim.per in ("call", "session")]
        others = [claim for claim in others if claim not in {leave_out, *plan.left_out()}]
        return rows + [claim_row(claim, "", subject="x", case="", engine="") for claim in others]

    return make


def test_a_whole_run_is_expected_to_check_every_claim_about_the_plans_cells(plan: Callable[..., RunConfig]) -> None:
    names = expected_claims(plan())

    by_cell = [each for each in read_claims().values() if each.per == "cell" and each.engines != (NO_ENGINE,)]
    assert len(names) == len(set(names))
    assert {name.partition("[")[0] for name in names} >= {claim.id for claim in by_cell} - plan().left_out()
    assert {"build[digits-qnnpack-lite]", "label[digits-qnnpack-original]", "table[digits-qnnpack]"} <= set(names)


def test_nothing_is_expected_that_options_leave_out(plan: Callable[..., RunConfig]) -> None:
    images = "images[deit_tiny-qnnpack-lite]"

    assert images not in expected_claims(plan(cases=("deit_tiny",)))
    assert images in expected_claims(plan(cases=("deit_tiny",), images="/pictures"))


@pytest.mark.parametrize("other", ["deit_base", "x86"])
def test_nothing_is_expected_about_cells_outside_the_plan(other: str, plan: Callable[..., RunConfig]) -> None:
    assert [name for name in expected_claims(plan()) if other in name] == []


def test_more_engines_and_cases_are_expected_in_full(plan: Callable[..., RunConfig]) -> None:
    one, two = plan(), plan(engines=("qnnpack", "x86"))

    assert len(expected_claims(two)) == 2 * len(expected_claims(one))


def test_a_run_that_checked_everything_is_complete(
    plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any]
) -> None:
    record = assemble(plan(), store, rows_of(plan()), narrowed=False)

    assert record.missing == ()
    assert record.complete


@pytest.mark.parametrize("name", ["build[digits-qnnpack-lite]", "table[digits-qnnpack]", "calls", "native_program"])
def test_a_claim_that_nobody_checked_is_missing(
    name: str, plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any]
) -> None:
    record = assemble(plan(), store, rows_of(plan(), leave_out=name), narrowed=False)

    assert record.missing == (name,)
    assert not record.complete


def test_run_of_successors_alone_misses_no_call_of_the_tutorial(
    plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any]
) -> None:
    successors = plan(engines=("none",), engine=("none",))

    assert "calls" not in {row.claim for row in rows_of(successors)}
    assert assemble(successors, store, rows_of(successors), narrowed=False).missing == ()


def test_a_case_without_files_from_the_field_lacks_no_claim_about_them(
    plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any]
) -> None:
    asked = plan(cases=("deit_tiny",))

    assert assemble(asked, store, rows_of(asked), narrowed=False).missing == ()


def test_a_suite_without_files_from_the_field_lacks_the_claim_about_them(
    plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plan(cases=("deit_tiny",))
    monkeypatch.setattr("vitgate.records.assemble.committed", list)

    assert assemble(asked, store, rows_of(asked), narrowed=False).missing == ("field",)


@pytest.mark.parametrize("shard", ["1/3", "2/3", "3/3"])
def test_part_of_a_run_misses_nothing_of_the_others_and_is_not_complete(
    shard: str, plan: Callable[..., RunConfig], store: Store, rows_of: Callable[..., Any]
) -> None:
    asked, rows = plan(**BOTH, shard=shard), rows_of(plan(**BOTH))

    record = assemble(asked, store, [row for row in rows if asked.in_shard(row.name)], narrowed=False)

    assert (record.missing, record.complete, record.shard) == ((), False, shard)


@pytest.mark.parametrize(
    ("shard", "groups"),
    [
        ("1/3", {("deit_tiny", "qnnpack")}),
        ("2/3", {("deit_tiny", "x86")}),
        ("3/3", {("digits", "qnnpack"), ("digits", "x86")}),
    ],
)
def test_part_of_a_run_has_the_lines_of_its_own_cases_and_engines(
    shard: str,
    groups: set[tuple[str, str]],
    plan: Callable[..., RunConfig],
    store: Store,
    claim_row: Callable[..., ClaimRow],
) -> None:
    rows = [claim_row(case=case, engine=engine) for case in BOTH["cases"] for engine in BOTH["engines"]]

    cells = assemble(plan(**BOTH, shard=shard), store, rows, narrowed=True).cells

    assert {(row.case, row.engine) for row in cells} == groups


def test_part_with_claims_about_no_cell_lacks_those_that_it_did_not_check(
    plan: Callable[..., RunConfig], store: Store
) -> None:
    parts = [assemble(plan(**BOTH, shard=f"{number}/3"), store, [], narrowed=False) for number in (1, 2, 3)]

    assert ["calls" in part.missing for part in parts] == [False, True, False]


def test_a_run_that_the_user_narrowed_misses_nothing_and_is_not_complete(
    plan: Callable[..., RunConfig], store: Store, claim_row: Callable[..., ClaimRow]
) -> None:
    record = assemble(plan(), store, [claim_row()], narrowed=True)

    assert record.missing == ()
    assert not record.complete


def test_a_record_has_a_line_for_each_variant_of_what_was_checked_and_none_for_an_engine_that_is_lacking(
    plan: Callable[..., RunConfig], store: Store, claim_row: Callable[..., ClaimRow]
) -> None:
    rows = [claim_row(), claim_row(engine="x86", status="unsupported", outcome="unsupported")]

    record = assemble(plan(engines=("qnnpack", "x86")), store, rows, narrowed=True)

    assert {row.engine for row in record.cells} == {"qnnpack"}
    assert len(record.cells) == len({row.variant for row in record.cells}) > 1


def test_a_run_with_pictures_lacks_what_it_did_not_check_of_them(
    plan: Callable[..., RunConfig], rows_of: Callable[..., Any], store: Store
) -> None:
    asked = plan(cases=("deit_tiny",), images="/pictures")

    assert assemble(asked, store, rows_of(asked), narrowed=False).missing == ()
    lost = "images[deit_tiny-qnnpack-lite]"
    assert assemble(asked, store, rows_of(asked, lost), narrowed=False).missing == (lost,)


def test_news_of_warnings_and_operators_are_listed_once(
    plan: Callable[..., RunConfig], store: Store, claim_row: Callable[..., ClaimRow]
) -> None:
    rows = [claim_row("warnings", subject=subject, status="failed", message="new Warning") for subject in ("a", "b")]
    rows += [claim_row("warnings", subject="c")]
    rows += [claim_row("lite_operators", status="failed", message="new::op")]

    record = assemble(plan(), store, rows, narrowed=True)

    assert (record.warnings, record.new_operators) == (("new Warning",), ("new::op",))


def test_a_record_says_what_was_asked_and_when(
    plan: Callable[..., RunConfig], store: Store, claim_row: Callable[..., ClaimRow]
) -> None:
    asked, rows, before = plan(**BOTH, ships_to="avx2"), [claim_row()], dt.datetime.now(dt.timezone.utc)

    record = assemble(asked, store, rows, narrowed=True)

    assert (record.vitgate, record.cases, record.engines) == (__version__, *BOTH.values())
    assert (record.claims, record.shard, record.ships_to) == (tuple(rows), "", "avx2")
    assert record.left_out == tuple(sorted(asked.left_out()))
    assert "images" in record.left_out
    assert len(record.created) == len("2026-01-01T00:00:00+00:00")
    assert abs(dt.datetime.fromisoformat(record.created) - before) < dt.timedelta(minutes=1)


def test_a_record_has_the_environment_that_was_observed(
    plan: Callable[..., RunConfig], store: Store, put: Callable[..., None], environment: Environment
) -> None:
    put("environment", "environment", Evidence(environment.model_dump()))

    assert assemble(plan(), store, [], narrowed=True).environment == environment


@pytest.mark.parametrize(("installed", "torch"), [({"torch": "2.13.0+cpu"}, "2.13.0+cpu"), ({"timm": "1"}, "unknown")])
def test_a_run_that_needed_no_torch_knows_packages_and_machine(
    installed: dict[str, str],
    torch: str,
    plan: Callable[..., RunConfig],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, found in {"packages": installed, "machine": "x86_64", "cpu_model": "Some Xeon"}.items():
        monkeypatch.setattr(f"vitgate.records.assemble.{name}", lambda found=found: found)

    assert assemble(plan(processor="avx2"), store, [], narrowed=True).environment == Environment(
        torch=torch,
        commit=None,
        configuration="",
        configuration_digest="",
        cpu_capability="",
        engines=(),
        xnnpack=False,
        packages=installed,
        python="",
        platform="",
        machine="x86_64",
        cpu="Some Xeon",
        cores=1,
        processor="avx2",
    )


def test_a_record_has_a_line_for_each_successor_that_the_run_made(
    plan: Callable[..., RunConfig], store: Store, claim_row: Callable[..., ClaimRow]
) -> None:
    asked, rows = plan(engines=(NO_ENGINE,)), [claim_row(engine=NO_ENGINE, variant="exported")]

    cells = assemble(asked, store, rows, narrowed=True).cells

    assert {row.variant for row in cells} == set(SUCCESSORS) - asked.left_out()
