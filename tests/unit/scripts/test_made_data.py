"""The scripts that make committed data: what they compute, and that the committed files are still what they make."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import MANIFEST, SEEN


@pytest.fixture
def engine() -> Iterator[None]:
    """Put PyTorch's quantized engine back afterwards."""
    before = torch.backends.quantized.engine
    yield
    torch.backends.quantized.engine = before


def test_golden_picture_is_the_committed_one(load: Callable[[str], Any]) -> None:
    committed = np.asarray(Image.open(fixtures_folder() / "golden" / "input.png"))

    assert np.array_equal(load("make_golden").picture(), committed)


def test_golden_check_compares_and_writes_nothing(run: Callable[..., Any]) -> None:
    path = fixtures_folder() / "golden" / "preprocess.npz"
    before = path.stat().st_mtime_ns

    ended = run("make_golden", "--check")

    assert "same=True" in ended.out
    assert path.stat().st_mtime_ns == before


def test_written_schema_is_the_committed_one(load: Callable[[str], Any], tmp_path: Path) -> None:
    script = load("export_schema")
    committed, script.TARGET = script.TARGET, tmp_path / "schema.json"

    script.main()

    assert script.TARGET.read_bytes() == committed.read_bytes()


def test_anchor_check_prints_the_distance_and_writes_nothing(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fixtures_folder() / "anchors" / "digits.npz"
    before = path.stat().st_mtime_ns

    ended = run("make_anchors", "--check", "--case", "digits")

    found = re.fullmatch(r"torch \S+: digits ([\d.]+) dB\n", ended.out)
    assert found is not None, ended
    assert float(found[1]) > 80
    assert path.stat().st_mtime_ns == before


def test_exported_files_are_renamed_after_the_package(load: Callable[[str], Any], tmp_path: Path) -> None:
    manifest = {"maker": "2.15.0", "files": [{"id": "2.15.0-none-onnx_int8"}]}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    arrays: dict[str, Any] = {"digits/2.15.0-none-onnx_int8": np.arange(3)}
    np.savez(tmp_path / SEEN, **arrays)

    load("make_field").rename(tmp_path, "onnxruntime_1.32.0")

    found = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert found["files"] == [{"id": "onnxruntime_1.32.0-none-onnx_int8"}]
    with np.load(tmp_path / SEEN) as seen:
        assert {name: seen[name].tolist() for name in seen.files} == {
            "digits/onnxruntime_1.32.0-none-onnx_int8": [0, 1, 2]
        }


def test_unknown_package_is_refused_before_anything_is_made(refused: Callable[..., None]) -> None:
    refused("make_field", "1.0.0", "--package", "numpy", words=("numpy",))


# ---- heads


@pytest.fixture
def measured(load: Callable[[str], Any]) -> Any:
    """Return made-up measurements: 1 version, 4 engines, 2 pictures, 3 features, 4 classes, with labels 0 and 1."""
    features = np.array([[2.0, 0, 0], [0, 4, 0]])
    errors = np.zeros((1, 4, 2, 3))
    errors[:, :3, 0] = [0.1, 0, 0.3]
    errors[:, 3:, 0] = [0, 0.1, -0.1]
    logits = np.array([[[4.0, 0, 3.8, 0], [0, 4, 0, 3.5]]])
    noisy = np.repeat(logits[:, None], 4, axis=1)
    noisy[0, :, 0, 2] += 0.05
    duals = np.linalg.pinv(features).T
    return load("head_build").Measured(np.array([0, 1]), ["2.15.0"], features, duals, errors, logits, noisy)


def test_margins_are_top_1_minus_top_2(load: Callable[[str], Any], measured: Any) -> None:
    assert load("head_report").margins(measured) == pytest.approx(np.array([[0.2, 0.5]]))


def test_margin_errors_are_those_of_rivals_alone(load: Callable[[str], Any], measured: Any) -> None:
    script = load("head_report")

    assert script.rivals_of(measured, 0).tolist() == [2]
    assert script.rivals_of(measured, 1).tolist() == []
    assert script.margin_errors(measured, 0) == pytest.approx(np.full((1, 4, 1), 0.05))


@pytest.mark.parametrize(("family", "sign"), [((0, 1, 2), -1), ((3,), 1)])
def test_steady_rival_faces_the_mean_error_and_keeps_the_reserve(
    load: Callable[[str], Any], measured: Any, family: tuple[int, ...], sign: int
) -> None:
    script = load("head_build")

    offset = script.steady(measured, 0, family)

    assert measured.features @ offset == pytest.approx(np.zeros(2))  # it changes no float32 logit
    assert np.sign(offset).tolist() == [0, 0, sign]
    assert np.abs(measured.errors[:, :, 0] @ offset).max() == pytest.approx(script.STEADY * script.MARGIN)


def test_head_that_loses_a_label_is_refused(load: Callable[[str], Any], measured: Any) -> None:
    from vitgate.files.errors import UsageError

    with pytest.raises(UsageError, match="a label is lost in float32"):
        load("head_report").margins(measured._replace(labels=np.array([1, 1])))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing", "report", "a.npz"), "nothing"),
        (("digits", "report", "a.npz"), "a head is made for a DeiT alone (digits)"),
        (("deit_tiny", "report", "absent.npz"), "cannot read what was measured"),
        (("deit_tiny", "measure", "out.npz"), "--reference does not go with this case (deit_tiny)"),
    ],
)
def test_invalid_make_head_arguments_give_one_line_error(
    refused: Callable[..., None], arguments: tuple[str, ...], words: str
) -> None:
    refused("make_head", *arguments, words=(words,))


