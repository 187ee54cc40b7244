"""The faults that the gate must find: each injects one thing that has gone wrong in the field or could.

To add one, write a function that takes the `Scene`, and decorate it with what must turn red: claims, and for each the
variants (or subjects) about which it is made. `may` names claims that can turn red as well, where numbers decide and
differ between releases. Everything else must stay as in the clean run. Variants that this PyTorch cannot build are left
out of what must turn red, unless the fault is found there too (`everywhere`).
"""

from __future__ import annotations

import copy
import datetime as dt
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vitgate.engines import Engine
from vitgate.evidence import Evidence
from vitgate.field import seen
from vitgate.judge import findings
from vitgate.judge.deviations import Deviation, Deviations, ExpectedNumber, read_deviations
from vitgate.judge.table import parse, render
from vitgate.outcome import Outcome
from vitgate.plugin import settling, tables
from vitgate.plugin.check import Check, FieldCheck

from .harness import CASE, samples, Scene

ALL = ("original", "scripted", "scripted_quantized", "optimized", "lite", "lite_frozen")
FILES = ALL[1:]
INT8 = ALL[2:]
LITE = ("lite", "lite_frozen")
MADE_FROM_INT8 = ("optimized", "lite", "lite_frozen")

Reds = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Fault:
    """One injected fault. `reds`: claim to the variants, or the subjects where it is not about cells, that turn red."""

    id: str
    what: str
    inject: Callable[[Scene], None]
    reds: Reds
    may: tuple[str, ...] = ()
    says: str = ""
    everywhere: bool = False
    engine: Engine = "fbgemm"


_CATALOGUE: list[Fault] = []


def catalogue() -> tuple[Fault, ...]:
    """Return all faults."""
    return tuple(_CATALOGUE)


