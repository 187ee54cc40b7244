"""Which tests belong together on one worker, and in which order they run."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from vitgate.plugin.scheduling import cell_of, CellScheduling, ordered, scope_of
from vitgate.spec.cells import CellId
from vitgate.spec.engines import Engine, ENGINES
from vitgate.spec.variants import VARIANTS


class Item:
    """As much of a pytest item as scheduling looks at."""

    def __init__(self, nodeid: str, *, alone: bool = False, **params: object) -> None:
        self.nodeid, self._alone = nodeid, alone
        if params:
            self.callspec = SimpleNamespace(params=params)

    def get_closest_marker(self, name: str) -> object:
        return object() if name == "alone" and self._alone else None


def about(cell: CellId, claim: str = "label", *, alone: bool = False) -> Any:
    return Item(f"tests/conformance/test_{claim}.py::test_{claim}[{cell}]", alone=alone, cell=cell)


def group(case: str, engine: Engine) -> Any:
    cell = CellId(case, engine, "original")
    return Item(f"tests/conformance/test_table.py::test_table[{case}-{engine}]", alone=True, cell=cell)


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/conformance/test_label.py::test_label[digits-x86-lite]", "digits-x86"),
        ("tests/conformance/test_label.py::test_label[digits-x86-lite_frozen]", "digits-x86"),
        ("tests/conformance/test_label.py::test_label[deit_base-qnnpack-scripted_quantized]", "deit_base-qnnpack"),
        ("tests/conformance/test_field.py::test_field[2.9.1-digits-x86-lite]", "tests/conformance/test_field.py:x86"),
        (
            "tests/conformance/test_field.py::test_artifacts[2.9.1-deit_base-x86-scripted]",
            "tests/conformance/test_field.py:x86:float",
        ),
        ("tests/conformance/test_field.py::test_artifacts[own-phone.ptl]", "tests/conformance/test_field.py:user"),
        ("tests/conformance/test_label.py::test_label[digits-x86-original]", "digits-float"),
        ("tests/conformance/test_label.py::test_label[digits-fbgemm-scripted]", "digits-float"),
        ("tests/conformance/test_latency.py::test_latency[digits-x86-scripted]", "digits-x86"),
        ("tests/conformance/test_weights.py::test_weights[digits-x86-scripted]", "digits-weights"),
        ("tests/conformance/test_weights.py::test_weights[digits-qnnpack-lite]", "digits-weights"),
        ("tests/conformance/test_processors.py::test_processors[digits-x86-lite]", "digits-processors"),
        ("tests/conformance/test_processors.py::test_processors[digits-none-inductor_int8]", "digits-processors"),
        ("tests/conformance/test_table.py::test_table[digits-x86]", "digits-x86"),
        ("tests/conformance/test_label.py::test_label[digits-none-onnx]", "digits-none"),
        ("tests/conformance/test_label.py::test_label[digits-none-inductor]", "digits-compiled"),
        ("tests/conformance/test_latency.py::test_latency[digits-none-inductor]", "digits-none"),
        ("tests/conformance/test_api.py::test_calls[torch.jit.script]", "tests/conformance/test_api.py"),
        ("tests/conformance/test_api.py::test_calls[a-b]", "tests/conformance/test_api.py"),
        ("tests/unit/test_a.py::test_b", "tests/unit/test_a.py"),
        ("tests/unit/test_a.py::TestC::test_b[1]", "tests/unit/test_a.py"),
    ],
)
def test_scope_is_case_and_engine_or_file(nodeid: str, scope: str) -> None:
    assert scope_of(nodeid) == scope


def test_every_quantized_cell_of_a_case_and_engine_is_one_scope_and_float_ones_another() -> None:
    cells = [CellId("digits", engine, variant) for engine in ENGINES for variant in VARIANTS]

    scopes = {scope_of(about(cell).nodeid) for cell in cells}

    assert scopes == {"digits-float", *(f"digits-{engine}" for engine in ENGINES)}


def test_xdist_splits_by_scope() -> None:
    scheduling = CellScheduling.__new__(CellScheduling)  # its constructor wants a whole xdist session

    assert scheduling._split_scope("tests/conformance/test_label.py::test_label[digits-x86-lite]") == "digits-x86"


@pytest.mark.parametrize(
    ("item", "cell"),
    [
        (about(CellId("digits", "x86", "lite")), CellId("digits", "x86", "lite")),
        (Item("a.py::test"), None),
        (Item("a.py::test[1]", other=1), None),
        (Item("a.py::test[x]", cell="a prison"), None),
    ],
    ids=["a-cell", "no-parameters", "other-parameters", "another-thing-called-cell"],
)
def test_cell_of_test_is_its_cell_parameter(item: Any, cell: CellId | None) -> None:
    assert cell_of(item) == cell


def test_each_scope_is_contiguous_with_latency_tests_last() -> None:
    groups = [(case, engine) for case in ("digits", "deit_base") for engine in ENGINES]
    cells = [CellId(case, engine, variant) for case, engine in groups for variant in VARIANTS]
    items = [about(cell, claim, alone=claim == "latency") for claim in ("latency", "label") for cell in cells]
    items += [group(case, engine) for case, engine in groups]
    random.Random(0).shuffle(items)

    order = ordered(items)

    scopes = [scope_of(item.nodeid) for item in order]
    runs = [scope for i, scope in enumerate(scopes) if i == 0 or scopes[i - 1] != scope]
    slowest_first = ("float", "qnnpack", "onednn", "x86", "fbgemm")
    assert runs == [f"{case}-{part}" for case in ("deit_base", "digits") for part in slowest_first]
    for scope in set(scopes):
        alone = [item.get_closest_marker("alone") is not None for item in order if scope_of(item.nodeid) == scope]
        assert alone == sorted(alone)
    assert {item.nodeid for item in order} == {item.nodeid for item in items}


def test_program_is_compiled_first_and_run_last() -> None:
    cell = CellId("digits", "x86", "lite")
    tests = [about(cell, "native"), about(cell, "latency", alone=True), about(cell, "weights"), about(cell, "size")]
    program: Any = Item("tests/conformance/test_native.py::test_native_program")
    first: Any = Item("tests/conformance/test_api.py::test_calls[load]")

    order = ordered([first, *tests, program])

    names = [item.nodeid.partition("::")[2].partition("[")[0] for item in order]
    assert names == ["test_native_program", "test_latency", "test_weights", "test_size", "test_native", "test_calls"]


def test_tests_of_one_file_are_adjacent() -> None:
    cells = [CellId("digits", engine, variant) for engine in ("x86", "qnnpack") for variant in ("lite", "scripted")]
    claims = ("arithmetic", "layers", "lite_bytecode", "weights")
    tests = [about(cell, claim) for claim in claims for cell in cells]

    subjects = [item.nodeid.partition("[")[2] for item in ordered(tests)]

    assert len(set(subjects)) == 4
    assert subjects == [name for name in dict.fromkeys(subjects) for _ in claims]


def test_other_tests_follow_in_original_order() -> None:
    others: list[Any] = [Item("tests/unit/test_b.py::test_2"), Item("tests/unit/test_a.py::test_1[x]", cell="a prison")]
    odd: Any = Item("tests/unit/test_c.py::test_3[cell0]", cell=CellId("digits", "x86", "lite"))

    order = ordered([*others, odd, about(CellId("digits", "x86", "lite"))])

    assert [item.nodeid.partition("::")[2] for item in order] == [
        "test_label[digits-x86-lite]",
        "test_2",
        "test_1[x]",
        "test_3[cell0]",
    ]


def test_test_is_scheduled_by_claim_not_by_file() -> None:
    assert scope_of("tests/conformance/test_weights.py::test_label[digits-x86-scripted]") == "digits-float"
    assert scope_of("tests/conformance/test_size.py::test_weights[digits-x86-scripted]") == "digits-weights"
    assert scope_of("elsewhere/test_weights.py::test_weights[digits-x86-scripted]") == "elsewhere/test_weights.py"
