"""From a saved file to numbers: its size, the weights that it holds, the layers that are quantized."""

from __future__ import annotations

import math
from typing import Any

import pytest

from vitgate.judge import findings
from vitgate.spec.outcome import Evidence, Finding

from .made_evidence import by_name


def readback(layers: Any, unmatched: Any) -> Any:
    clean = {"surplus_layers": 0, "out_of_order": [], "strays": [], "unreadable": [], "count": 9}
    return {"layers": layers, "unmatched": unmatched, **clean}


def layer(**fields: Any) -> Any:
    good = {
        "name": "blocks.0.mlp.fc1",
        "quantized": True,
        "scheme": "per_tensor_affine",
        "dtype": "qint8",
        "max_error_steps": 0.5,
        "levels": 200,
        "scale_ratio": 1.0,
        "bias_equal": True,
    }
    return {**good, **fields}


MODEL = {"numbers": 100, "modules": 8}


def held(stored: int, int8: int = 60, least: int = 100, most: int = 100) -> dict[str, int]:
    sizes = {"stored": stored, "int8": int8, "least": least, "most": most, "unknown": 0}
    return {f"{name}_bytes": size for name, size in sizes.items()}


def file(path: str, size: int) -> Evidence:
    return Evidence({"path": path, "bytes": size})


def test_file_size_is_judged_as_tensors_and_rest() -> None:
    found = findings.sizes(file("c", 180), file("a", 720), file("b", 200), held(100), MODEL, stated=False)

    assert found == (
        Finding("copies", 1.0, "1", note="100 bytes of tensors, the model's 100 to 100"),
        Finding("unknown_bytes", 0.0, "bytes"),
        Finding("code_per_module", 2.0, "bytes"),
        Finding("size", 180.0, "bytes", judged=False),
        Finding("reduction", 0.75, "1", against="scripted", judged=False),
        Finding("size_ratio", 0.9, "1", against="parent", judged=False),
    )


@pytest.mark.parametrize(
    ("tensors", "copies"),
    [
        (held(160), 2.0),
        (held(100), 1.0),
        (held(280), 4.0),  # float32 weights
        (held(101), 1 + 1 / 60),
        (held(95, least=90), 1.0),  # equal tensors stored as one
        (held(152, least=90), 2.0),
        (held(90, least=90), 1.0),
        (held(89, least=90), 1 - 11 / 60),
        (held(40, int8=0, least=40, most=40), 1.0),
        (held(80, int8=0, least=40, most=40), 2.0),
    ],
    ids=str,
)
def test_copies_of_stored_weights_are_counted(tensors: dict[str, int], copies: float) -> None:
    found = by_name(findings.sizes(file("b", 999), file("a", 999), None, tensors, MODEL, stated=False))

    assert found["copies"].value == copies


def test_size_stated_by_tutorial_is_judged() -> None:
    found = by_name(findings.sizes(file("b", 90), file("a", 360), None, held(90), MODEL, stated=True))

    assert found["size"].judged
    assert found["reduction"] == Finding("reduction", 0.75, "1", against="scripted")


def test_the_scripted_file_is_not_compared_with_itself() -> None:
    found = by_name(findings.sizes(file("a", 420), file("a", 420), None, held(100), MODEL, stated=True))

    assert found["size_per_number"] == Finding("size_per_number", 4.2, "bytes", judged=False)
    assert "reduction" not in found