def fault(
    may: tuple[str, ...] = (),
    says: str = "",
    everywhere: bool = False,
    engine: Engine = "fbgemm",
    **reds: tuple[str, ...],
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Add the decorated function to the catalogue; `says` must stand in the message of a claim that turns red."""

    def add(inject: Callable[[Scene], None]) -> Callable[[Scene], None]:
        what = (inject.__doc__ or "").strip()
        _CATALOGUE.append(Fault(inject.__name__, what, inject, reds, may, says, everywhere, engine))
        return inject

    return add


TABLE = (f"{CASE}-fbgemm",)


# Files from the field no longer do what they did

FIELD = "2.12.1-digits-fbgemm-lite_frozen"


@fault(field=(FIELD,), artifacts=(FIELD,), says="unknown operator")
def field_file_no_longer_loads(scene: Scene) -> None:
    """The runtime refuses a file that an earlier release wrote."""
    outcome = Outcome("failed at", "load", "RuntimeError", "unknown operator")
    for claim in ("field", "artifacts"):
        scene.alter("field", f"{claim}-{FIELD}", lambda found: Evidence(outcome=outcome))


@fault(field=(FIELD,), says="distance against maker")
def field_file_gives_other_numbers(scene: Scene) -> None:
    """A file of an earlier release gives logits with noise at 15 dB, and the same labels."""

    def noisy(found: Evidence) -> Evidence:
        logits = found.arrays["logits"]
        return replace(
            found, arrays={**found.arrays, "logits": logits * np.float32(1.18), "again": logits[:1] * np.float32(1.18)}
        )

    scene.alter("field", f"field-{FIELD}", noisy)


@fault(field=(FIELD,), says="sqnr_change against maker")
def field_record_is_of_another_file(scene: Scene) -> None:
    """What was recorded of the maker's logits is 10% off: noise that would hide as much in the file."""

    def test_field(field_check: FieldCheck) -> None:
        told = seen(field_check.item)
        if field_check.item.row.id == FIELD and told.logits is not None:
            told = replace(told, logits=told.logits * np.float32(0.9))
        outputs = field_check.bench.field(field_check.claim.id, field_check.item).demand()
        field_check.assert_within(findings=findings.field(outputs, told))

    scene.test_instead("field", test_field)


@fault(artifacts=(FIELD,), says="finite")
def field_file_gives_nan(scene: Scene) -> None:
    """A file that the user named gives NaN for one picture."""

    def broken(found: Evidence) -> Evidence:
        logits = found.arrays["logits"].copy()
        logits[3] = np.nan
        return replace(found, arrays={**found.arrays, "logits": logits})

    scene.alter("field", f"artifacts-{FIELD}", broken)


@fault(field=(FIELD,), says="difference_on_repeat")
def field_file_remembers(scene: Scene) -> None:
    """A file of an earlier release gives something else when it sees the first picture again."""
    scene.alter(
        "field",
        f"field-{FIELD}",
        lambda found: replace(found, arrays={**found.arrays, "again": found.arrays["again"] + np.float32(0.01)}),
    )


# The network that is saved is not the one that should be


def _repacked(linear: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Give a dynamically quantized Linear other weights: `change` takes and gives the quantized tensor."""
    linear.set_weight_bias(change(linear.weight()), linear.bias())


def _of_scale(weight: torch.Tensor, scale: float) -> torch.Tensor:
    return torch._make_per_tensor_quantized_tensor(weight.int_repr(), scale, weight.q_zero_point())


@fault(weights=INT8, may=("logits_original",))
def scale_off_by_5_percent(scene: Scene) -> None:
    """One Linear's scale is 5% too large; its integers are right."""

    def change(model: Any) -> Any:
        _repacked(model.blocks[1].mlp.fc1, lambda weight: _of_scale(weight, weight.q_scale() * 1.05))
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


@fault(weights=INT8, may=("logits_original", "table"), says="levels")
def four_bit_weights(scene: Scene) -> None:
    """One Linear uses 16 of its 256 levels."""

    def coarse(weight: torch.Tensor) -> torch.Tensor:
        rounded = torch.round(weight.int_repr().float() / 17) * 17
        scale, zero = weight.q_scale(), weight.q_zero_point()
        return torch._make_per_tensor_quantized_tensor(rounded.clamp(-128, 127).to(torch.int8), scale, zero)

    def change(model: Any) -> Any:
        _repacked(model.blocks[0].attn.qkv, coarse)
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


@fault(weights=INT8, lite_operators=LITE, may=("logits_original", "table", "size"))
def one_linear_left_in_float(scene: Scene) -> None:
    """One Linear is not quantized."""

    def change(model: Any) -> Any:
        model.blocks[1].attn.proj = _float_blocks(scene)[1].attn.proj
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


def _float_blocks(scene: Scene) -> Any:
    return scene.bench.model(CASE).blocks


@fault(
    weights=INT8, logits_original=INT8, size=("scripted_quantized",), lite_operators=LITE, table=TABLE,
    may=("logits_parent", "size"),
)  # fmt: skip
def nothing_is_quantized(scene: Scene) -> None:
    """Quantization silently does nothing: the logits are too good."""
    scene.after("quantize_dynamic", "scripted_quantized", lambda model: scene.bench.model(CASE))


class _Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return zeros."""
        return x * 0.0


@fault(logits_original=INT8, table=TABLE, may=("label", "accuracy"))
def attention_left_out(scene: Scene) -> None:
    """One block of the quantized model adds nothing after its attention; every weight is in the file."""

    def change(model: Any) -> Any:
        model.blocks[2].ls1 = _Nothing()
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


@fault(weights=INT8, logits_original=INT8, table=TABLE, may=("label", "accuracy"))
def blocks_swapped(scene: Scene) -> None:
    """Two blocks of the quantized model have changed places."""

    def change(model: Any) -> Any:
        model.blocks[1], model.blocks[2] = model.blocks[2], model.blocks[1]
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


@fault(weights=INT8, may=("logits_original",), says="blocks.3.mlp.fc2")
def bias_changed(scene: Scene) -> None:
    """One element of one bias of the quantized model is off by a hundredth."""

    def change(model: Any) -> Any:
        linear = model.blocks[3].mlp.fc2
        bias = linear.bias().clone()
        bias[0] += 0.01
        linear.set_weight_bias(linear.weight(), bias)
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


class _WithSpare(nn.Module):
    """A head with a tensor that nobody asked for and that changes nothing."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("spare", torch.rand(10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the head returns."""
        return self.head(x) + 0.0 * self.spare[0]


@fault(weights=("scripted_quantized",), may=("weights", "lite_operators"))
def tensor_too_many(scene: Scene) -> None:
    """The file holds a tensor that is no part of the model."""

    def change(model: Any) -> Any:
        model.head_drop = _WithSpare(model.head_drop)
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


@fault(weights=("scripted",), logits_original=("scripted",), table=TABLE)
def scripted_weight_changed(scene: Scene) -> None:
    """The scripted file holds other weights in one layer than the original."""

    def change(scripted: Any) -> Any:
        model = copy.deepcopy(scene.bench.model(CASE))
        with torch.no_grad():
            model.blocks[0].norm1.weight *= 1.02
        return torch.jit.script(model)

    scene.after("script", "scripted", change)


@fault(logits_parent=("lite_frozen",))
def lite_logits_differ(scene: Scene) -> None:
    """The lite interpreter gives logits a thousandth off those of the module that the file was saved from."""
    scene.running("lite_frozen", lambda run: lambda x: run(x) * 1.001)


# What runs is not what should run


@fault(
    label=("lite_frozen",), repeatable=("lite_frozen",), logits_original=("lite_frozen",), accuracy=("lite_frozen",),
    logits_parent=("lite_frozen",), table=TABLE,
)  # fmt: skip
def not_a_number(scene: Scene) -> None:
    """The lite interpreter gives NaN."""
    scene.running("lite_frozen", lambda run: lambda x: run(x) * float("nan"))


@fault(
    label=("lite_frozen",), logits_original=("lite_frozen",), logits_parent=("lite_frozen",),
    accuracy=("lite_frozen",), table=TABLE,
)  # fmt: skip
def half_of_the_classes(scene: Scene) -> None:
    """The lite interpreter gives logits of another shape."""
    scene.running("lite_frozen", lambda run: lambda x: run(x)[:, :5])


@fault(repeatable=("scripted_quantized",))
def previous_call_remembered(scene: Scene) -> None:
    """A variant remembers how often it was called; each call moves the logits by a few millionths."""

    def wrap(run: Any) -> Any:
        calls = iter(range(1_000_000))
        return lambda x: run(x) + 1e-6 * min(10, next(calls))

    scene.running("scripted_quantized", wrap)


@fault(label=ALL)
def labels_shifted(scene: Scene) -> None:
    """The table of labels is shifted by one class."""

    def shift(found: Evidence) -> Evidence:
        return replace(found, arrays={**found.arrays, "labels": (found.arrays["labels"] + 1) % 10})

    scene.alter("pictures", CASE, shift)


@fault(accuracy=("lite_frozen",))
def three_percent_of_pictures_lost(scene: Scene) -> None:
    """One variant takes twelve of the 400 held-out pictures for something else."""

    def lose(found: Evidence) -> Evidence:
        logits = found.arrays["heldout_logits"].copy()
        logits[:12] = np.roll(logits[:12], 1, axis=1)
        return replace(found, arrays={**found.arrays, "heldout_logits": logits})

    scene.alter("outputs", f"{CASE}-{scene.clean.engine}-lite_frozen", lose)


# A stage or a file fails


@fault(
    build=INT8, label=INT8, repeatable=INT8, logits_original=INT8, logits_parent=MADE_FROM_INT8, weights=INT8,
    accuracy=INT8, size=INT8, lite_bytecode=LITE, lite_operators=LITE, latency=INT8, table=TABLE, everywhere=True,
)  # fmt: skip
def quantization_raises(scene: Scene) -> None:
    """A release in which quantize_dynamic raises."""

    def change(model: Any) -> Any:
        raise RuntimeError("quantization is gone")

    scene.after("quantize_dynamic", "scripted_quantized", change)


@fault(build=("lite_frozen",), says="lite_frozen.ptl")
def file_under_another_name(scene: Scene) -> None:
    """A file is not written under the name that the tutorial gives it."""
    name = scene.cell("lite_frozen").evidence_name
    found = scene.bench.store.find("build", name)
    assert found is not None
    other = shutil.copy(found.values["path"], scene.folder / "fbdeit_lite_frozen.ptl")
    scene.values("build", name, path=str(other))


@fault(size=("scripted", "scripted_quantized"), table=TABLE)
def file_20_percent_larger(scene: Scene) -> None:
    """The scripted file holds a fifth of bytes that nobody needs."""

    scene.saved("scripted", lambda path: _pad(path, 0.2))


def _pad(path: Path, share: float) -> None:
    """Add a record of that share of the file's size, which no loader looks at."""
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/padding", os.urandom(int(path.stat().st_size * share)))


@fault(size=("lite_frozen",), table=TABLE, says="lite-stored-twice")
def stored_four_times(scene: Scene) -> None:
    """What is declared to be doubled is four times as large: not the deviation that was declared."""
    scene.saved("lite_frozen", lambda path: _pad(path, 1.0))


@fault()
def cached_file_cut_short(scene: Scene) -> None:
    """The cached file of an earlier session was cut short since: it is found out and built again."""
    _share_cache(scene, lambda path: os.truncate(path, path.stat().st_size // 2))


@fault()
def cached_file_altered(scene: Scene) -> None:
    """One byte of a cached file has changed, its size has not: it is found out and built again."""

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(bytes(data))

    _share_cache(scene, flip)


def _share_cache(scene: Scene, damage: Callable[[Path], None]) -> None:
    """Start from the cache of the clean session, damaged, with no evidence of builds."""
    shutil.copytree(Path(scene.clean.plan.artifacts), scene.folder / "cache", dirs_exist_ok=True)
    found = scene.bench.store.find("build", scene.cell("scripted_quantized").evidence_name)
    assert found is not None
    source = Path(found.values["path"])
    cached = scene.folder / "cache" / source.parent.name / source.name
    damage(cached)
    scene.rebuild("scripted_quantized")
    again = Path(scene.bench.artifact(scene.cell("scripted_quantized")).demand().values["path"])
    assert again == cached, "the scene did not look where the damaged file lies"


@fault(
    label=("lite_frozen",), repeatable=("lite_frozen",), logits_original=("lite_frozen",), accuracy=("lite_frozen",),
    logits_parent=("lite_frozen",), weights=("lite_frozen",), size=("lite_frozen",), table=TABLE,
    may=("lite_bytecode", "lite_operators"),
)  # fmt: skip
def lite_file_not_frozen(scene: Scene) -> None:
    """The lite file was saved without freezing: torch.jit.load takes it, the lite interpreter does not."""
    scene.after("freeze", "lite_frozen", lambda frozen: torch.jit.load(_parent_file(scene)))


def _parent_file(scene: Scene) -> str:
    return str(scene.bench.artifact(scene.cell("scripted_quantized")).demand().values["path"])


class _AndFloor(nn.Module):
    """A head that calls an operator which no runtime for this model was built with, to no effect."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the head returns."""
        x = self.head(x)
        return x + torch.floor(x.abs() * 1e-9)


@fault(lite_operators=LITE, says="aten::floor", may=("weights", "size"))
def operator_outside_the_list(scene: Scene) -> None:
    """The model needs one operator more than the runtimes in the field have."""

    def change(model: Any) -> Any:
        model.head_drop = _AndFloor(model.head_drop)
        return model

    scene.after("quantize_dynamic", "scripted_quantized", change)


@fault(lite_bytecode=("lite_frozen",))
def bytecode_too_new(scene: Scene) -> None:
    """A release writes a bytecode version that no runtime in the field reads."""
    scene.values("lite_info", scene.cell("lite_frozen").evidence_name, bytecode_version=10)


# Latency


@fault(latency=("lite_frozen",), says="ratio")
def slow(scene: Scene) -> None:
    """A quantized variant takes more than twice as long as the original."""
    scene.latency("lite_frozen", samples(2.2))


@fault(latency=("scripted_quantized",), says="wall_per_cpu")
def sleeping(scene: Scene) -> None:
    """A variant waits: CPU time does not see it, wall time does."""
    scene.latency("scripted_quantized", samples(1.0, wall=4.0))


@fault(latency=("scripted",), says="process_per_thread")
def one_more_thread(scene: Scene) -> None:
    """A variant works in a second thread: the first thread's time does not see it, the process's does."""
    scene.latency("scripted", samples(1.0, process=2.0))


@fault(latency=("lite_frozen",), table=TABLE)
def no_samples(scene: Scene) -> None:
    """A variant was never timed."""

    def drop(found: Evidence) -> Evidence:
        return replace(found, values={name: rows for name, rows in found.values.items() if name != "lite_frozen"})

    scene.alter("latency", f"{CASE}-{scene.clean.engine}", drop)


# Around the model


@fault(preprocessing=("test_preprocessing",))
def another_interpolation(scene: Scene) -> None:
    """The picture library resizes in another way."""
    from torchvision import transforms

    from vitgate.inputs import preprocess

    bilinear = transforms.InterpolationMode.BILINEAR
    steps = [transforms.Resize(preprocess.RESIZE, interpolation=bilinear), transforms.CenterCrop(preprocess.CROP)]
    scene.patch.setattr(preprocess, "resize_and_crop", lambda: transforms.Compose(steps))
    scene.forget("golden", "preprocessing")


@fault(calls=("image_open",), says="TypeError")
def call_no_longer_binds(scene: Scene) -> None:
    """A release takes an argument by keyword only."""
    from PIL import Image

    scene.patch.setattr(Image, "open", lambda *, path: None)
    scene.forget("call", "image_open")


@fault(calls=("imagenet_mean",), says="AttributeError")
def name_removed(scene: Scene) -> None:
    """A release has renamed a constant that the tutorial imports."""
    import timm.data.constants

    scene.patch.delattr(timm.data.constants, "IMAGENET_DEFAULT_MEAN")
    scene.forget("call", "imagenet_mean")


@fault(warnings=("image_open",))
def new_warning(scene: Scene) -> None:
    """A release announces the end of a call that works for now."""
    from PIL import Image

    real = Image.open

    def opened(*args: Any) -> Any:
        warnings.warn("open will be removed", DeprecationWarning, stacklevel=2)
        return real(*args)

    scene.patch.setattr(Image, "open", opened)
    scene.forget("call", "image_open")


# The accepted table


@fault(table=TABLE, says="label")
def accepted_label_differs(scene: Scene) -> None:
    """The accepted table has another label in one line."""
    scene.row("scripted_quantized", "label", "7")


@fault(table=TABLE, says="size_change")
def accepted_size_differs(scene: Scene) -> None:
    """The accepted table has another size in one line."""
    scene.row("lite_frozen", "size_mb", "0.226")


@fault(table=TABLE, says="instead of")
def accepted_line_missing(scene: Scene) -> None:
    """The accepted table lacks a line."""
    table = parse(scene.clean.table)
    others = {name: line for name, line in table.lines.items() if name != "lite_frozen"}
    scene.accept(render(replace(table, lines=others)))


@fault(table=TABLE, says="no accepted table")
def table_never_accepted(scene: Scene) -> None:
    """Nobody has accepted a table for this case and engine."""
    (scene.folder / "tables" / f"{CASE}-{scene.clean.engine}.txt").unlink()


# The judge's own data, and tests that dodge


def _declare(scene: Scene, *rows: Deviation, today: dt.date | None = None) -> None:
    declared = read_deviations()
    every = Deviations([*declared.rows, *rows], declared.where, today or dt.date.today())
    for module in (settling, tables):
        scene.patch.setattr(module, "read_deviations", lambda: every)


_DEVIATION = Deviation(
    id="made-up",
    claims=("label",),
    cases=(CASE,),
    variants=("lite_frozen",),
    torch=">=1.13,<3",
    outcome="failed",
    number=ExpectedNumber(statistic="right_labels", lower=0.0, upper=0.9),
    reason="Made up.",
    link="https://example.org",
    advice="None.",
    review=dt.date(2100, 1, 1),
)


@fault(label=("lite_frozen",), says="made-up")
def deviation_no_longer_true(scene: Scene) -> None:
    """What was declared to fail passes."""
    _declare(scene, _DEVIATION)


@fault(label=("lite_frozen",), says="review date")
def deviation_past_its_review(scene: Scene) -> None:
    """A deviation's review date is past, though what it declares is so."""
    scene.running("lite_frozen", lambda run: lambda x: run(x).roll(1, dims=1))
    _keep_all_but_label(scene)
    _declare(scene, replace_row(_DEVIATION, review=dt.date(2020, 1, 1)))


def _keep_all_but_label(scene: Scene) -> None:
    """Judge nothing but the label by what runs now: the other claims about this variant are not this fault's."""
    for claim in ("repeatable", "logits_original", "logits_parent", "accuracy", "table"):
        scene.test_instead(claim, _passes)


def _passes(check: Check) -> None:
    check.assert_that(holds=True, message="")


def replace_row(row: Deviation, **changes: Any) -> Deviation:
    """Return a deviation with some fields changed."""
    return row.model_copy(update=changes)


@fault(label=("lite_frozen",), says="apply at once")
def two_deviations_at_once(scene: Scene) -> None:
    """Two deviations apply to one claim about one cell."""
    _declare(scene, _DEVIATION, replace_row(_DEVIATION, id="made-up-too"))


@fault(label=ALL, says="never skipped", everywhere=True)
def skips_itself(scene: Scene) -> None:
    """A claim's test calls pytest.skip instead of judging."""

    def skipping(check: Check) -> None:
        pytest.skip("not today")

    scene.test_instead("label", skipping)


@fault(label=ALL, says="nothing was compared", everywhere=True)
def nothing_compared(scene: Scene) -> None:
    """A test hands over no number at all."""
    scene.test_instead("label", lambda check: check.assert_within(findings=[]))


@fault(label=ALL, says="ZeroDivisionError", everywhere=True)
def breaks_itself(scene: Scene) -> None:
    """A test has an error of its own."""

    def broken(check: Check) -> None:
        raise ZeroDivisionError("division by zero")

    scene.test_instead("label", broken)
