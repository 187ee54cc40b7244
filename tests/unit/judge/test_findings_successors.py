"""From a successor's file to numbers: what it takes beyond the model's tensors, beside the tutorial's int8 file."""

from __future__ import annotations

import pytest

from vitgate.judge import findings
from vitgate.spec.outcome import Evidence, Finding, Outcome
from vitgate.spec.variants import NumberType

MODEL = {"numbers": 1000, "used": 900, "linear": 600, "modules": 8}
NO_INT8 = Evidence(outcome=Outcome("unsupported"))


def test_successor_file_is_judged_by_what_it_takes_beyond_its_tensors() -> None:
    found = findings.successor_sizes(
        Evidence({"bytes": 5000}), MODEL, Evidence({"bytes": 4000}), stored="float32", runtime="onnxruntime"
    )

    assert found == (
        Finding("code_per_module", 25.0, "bytes"),  # 1000 bytes beyond 4 of each number, 8 modules and 32 of any file
        Finding("size_per_number", 5.0, "bytes", judged=False),
        Finding("size", 5000.0, "bytes", judged=False),
        Finding("size_ratio", 1.25, "1", against="scripted_quantized", judged=False),
    )


def test_successor_file_is_compared_with_no_int8_file_that_failed() -> None:
    found = findings.successor_sizes(Evidence({"bytes": 5000}), MODEL, NO_INT8, stored="float32", runtime="onnxruntime")

    assert [each.statistic for each in found] == ["code_per_module", "size_per_number", "size"]


@pytest.mark.parametrize(
    ("stored", "size", "beyond"),
    [
        ("float32", 3599, -1),
        ("float32", 3600, 0),
        ("float32", 4000, 0),
        ("float32", 4001, 1),
        ("bfloat16", 1799, -1),
        ("bfloat16", 2001, 1),
        ("int8", 1799, -1),
        ("int8", 2201, 1),
    ],
)
def test_successor_file_holds_what_a_call_reads_or_all_numbers(stored: NumberType, size: int, beyond: float) -> None:
    (found, *_) = findings.successor_sizes(
        Evidence({"bytes": size}), MODEL, NO_INT8, stored=stored, runtime="onnxruntime"
    )

    assert found.value == beyond / 40


@pytest.mark.parametrize(("modules", "code"), [(19, 1_970_000.0), (276, 2_360_000.0), (429, 3_100_000.0)])
def test_compiled_package_has_room_for_its_library_whatever_the_model(modules: int, code: float) -> None:
    model = {"numbers": 1000, "used": 1000, "linear": 0, "modules": modules}
    own = Evidence({"bytes": 4 * 1000 + code})
    found = findings.successor_sizes(own, model, NO_INT8, stored="float32", runtime="inductor")
    assert 2990 < found[0].value < 4383
