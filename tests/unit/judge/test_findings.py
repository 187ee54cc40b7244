"""From evidence to numbers: labels, repetition, sizes, weights, latency."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitgate.inputs.field_files import Seen
from vitgate.judge import findings
from vitgate.judge.metrics import sqnr
from vitgate.spec.outcome import Evidence, Finding, Outcome

LOGITS = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 1.5]], dtype=np.float32)


def outputs(logits: Any, again: Any = None) -> Evidence:
    logits = np.asarray(logits, dtype=np.float32)
    return Evidence(arrays={"logits": logits, "again": logits[:1] if again is None else np.asarray(again, np.float32)})


def pictures(labels: Any) -> Evidence:
    return Evidence({"names": ["wolf", "cat", "dog"][: len(labels)]}, {"labels": np.asarray(labels)})


def by_name(found: Any) -> Any:
    return {finding.statistic: finding for finding in found}


def test_block_distances_are_shown_and_not_judged() -> None:
    found = findings.by_block(Evidence({"sqnr": {"patch_embed": 40.0, "blocks.0": math.nan, "head": 35.0}}))

    assert [finding.statistic for finding in found] == ["sqnr at patch_embed", "sqnr at blocks.0", "sqnr at head"]
    assert [finding.value for finding in found if not math.isnan(finding.value)] == [40.0, 35.0]
    assert not any(finding.judged for finding in found)


def test_model_without_blocks_shows_no_distance() -> None:
    assert findings.by_block(Evidence(outcome=Outcome("failed at", at="run", error="LookupError"))) == ()


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


def seconds(thread: Any, wall: Any = None, process: Any = None, waited: Any = None) -> Any:
    waited = [0.0] * len(thread) if waited is None else waited
    clocks = {"thread": thread, "wall": wall or thread, "process": process or thread, "waited": waited}
    return {**clocks, "profiled_ms": 9.0}


def test_correct_labels_pass() -> None:
    found = by_name(findings.labels(outputs(LOGITS), pictures([1, 0]), outputs(LOGITS), kind="trained"))

    assert tuple(found.values()) == (
        Finding("right_labels", 1.0, "1"),
        Finding("smallest_margin", 0.5, "logits", judged=False, note="cat"),
        Finding("same_labels", 1.0, "1", against="original", judged=False),
    )


def test_a_wrong_label_is_named_with_its_picture() -> None:
    found = by_name(findings.labels(outputs(LOGITS), pictures([1, 2]), outputs(LOGITS), kind="trained"))

    assert found["right_labels"].value == 0.5
    assert found["right_labels"].note == "cat: got 0, expected 2"


def test_all_wrong_labels_are_named() -> None:
    found = by_name(findings.labels(outputs(LOGITS), pictures([0, 2]), outputs(LOGITS), kind="trained"))

    assert found["right_labels"] == Finding(
        "right_labels", 0.0, "1", note="wolf: got 1, expected 0, cat: got 0, expected 2"
    )


@pytest.mark.parametrize(("known", "labels", "right"), [(2, [1, 2], 0.5), (2, [1, 0], 1.0), (1, [1, 2], 1.0)])
def test_only_first_known_pictures_are_judged_without_true_labels(known: int, labels: list[int], right: float) -> None:
    shown = replace(pictures(labels), values={"names": ["wolf", "cat"], "known": known})

    found = by_name(findings.labels(outputs(LOGITS), shown, outputs(LOGITS), kind="pretrained"))

    assert found["right_labels"].value == right
    assert not found["same_labels"].judged


def test_unknown_labels_are_compared_with_original() -> None:
    shown = replace(pictures([0, 0]), values={"names": ["ball", "cat"], "known": 0})
    other = outputs(LOGITS[[0, 0]])

    assert findings.labels(other, shown, outputs(LOGITS), kind="pretrained") == (
        Finding("same_labels", 0.5, "1", against="original"),
    )


def test_only_reference_is_judged_without_true_labels() -> None:
    logits = np.vstack([LOGITS, LOGITS[:1]])
    original = outputs([[0.0, 1.0, 0.0], [0.0, 0.0, 9.0], [5.0, 0.0, 0.0]])

    found = by_name(findings.labels(outputs(logits), pictures([1, 0, 1]), original, kind="pretrained"))

    assert found["right_labels"].value == 1.0
    assert (found["same_labels"].value, found["same_labels"].judged) == (pytest.approx(1 / 3), False)


def test_reference_needs_its_label_without_true_labels() -> None:
    wrong = outputs([[9.0, 0.0, 0.0], [2.0, 0.0, 1.5]])

    found = by_name(findings.labels(wrong, pictures([1, 0]), wrong, kind="pretrained"))

    assert found["right_labels"].note == "wolf: got 0, expected 1"


@pytest.mark.parametrize("kind", ["trained", "pretrained", "own"])
@pytest.mark.parametrize(
    ("logits", "reference", "labels", "note"),
    [
        ([[0.0, math.nan, 1.0], [2.0, 0.0, 1.5]], LOGITS, [1, 0], "NaN or Inf among the logits"),
        ([[0.0, math.inf, 1.0], [2.0, 0.0, 1.5]], LOGITS, [1, 0], "NaN or Inf among the logits"),
        (LOGITS, [[0.0, 3.0, 1.0], [math.nan, 0.0, 1.5]], [1, 0], "NaN or Inf among the logits"),
        (LOGITS[:1], LOGITS, [1, 0], "logits of shape (1, 3), original (2, 3), 2 labels"),
        (LOGITS, LOGITS[:1], [1, 0], "logits of shape (2, 3), original (1, 3), 2 labels"),
        (LOGITS, LOGITS, [1], "logits of shape (2, 3), original (2, 3), 1 labels"),
        (LOGITS[0], LOGITS[0], [1, 0, 1], "logits of shape (3,), original (3,), 3 labels"),
        (np.empty((0, 3)), np.empty((0, 3)), [], "logits of shape (0, 3), original (0, 3), 0 labels"),
        (np.empty((2, 0)), np.empty((2, 0)), [1, 0], "logits of shape (2, 0), original (2, 0), 2 labels"),
        (LOGITS, LOGITS, [269, 0], "label 269 of 3 classes"),
        (LOGITS, LOGITS, [1, 3], "label 3 of 3 classes"),
    ],
    ids=[
        "nan",
        "inf",
        "nan-in-original",
        "fewer-outputs",
        "fewer-of-original",
        "fewer-labels",
        "one-dimension",
        "no-picture",
        "no-class",
        "label-of-another-model",
        "one-label-too-high",
    ],
)
def test_labels_of_invalid_logits_are_nan(
    logits: NDArray[Any] | list[list[float]],
    reference: NDArray[Any] | list[list[float]],
    labels: list[int],
    note: str,
    kind: str,
) -> None:
    found = findings.labels(outputs(logits), pictures(labels), outputs(reference), kind=kind)

    assert found == (Finding("right_labels", math.nan, "1", note=note),)  # math.nan is one object, so equal to itself


def test_repeated_equal_logits_differ_by_zero() -> None:
    assert findings.repeated(outputs(LOGITS)) == Finding("difference_on_repeat", 0.0, "logits")
    assert findings.repeated(outputs([[2.0]])).value == 0.0  # one number is enough


def test_different_logits_on_repeat_show_as_difference() -> None:
    assert findings.repeated(outputs(LOGITS, again=[[0.0, 3.25, 1.0]])).value == 0.25


@pytest.mark.parametrize(
    "again",
    [np.empty((0, 3)), [[0.0, 3.0]], [[math.nan, 3.0, 1.0]]],
    ids=["nothing", "other-shape", "nan"],
)
def test_incomparable_repetition_is_nan(again: NDArray[Any] | list[list[float]]) -> None:
    assert math.isnan(findings.repeated(outputs(LOGITS, again=again)).value)


def test_equal_logits_of_native_program_differ_by_zero() -> None:
    found = by_name(findings.native(outputs(LOGITS), outputs(LOGITS)))

    assert (found["difference"].value, found["same_labels"].value) == (0.0, 1.0)
    assert {(finding.statistic, finding.judged) for finding in found.values()} == {
        ("difference", True),
        ("same_labels", False),
    }


def test_differing_native_program_shows_difference_and_lost_labels() -> None:
    other = LOGITS + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.75]], np.float32)

    found = by_name(findings.native(outputs(LOGITS), outputs(other)))

    assert (found["difference"].value, found["same_labels"].value) == (0.75, 0.5)


@pytest.mark.parametrize("other", [LOGITS[:1], LOGITS[:, :2], LOGITS[:0], LOGITS * np.nan], ids=len)
def test_incomparable_native_logits_are_nan(other: NDArray[Any]) -> None:
    (found,) = findings.native(outputs(LOGITS), outputs(other))

    assert math.isnan(found.value)
    assert found.note
    assert math.isnan(findings.native(outputs(other), outputs(LOGITS))[0].value)


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
        (held(89, least=90), 1 - 11 / 60),
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


def test_user_picture_mislabelled_by_original_is_not_held_against_variant() -> None:
    original = outputs([[0.0, 3.0, 1.0], [0.0, 2.0, 1.5]])
    shown = pictures([1, 0])

    assert by_name(findings.labels(original, shown, None, kind="own"))["right_labels"].value == 0.5
    assert by_name(findings.labels(original, shown, original, kind="own"))["right_labels"].value == 1.0
    lost = outputs([[3.0, 0.0, 1.0], [2.0, 0.0, 1.5]])
    found = by_name(findings.labels(lost, shown, original, kind="own"))["right_labels"]
    assert (found.value, found.note) == (0.0, "wolf: got 0, expected 1")


def test_sign_of_single_logit_is_its_label() -> None:
    found = by_name(findings.labels(outputs([[2.0], [-0.5]]), pictures([1, 0]), None, kind="own"))

    assert found["right_labels"].value == 1.0
    assert found["smallest_margin"].value == 0.5
    assert (
        by_name(findings.labels(outputs([[2.0], [0.5]]), pictures([1, 0]), None, kind="own"))["right_labels"].value
        == 0.5
    )


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
    assert [name for name, row in found.items() if not row.judged] == ["linears"]
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


def test_latency_is_a_ratio_with_its_guards_and_the_plain_times_unjudged() -> None:
    samples = {
        "original": seconds([1.0] * 4),
        "lite": seconds([0.5] * 4, [0.6, 2.1, 1.2, 0.8], process=[1.0, 1.0, 0.75, 1.0], waited=[0.0, 0.0, 0.6, 0.2]),
    }

    found = by_name(findings.latency(samples, "lite"))

    assert {name: row.value for name, row in found.items()} == pytest.approx(
        {"ratio": 0.5, "asleep_per_cpu": 0.2, "waited_per_cpu": 0.4, "process_per_thread": 1.5}
        | {"latency": 500.0, "profiler": 9.0},
        abs=2e-5,  # what reading the clocks takes
    )
    interval = found["ratio"].note.removesuffix(", 4 rounds").split()
    assert interval[0::2] == ["interval", "to"]
    assert float(interval[1]) < 0.5 < float(interval[3])
    assert tuple(replace(row, value=0.0) for row in found.values()) == (
        Finding("ratio", 0.0, "1", against="original", note=found["ratio"].note),
        Finding("asleep_per_cpu", 0.0, "1"),
        Finding("waited_per_cpu", 0.0, "1", judged=False),
        Finding("process_per_thread", 0.0, "1"),
        Finding("latency", 0.0, "ms", judged=False),
        Finding("profiler", 0.0, "ms", judged=False, note="the tutorial's own figure"),
    )


@pytest.mark.parametrize(("own", "judged"), [(1.11, 0.05), (1.06, 0.0)], ids=["sleeps", "does-not"])
def test_time_asleep_is_judged_beyond_what_original_sleeps(own: float, judged: float) -> None:
    samples = {"original": seconds([1.0] * 4, [1.06] * 4), "lite": seconds([1.0] * 4, [own] * 4)}

    found = by_name(findings.latency(samples, "lite"))["asleep_per_cpu"]
    beside = by_name(findings.latency(samples, "original"))["asleep_per_cpu"]

    assert found.value == pytest.approx(judged, abs=2e-5)
    assert found.note == f"it sleeps {own - 1:.2%}, the original beside it 6.00%"
    assert (found.judged, beside.judged, beside.value) == (True, False, pytest.approx(0.06, abs=2e-5))


@pytest.mark.parametrize(
    "samples",
    [{}, {"original": seconds([1.0])}, {"lite": seconds([1.0])}, {"original": seconds([1.0]), "lite": seconds([])}],
    ids=["none", "none-of-the-variant", "none-of-the-original", "no-round"],
)
def test_latency_without_samples_is_nan(samples: dict[str, dict[str, Any]]) -> None:
    found = by_name(findings.latency(samples, "lite"))

    assert math.isnan(found["ratio"].value)
    if len(samples) < 2:
        assert tuple(found.values()) == (Finding("ratio", math.nan, "1", against="original", note="no samples"),)


def test_guards_with_unpaired_samples_are_nan() -> None:
    samples = {"original": seconds([1.0] * 4), "lite": seconds([0.5] * 4, wall=[0.5] * 3, process=[0.5] * 5)}

    found = by_name(findings.latency(samples, "lite"))

    assert math.isnan(found["asleep_per_cpu"].value)
    assert math.isnan(found["process_per_thread"].value)


def test_guards_over_zero_time_are_nan() -> None:
    samples = {"original": seconds([1.0] * 4), "lite": seconds([0.5, 0.0, 0.5, 0.5], wall=[0.5] * 4)}

    assert math.isnan(by_name(findings.latency(samples, "lite"))["asleep_per_cpu"].value)


def test_wall_time_is_not_judged_without_waiting_times() -> None:
    samples = {"original": seconds([1.0] * 4), "lite": seconds([0.5] * 4, wall=[9.0] * 4, waited=[])}

    assert {"asleep_per_cpu", "waited_per_cpu"}.isdisjoint(by_name(findings.latency(samples, "lite")))


def test_parameters_in_another_order_and_stray_records_are_counted() -> None:
    changed = {**readback([layer()], []), "out_of_order": ["norm1"], "strays": ["data/7"], "unreadable": ["x"]}
    found = by_name(findings.weights(changed, quantized=True))
    assert [found[name].value for name in ("misplaced_parameters", "stray_records", "unreadable_objects")] == [1, 1, 1]


def test_zero_compared_parameters_are_nan() -> None:
    found = by_name(findings.weights({**readback([layer()], []), "count": 0}, quantized=True))
    assert math.isnan(found["surplus_linears"].value)


# ---- files from the field

X = np.zeros((2, 1, 2, 2), dtype=np.float32)


def noisy(logits: Any, decibels: Any, seed: Any = 0) -> Any:
    """Return the logits with noise of that many decibels below them."""
    noise = np.random.default_rng(seed).standard_normal(logits.shape)
    scale = np.sqrt((logits**2).sum() / (noise**2).sum()) * 10 ** (-decibels / 20)
    return (logits + scale * noise).astype(np.float32)


def test_field_file_without_logits_must_repeat_finite_logits() -> None:
    found = findings.field(outputs(LOGITS), Seen(X, None, None))

    assert found == (Finding("finite", 1.0, "1"), Finding("difference_on_repeat", 0.0, "logits"))
    assert findings.field(outputs([[2.0]]), Seen(X, None, None))[0].value == 1.0  # one number is enough


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_inf_and_empty_logits_are_not_finite(value: float) -> None:
    logits = LOGITS.copy()
    logits[1, 2] = value

    assert by_name(findings.field(outputs(logits), Seen(X, None, None)))["finite"].value == 0.0
    assert by_name(findings.field(outputs(LOGITS[:0]), Seen(X, None, None)))["finite"].value == 0.0


def test_user_file_is_judged_by_user_bound() -> None:
    found = by_name(findings.field(outputs(noisy(LOGITS, 30)), Seen(X, LOGITS, None, 25.0, "field.toml: bound")))

    sqnr = found["sqnr"]
    assert replace(sqnr, value=0.0) == Finding("sqnr", 0.0, "dB", 25.0, against="maker", tolerance="field.toml: bound")
    assert sqnr.value == pytest.approx(30, abs=0.1)
    assert sqnr.ok
    assert found["same_labels"] == Finding("same_labels", 1.0, "1", against="maker")
    assert not by_name(findings.field(outputs(noisy(LOGITS, 20)), Seen(X, LOGITS, None, 25.0, "b")))["sqnr"].ok


def test_changed_label_is_seen_whatever_the_bound() -> None:
    found = by_name(findings.field(outputs(LOGITS[:, ::-1]), Seen(X, LOGITS, None, -99.0, "b")))

    assert found["same_labels"].value == 0.5  # the first picture keeps its own, in the middle


def test_built_file_is_compared_with_its_makers_error() -> None:
    seen = Seen(X, noisy(LOGITS, 28), LOGITS)

    every = findings.field(outputs(noisy(LOGITS, 28, seed=1)), seen)
    found = by_name(every)

    to_maker, distance, change, to_original = every[-4:]
    assert [to_maker.value, to_original.value] == pytest.approx([25, 28], abs=2)
    assert [replace(finding, value=0.0) for finding in every[-4:]] == [
        Finding("sqnr", 0.0, "dB", against="maker", judged=False),
        Finding("distance", 0.0, "dB", against="maker", note="the maker's own error was 28.0 dB"),
        Finding("sqnr_change", 0.0, "dB", against="maker"),
        Finding("sqnr", 0.0, "dB", against="original"),  # the absolute floor, whatever the maker saw
    ]
    assert distance.value == pytest.approx(to_maker.value - 28, abs=0.1)
    assert change.value == pytest.approx(to_original.value - 28, abs=0.1)
    assert found["distance"].value == pytest.approx(-3, abs=2)
    assert found["sqnr_change"].value == pytest.approx(0, abs=0.2)
    exact = by_name(findings.field(outputs(seen.logits), seen))
    assert exact["distance"].value > 50
    assert exact["sqnr_change"].value == 0.0


def test_maker_error_below_rounding_counts_as_rounding() -> None:
    found = by_name(findings.field(outputs(LOGITS), Seen(X, LOGITS, LOGITS)))

    assert found["sqnr_change"].value == 0.0
    assert found["distance"].value >= 0.0


@pytest.mark.parametrize("logits", [LOGITS[:1], LOGITS[:, :2], LOGITS.ravel(), LOGITS[:0]])
@pytest.mark.parametrize("original", [None, LOGITS])
def test_logits_of_another_shape_never_match(logits: NDArray[Any], original: NDArray[Any] | None) -> None:
    found = by_name(findings.field(outputs(logits), Seen(X, LOGITS, original, 20.0, "b")))

    judged = [finding for finding in found.values() if finding.against == "maker" and finding.judged]
    assert judged
    assert all(math.isnan(finding.value) and not finding.ok for finding in judged)


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


def test_one_class_of_one_picture_is_compared() -> None:
    one = np.array([[2.0]], dtype=np.float32)

    assert by_name(findings.field(outputs(one), Seen(X, one, None, 20.0, "b")))["same_labels"].value == 1.0


@pytest.mark.filterwarnings("error")  # the mean of nothing
def test_empty_logits_never_match() -> None:
    found = by_name(findings.field(outputs(LOGITS[:0]), Seen(X, LOGITS[:0], None, 20.0, "b")))

    assert math.isnan(found["same_labels"].value)


# The anchor


def test_anchor_is_distance_from_committed_logits() -> None:
    committed = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)

    assert findings.anchor(committed, committed) == (
        Finding("finite", 1.0, "1"),
        Finding("sqnr", sqnr(committed, committed), "dB", against="committed"),
    )
    (_, found) = findings.anchor(committed * np.float32(1.1), committed)
    assert found.value == pytest.approx(20.0, abs=1e-3)


def test_uncommitted_anchor_must_be_finite() -> None:
    for shape in ((2, 2), (1, 1)):
        assert findings.anchor(np.ones(shape, np.float32), None) == (Finding("finite", 1.0, "1"),)


@pytest.mark.parametrize("logits", [np.empty((0, 2), np.float32), np.array([[1.0, np.nan]], np.float32)])
def test_nan_anchor_is_not_finite(logits: NDArray[Any]) -> None:
    assert findings.anchor(logits, None) == (Finding("finite", 0.0, "1"),)


def test_anchor_of_another_shape_names_both_shapes() -> None:
    (_, found) = findings.anchor(np.ones((1, 2), np.float32), np.ones((2, 2), np.float32))
    assert found.note == "shapes (2, 2) and (1, 2)"
    assert math.isnan(found.value)


@pytest.mark.parametrize(("modules", "code"), [(19, 1_970_000.0), (276, 2_360_000.0), (429, 3_100_000.0)])
def test_compiled_package_has_room_for_its_library_whatever_the_model(modules: int, code: float) -> None:
    model = {"numbers": 1000, "used": 1000, "linear": 0, "modules": modules}
    own = Evidence({"bytes": 4 * 1000 + code})
    found = findings.successor_sizes(
        own, model, Evidence(outcome=Outcome("unsupported")), stored="float32", runtime="inductor"
    )
    assert 2990 < found[0].value < 4383
