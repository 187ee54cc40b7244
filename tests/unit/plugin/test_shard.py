"""Parts of a run: disjoint, together everything, decided by a test's id; and runs narrowed to a claim."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.run_options import claims_named, make_run_config, rows_of
from vitgate.observe.store import Store
from vitgate.records.assemble import assemble, expected_claims
from vitgate.records.consistency import check_consistent
from vitgate.records.merge import merge
from vitgate.records.record import read_record, Record
from vitgate.spec.cases import default_cases, read_cases
from vitgate.spec.cells import RowName
from vitgate.spec.claims import Claim, read_claims
from vitgate.spec.engines import ENGINES
from vitgate.spec.options import RunRequest
from vitgate.spec.run_config import group_of, groups, OTHERS, parse_shard, RunConfig, Shard, shard_of

from ..conftest import Refuses

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

ROWS = [name for claim in read_claims().values() for name in rows_of(claim)]
counts = st.integers(1, 40)


# Which test is in which part


@given(counts, st.sampled_from([*ROWS, "artifacts[own-a.pt]", "artifacts[own-b_c.ptl]"]))
def test_every_row_is_in_exactly_one_shard(count: Any, name: Any) -> None:
    assert sum(Shard(number, count).has(name) for number in range(1, count + 1)) == 1


@given(counts, st.sampled_from(sorted(read_cases())), st.sampled_from(ENGINES))
def test_rows_of_one_case_and_engine_share_a_shard(count: Any, case: Any, engine: Any) -> None:
    own = [name for name in ROWS if f"{case}-{engine}" in name]

    assert len(own) > 20
    assert len({shard_of(group_of(name), count) for name in own}) == 1


@given(counts)
def test_no_shard_exceeds_its_share_by_more_than_largest_group(count: Any) -> None:
    costs = groups()
    loads = [
        sum(cost for group, cost in costs.items() if Shard(n, count).has_group(group)) for n in range(1, count + 1)
    ]

    assert sum(loads) == sum(costs.values())
    assert max(loads) <= sum(costs.values()) / count + max(costs.values())


@pytest.mark.parametrize("count", [2, 4])
def test_full_size_models_are_spread_evenly(count: int) -> None:
    full = [shard_of(f"deit_base-{engine}", count) for engine in ENGINES]

    assert {full.count(number) for number in range(1, count + 1)} == {len(ENGINES) // count}


def test_default_run_is_split_evenly_despite_other_cases(planned: Callable[..., RunConfig]) -> None:
    plans = [planned(shard=f"{number}/4") for number in range(1, 5)]

    assert [sum(plan.has_group(f"deit_base-{engine}") for engine in ENGINES) for plan in plans] == [1, 1, 1, 1]


def test_equal_numbers_of_shards_and_groups_map_one_to_one() -> None:
    assert len({shard_of(group, len(groups())) for group in groups()}) == len(groups())


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("label[digits-x86-lite]", "digits-x86"),
        ("table[deit_base-qnnpack]", "deit_base-qnnpack"),
        ("field[2.12.1-digits-fbgemm-lite]", "digits-fbgemm"),
        ("tests/conformance/test_label.py::test_label[digits-x86-original]", "digits-x86"),
        ("tests/conformance/test_weights.py::test_weights[digits-x86-lite]", "digits-x86"),
        ("tests/conformance/test_field.py::test_artifacts[own-digits_x86.pt]", "own-digits_x86.pt"),
        ("tests/conformance/test_api.py::test_calls[torch_jit_script]", OTHERS),
        ("a[b]/test_preprocessing.py::test_preprocessing", OTHERS),
        ("build", OTHERS),
    ],
)
def test_the_group_is_in_the_id(name: str, group: str) -> None:
    assert group_of(name) == group


@pytest.mark.parametrize("text", ["0/2", "3/2", "x", "", "1/0", "1", "1/2/3", "-1/2", "1/2 ", "١/٢", "1/10000"])
def test_invalid_shard_is_refused(text: str, refuses: Refuses) -> None:
    refuses(lambda: parse_shard(text), "--shard", "K/N")


def test_shard_is_formatted_as_given() -> None:
    assert str(parse_shard("2/5")) == "2/5"
    assert str(parse_shard("02/5")) == "2/5"


# The plan


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., RunConfig]:
    def make(**options: object) -> RunConfig:
        return make_run_config(RunRequest.of(options), tmp_path)

    return make


@given(
    st.sampled_from([name for name in ROWS if not read_claims()[RowName.parse(name).claim].option]), st.integers(1, 9)
)
def test_narrowing_keeps_shard_of_row(name: Any, count: Any) -> None:
    def part(**options: Any) -> list[int]:
        found = []
        for number in range(1, count + 1):
            shard = f"{number}/{count}"
            plan = make_run_config(RunRequest(shard=shard, **options), Path())
            found += [number] * plan.checks(*name[:-1].split("["))
        return found

    assert part() == part(engine=("qnnpack",)) != []


def test_rows_of_a_case_and_engine_narrow_the_run_to_them(planned: Callable[..., RunConfig]) -> None:
    plan = planned(claim=["build[digits-qnnpack-lite]", "table[digits-x86]"])

    assert (plan.cases, plan.engines, plan.explicit_engines) == (("digits",), ("qnnpack", "x86"), False)
    assert plan.checks("build", "digits-qnnpack-lite")
    assert not plan.checks("build", "digits-qnnpack-optimized")


@pytest.mark.parametrize("names", [["build"], ["build[digits-qnnpack-lite]", "calls"]])
def test_claim_without_cell_narrows_to_no_case(planned: Callable[..., RunConfig], names: list[str]) -> None:
    assert planned(claim=names).cases == default_cases()


@pytest.mark.parametrize(
    "name", ["bild", "build[digits-qnnpack]", "build[x", "[", "calls[nothing]", "preprocessing[x]"]
)
def test_an_unknown_claim_is_refused_with_the_known_ones(name: str, refuses: Refuses) -> None:
    refuses(lambda: claims_named([name]), "--claim", repr(name), "logits_original")


def test_row_excluded_by_options_is_refused(planned: Callable[..., RunConfig], refuses: Refuses) -> None:
    refuses(lambda: planned(claim=["build[digits-qnnpack-lite]"], engine=["x86"]), "build[digits-qnnpack-lite]")


def test_run_config_with_claims_and_shard_reaches_worker(planned: Callable[..., RunConfig]) -> None:
    plan = planned(claim=["build"], shard="1/3")

    assert RunConfig.from_json(plan.to_json()) == plan


def test_shard_needs_only_its_own_inputs(planned: Callable[..., RunConfig]) -> None:
    every = range(1, len(groups()) + 1)
    own = [planned(case=["all"], shard=f"{number}/{len(groups())}").own_cases() for number in every]

    no_engine = [() for _ in read_cases()]  # successors were not asked for
    assert sorted(own) == sorted([(), *no_engine] + [(case,) for case in read_cases() for _ in ENGINES])
    assert planned(claim=["calls"]).own_cases() == ()


# Runs of pytest, of a made-up suite whose tests only carry the claims' markers


@dataclass(frozen=True)
class Done:
    status: int
    text: str
    file: Path

    @property
    def record(self) -> Record:
        return read_record(self.file)


_NO_TORCH = """
import json
import vitgate.observe.environment as environment
environment.check_imports = lambda: None
environment.describe = lambda: json.loads({about!r})
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Done]:
    """Return a function that runs the made-up suite; what would import torch is told what to say."""
    folder = tmp_path_factory.mktemp("shards")
    shutil.copytree(fixtures_folder(), folder / "fixtures")
    (folder / "fixtures" / "deviations.toml").write_text("deviation = []\n", encoding="utf-8")
    (folder / "conftest.py").write_text('pytest_plugins = ("vitgate.plugin",)\n', encoding="utf-8")
    about = read_record(fixtures_folder() / "records" / "2.15.0.json").environment.model_dump_json()
    (folder / "sitecustomize.py").write_text(_NO_TORCH.format(about=about), encoding="utf-8")
    (folder / "suite").mkdir()
    for claim in read_claims().values():
        (folder / "suite" / f"test_{claim.id}.py").write_text(_made_up(claim), encoding="utf-8")

    def run(*arguments: str, workers: str = "0", name: str = "record") -> Done:
        record = folder / f"{name}.json"
        record.unlink(missing_ok=True)
        options = ["-p", "no:cacheprovider", "-n", workers, f"--record={record}", "--case=digits", *arguments]
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV_"))}
        path = os.pathsep.join([str(folder), *(text for text in sys.path if text)])
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "suite", *options],
            cwd=folder,
            env={**variables, "VITGATE_FIXTURES": str(folder / "fixtures"), "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        return Done(done.returncode, done.stdout + done.stderr, record)

    return run


def _made_up(claim: Claim) -> str:
    ids = [name[len(claim.id) + 1 : -1] for name in rows_of(claim)]
    every = f"@pytest.mark.parametrize('call', {ids!r})\n" if claim.per == "call" else ""
    argument = {"cell": "cell", "engine": "cell", "case": "cell", "file": "item", "call": "call"}.get(claim.per, "")
    body = f"def test_{claim.id}({argument}):\n    pass\n"
    mark = f"@pytest.mark.claim({claim.id!r})\n"
    return f"import pytest\n\n{mark}{every}{body}"


def test_merged_shards_equal_whole_run_in_any_order(suite: Callable[..., Done]) -> None:
    parts = [suite("--shard", f"{k}/2", name=f"part{k}") for k in (2, 1)]
    whole = suite().record
    records = [done.record for done in parts]
    merged = merge(records)

    assert [done.status for done in parts] == [0, 0], parts[0].text
    assert [(record.shard, record.complete, record.missing) for record in records] == [
        (f"{k}/2", False, ()) for k in (2, 1)
    ]
    assert sum(len(record.claims) for record in records) == len(whole.claims)
    assert (merged.complete, merged.claims) == (True, whole.claims)
    check_consistent(merged, where="the merged record")


@pytest.mark.parametrize("claim", [(), ("--claim", "lite_bytecode")])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_empty_shard_writes_valid_record(suite: Callable[..., Done], workers: str, claim: tuple[str, ...]) -> None:
    done = suite("--engine", "x86", "--shard", "30/40", *claim, workers=workers)

    assert (done.status, done.record.claims, done.record.shard) == (0, (), "30/40"), done.text
    assert done.record.environment.torch.startswith("2.15.0")


def test_lost_test_is_missing_from_its_shard_alone(planned: Callable[..., RunConfig], tmp_path: Path) -> None:
    for number in range(1, 10):
        plan = planned(case=["digits"], shard=f"{number}/9")
        record = assemble(plan, Store(tmp_path / "evidence"), [], narrowed=False)
        own = {name for name in expected_claims(plan) if plan.in_shard(name)}
        others = {"calls", "native_program", "warnings", "preprocessing"} if plan.has_group(OTHERS) else set()

        assert set(record.missing) == own | others
        assert (record.shard, record.complete) == (f"{number}/9", False)


def test_invalid_shard_gives_one_line_error(suite: Callable[..., Done]) -> None:
    done = suite("--shard", "3/2")

    assert done.status == 4
    assert "ERROR" in done.text
    assert "Traceback" not in done.text
    assert not done.file.exists()


@pytest.mark.parametrize(
    ("claims", "rows"),
    [
        (["build[digits-qnnpack-optimized]"], {"build[digits-qnnpack-optimized]"}),
        (["table", "preprocessing"], {"preprocessing", "table"}),
    ],
    ids=["row", "ids"],
)
def test_only_the_tests_of_a_claim_are_run(suite: Callable[..., Done], claims: list[str], rows: set[str]) -> None:
    done = suite(*(f"--claim={name}" for name in claims))
    names = {name for row in done.record.claims for name in (row.name, row.claim) if name in rows}

    assert (done.status, names) == (0, rows), done.text
    assert all(row.name in rows or row.claim in rows for row in done.record.claims)
    assert (done.record.complete, done.record.missing) == (False, ())


def test_unknown_claim_gives_one_line_with_known_ones(suite: Callable[..., Done]) -> None:
    done = suite("--claim", "bild")

    assert done.status == 4
    assert not done.file.exists()
    assert "unknown claim 'bild'" in done.text
    assert "build, label, repeatable" in done.text


def test_selection_of_pytests_own_that_leaves_a_shard_nothing_is_no_run(suite: Callable[..., Done]) -> None:
    done = suite("--engine", "x86", "--shard", "1/2", "-k", "no_such_test")

    assert (done.status, done.file.exists()) == (5, False), done.text