# ---- what the digits are measured and trained with


def test_sqnr_of_a_tenth_of_the_power_is_ten_decibels(load: Callable[[str], Any]) -> None:
    reference = torch.tensor([[3.0, 1.0], [0.0, 0.0]])

    assert load("measure_digits").sqnr(reference, reference + torch.tensor([[1.0, 0], [0, 0]])) == pytest.approx(10)


def test_difference_names_the_error_that_a_variant_meets(load: Callable[[str], Any]) -> None:
    script, x = load("measure_digits"), torch.ones(2, 3)

    def broken() -> Any:
        raise RuntimeError("no kernel\nof that name")

    assert script.difference(lambda: lambda each: each + 0.5, x, x) == 0.5
    assert script.difference(broken, x, x) == "RuntimeError: no kernel"


def test_unknown_engine_is_a_usage_error(run: Callable[..., Any]) -> None:
    ended = run("measure_digits", "--engine", "fbgem")

    assert (ended.status, ended.out) == (2, "")
    assert "invalid choice: 'fbgem'" in ended.err


def test_learning_rate_rises_and_falls_to_zero(load: Callable[[str], Any]) -> None:
    pytest.importorskip("sklearn")
    rate = load("train_digits").learning_rate

    assert [rate(step, 12, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [round(rate(step, 12, 4), 3) for step in (4, 8, 12)] == [1.0, 0.5, 0.0]


# ---- what this machine and this PyTorch can do


def test_quantizing_engines_are_those_that_quantize(
    run: Callable[..., Any], load: Callable[[str], Any], engine: None
) -> None:
    default = torch.backends.quantized.engine
    cells = [cell.strip() for cell in run("quantizing_engines").out.strip().strip("|").split("|")]

    listed = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    assert cells[:3] == [torch.__version__.partition("+")[0], ", ".join(listed), default]
    assert default in cells[3].split(", ")


def test_engine_whose_kernels_are_missing_does_not_quantize(
    load: Callable[[str], Any], engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load("quantizing_engines")

    def missing(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("Didn't find engine for operation quantized::linear_prepack")

    assert script.quantizes(torch.backends.quantized.engine)
    monkeypatch.setattr(torch.quantization, "quantize_dynamic", missing)
    assert not script.quantizes(torch.backends.quantized.engine)