def test_weights_of_sound_quantized_file_pass() -> None:
    found = by_name(findings.weights(readback([layer(), layer()], []), quantized=True))

    assert {name: row.value for name, row in found.items()} == {
        "linears": 2.0,
        "surplus_linears": 0.0,
        "unmatched_parameters": 0.0,
        "misplaced_parameters": 0.0,
        "stray_records": 0.0,
        "unreadable_objects": 0.0,
        "plain_linears": 0.0,
        "other_schemes": 0.0,
        "error": 0.5,
        "levels": 200.0,
        "scale_ratio": 1.0,
        "changed_biases": 0.0,
    }
    assert found["linears"] == Finding("linears", 2.0, "1", judged=False)
    assert [name for name, row in found.items() if not row.judged] == ["linears", "levels"]
    assert {name for name, row in found.items() if row.unit != "1"} == {"error"}
    assert found["error"].unit == "quantization steps"


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("statistic", "fields", "value"),
    [
        ("plain_linears", {"quantized": False}, 1.0),
        ("other_schemes", {"scheme": "per_channel_affine"}, 1.0),
        ("other_schemes", {"dtype": "quint8"}, 1.0),
        ("error", {"max_error_steps": 3.0}, 3.0),
        ("error", {"max_error_steps": math.nan}, math.nan),
        ("levels", {"levels": 2}, 2.0),
        ("scale_ratio", {"scale_ratio": 0.5}, 0.5),
        ("scale_ratio", {"scale_ratio": math.nan}, math.nan),
        ("changed_biases", {"bias_equal": False}, 1.0),
    ],
    ids=["plain", "scheme", "dtype", "error", "error-nan", "levels", "scale", "scale-nan", "bias"],
)
def test_single_bad_layer_decides_and_is_named(
    statistic: str, fields: dict[str, Any], value: float, place: int
) -> None:
    layers = [layer(), layer(), layer()]
    layers[place] = layer(name="bad", **fields)

    found = by_name(findings.weights(readback(layers, []), quantized=True))

    assert found[statistic].value == pytest.approx(value, nan_ok=True)
    assert found[statistic].note == "bad"


def test_unmatched_parameters_are_counted_and_the_first_named() -> None:
    found = by_name(findings.weights(readback([layer()], list("abcd")), quantized=True))

    assert (found["unmatched_parameters"].value, found["unmatched_parameters"].note) == (4.0, "a, b, c")


def test_quantized_linear_in_float_file_is_shown() -> None:
    layers = [layer(quantized=False), layer()]

    found = by_name(findings.weights(readback(layers, []), quantized=False))

    assert found["quantized_linears"] == Finding("quantized_linears", 1.0, "1")


@pytest.mark.parametrize(("quantized", "statistic"), [(True, "plain_linears"), (False, "quantized_linears")])
def test_file_without_linear_is_nan(quantized: bool, statistic: str) -> None:
    found = by_name(findings.weights(readback([], []), quantized=quantized))

    assert math.isnan(found[statistic].value)


def test_parameters_in_another_order_and_stray_records_are_counted() -> None:
    changed = {**readback([layer()], []), "out_of_order": ["norm1"], "strays": ["data/7"], "unreadable": ["x"]}
    found = by_name(findings.weights(changed, quantized=True))
    assert [found[name].value for name in ("misplaced_parameters", "stray_records", "unreadable_objects")] == [1, 1, 1]


def test_zero_compared_parameters_are_nan() -> None:
    found = by_name(findings.weights({**readback([layer()], []), "count": 0}, quantized=True))
    assert math.isnan(found["surplus_linears"].value)


def test_plain_linears_are_counted_and_the_first_named() -> None:
    layers = [layer(name=name, quantized=False) for name in "abcd"] + [layer()]

    found = by_name(findings.weights(readback(layers, []), quantized=True))

    assert found["plain_linears"] == Finding("plain_linears", 4.0, "1", note="a, b, c")
    assert "error" not in found


@pytest.mark.parametrize(("low", "high", "worst"), [(0.7, 1.2, "low"), (0.9, 1.3, "high")])
def test_scale_ratio_farthest_from_one_decides(low: float, high: float, worst: str) -> None:
    layers = [layer(name="low", scale_ratio=low), layer(name="high", scale_ratio=high)]

    found = by_name(findings.weights(readback(layers, []), quantized=True))

    assert found["scale_ratio"].note == worst
