"""Verdicts find what got worse between two releases, latencies with all ways to be slow, and no more."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from vitgate.compare.acceptance import Acceptances
from vitgate.compare.pairing import names_of, PairedLatency
from vitgate.compare.verdict import compare, Verdict
from vitgate.files.errors import UsageError
from vitgate.upgrade import gate

from .gate_faults import upgrades
from .gate_faults.records import release
from .gate_faults.slowdowns import compared, Machine, SLOWDOWNS
from .gate_faults.upgrades import OLD, red, TODAY, Upgrade, WORSE, Worse

# Verdicts


def verdict_of(upgrade: Upgrade) -> Verdict:
    """Judge it as the gate does."""
    new = upgrade.with_crossing()
    matrix = list(gate._matrix(new, [upgrades.crossing_file()], *names_of(upgrade.old, new)))
    latency = [gate._paired_row("digits", "fbgemm", "lite_frozen", row) for row in upgrade.latency]
    accepted = Acceptances(tuple(upgrade.accepted), TODAY)
    return compare(upgrade.old, new, matrix=matrix, latency=latency, accepted=accepted)


def test_equal_runs_may_upgrade() -> None:
    verdict = verdict_of(Upgrade())
    assert (red(verdict), verdict.exit_status) == (set(), 0), verdict.answer
    assert upgrades.CROSSING in {item.name for item in verdict.matrix}


@pytest.mark.parametrize("fault", WORSE, ids=lambda fault: fault.id)
def test_worse_run_is_red(fault: Worse) -> None:
    upgrade = Upgrade()
    fault.inject(upgrade)
    verdict = verdict_of(upgrade)
    assert (red(verdict), verdict.exit_status) == (set(fault.reds), fault.status), f"{fault.what} {verdict.answer}"
    said = " ".join([verdict.answer, *(f"{cause.id}: {cause.says}" for cause in verdict.causes)])
    assert fault.says in said, said


@pytest.mark.parametrize("versions", [("1.13.1", "2.2.2"), ("2.2.2", "2.6.0"), ("2.6.0", "2.9.1"), ("2.9.1", "2.12.1")])
def test_sound_releases_stay_within_growth_bounds(versions: tuple[str, str]) -> None:
    old, new = (release(version).model_copy(update={"inputs": release(OLD).inputs}) for version in versions)
    for verdict in (compare(old, new), compare(new, old)):
        assert [row.name for row in verdict.rows if row.note] == []


def test_accepted_row_covers_its_growth() -> None:
    upgrade = Upgrade()
    upgrade.number(upgrades.SIZE, "size", lambda size: 1.2 * size)
    upgrade.accept(upgrades.SIZE)
    assert verdict_of(upgrade).exit_status == 0


def test_reverted_growth_is_fixed_and_holds_better() -> None:
    upgrade = Upgrade()
    upgrade.number(upgrades.SIZE, "size", lambda size: size / 1.2)
    verdict = verdict_of(upgrade)
    assert Counter(row.word for row in verdict.rows)["fixed"] == 1
    assert verdict.exit_status == 0
    assert "1 claim holds better than before" in verdict.answer


def test_matrix_of_other_releases_is_refused() -> None:
    upgrade = Upgrade()
    new = upgrade.with_crossing()
    matrix = list(gate._matrix(new, [upgrades.crossing_file()], *names_of(upgrade.old, new)))
    with pytest.raises(UsageError, match="is about other versions"):
        compare(upgrade.old, release("2.15.0"), matrix=matrix)


# Latency


def rate(machine: Machine, comparisons: int) -> float:
    """Return the share of comparisons that say regressed."""
    rng = random.Random(4)
    return sum(compared(machine, rng).word == "regressed" for _ in range(comparisons)) / comparisons


@pytest.mark.parametrize("name", SLOWDOWNS)
def test_slowdown_is_found(name: str) -> None:
    assert rate(SLOWDOWNS[name], 60) >= 0.95


def test_eight_percent_slowdown_is_found_in_95_percent_of_comparisons() -> None:
    assert rate(Machine(cpu=1.08), 400) >= 0.95


def test_equal_latencies_are_never_regressed() -> None:
    assert rate(Machine(), 2000) == 0.0


@pytest.mark.parametrize("name", SLOWDOWNS)
def test_slowdown_turns_verdict_red_with_reason(name: str) -> None:
    upgrade = Upgrade()
    upgrade.latency = [compared(SLOWDOWNS[name], random.Random(1))]
    verdict = verdict_of(upgrade)
    assert red(verdict) == {"paired_latency[digits-fbgemm-lite_frozen]"}
    assert verdict.exit_status == 1
    words = {
        "sleeping": "time asleep (sleeps, locks, I/O) grew by",
        "one more thread": "more threads",
        "slow in the first calls only": "CPU time of the first calls grew",
        "slow in loading only": "CPU time of loading grew",
    }
    assert words.get(name, "times the latency") in verdict.causes[0].says
    row: PairedLatency = verdict.latency[0].row
    assert row.first is not None
    assert row.load is not None
