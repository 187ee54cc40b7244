"""Faults of the files themselves: their size, their content, and the cache that they come from."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from vitgate.observe.artifacts import artifact, path_of
from vitgate.observe.inputs import weights
from vitgate.pipeline.stages import architecture
from vitgate.spec.cases import read_cases

from ..scene import Scene
from .catalogue import fault, TABLE

FROZEN = ("lite_frozen",)
QUANTIZED = ("scripted_quantized",)


@fault(build=FROZEN, says="lite_frozen.ptl")
def file_under_another_name(scene: Scene) -> None:
    """A file is not written under the name that the tutorial gives it."""
    cell = scene.cell("lite_frozen")
    found = scene.observer.get(artifact, cell)
    other = shutil.copy(found.values["path"], scene.folder / "fbdeit_lite_frozen.ptl")
    scene.values(artifact, {"path": str(other)}, cell)


# Sizes


def _pad(path: Path, share: float) -> None:
    """Add a record of that share of the file's size, which no loader looks at."""
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/padding", os.urandom(int(path.stat().st_size * share)))


@fault(size=("scripted",), may=("size",))
def scripted_5_percent_larger(scene: Scene) -> None:
    """The scripted file holds a twentieth of bytes that nobody needs."""
    scene.saved("scripted", lambda path: _pad(path, 0.05))


@fault(size=QUANTIZED, may=("size",))
def quantized_5_percent_larger(scene: Scene) -> None:
    """The quantized file holds a twentieth of bytes that nobody needs."""
    scene.saved("scripted_quantized", lambda path: _pad(path, 0.05))


@fault(size=("optimized",), may=("size",))
def optimized_5_percent_larger(scene: Scene) -> None:
    """The optimized file holds a twentieth of bytes that nobody needs."""
    scene.saved("optimized", lambda path: _pad(path, 0.05))


@fault(size=FROZEN, engine="qnnpack")
def lite_5_percent_larger(scene: Scene) -> None:
    """The lite file holds a twentieth of bytes that nobody needs."""
    scene.saved("lite_frozen", lambda path: _pad(path, 0.05))


@fault(size=FROZEN, says="lite-stored-twice")
def doubled_file_5_percent_larger(scene: Scene) -> None:
    """What is declared to be doubled is a twentieth larger than that."""
    scene.saved("lite_frozen", lambda path: _pad(path, 0.05))


@fault(size=("scripted",), table=TABLE, may=("size",))
def scripted_20_percent_larger(scene: Scene) -> None:
    """The scripted file holds a fifth of bytes that nobody needs."""
    scene.saved("scripted", lambda path: _pad(path, 0.2))


@fault(size=FROZEN, table=TABLE, says="lite-stored-twice")
def stored_four_times(scene: Scene) -> None:
    """What is declared to be doubled is four times as large: not the deviation that was declared."""
    scene.saved("lite_frozen", lambda path: _pad(path, 1.0))


# Content

BROKEN = ("size", "table", "arithmetic", "label", "repeatable", "logits_original", "accuracy", "images", "latency")


@fault(
    processors=QUANTIZED, memory=QUANTIZED,
    layers=QUANTIZED,
    label=QUANTIZED, repeatable=QUANTIZED, logits_original=QUANTIZED, accuracy=QUANTIZED, weights=QUANTIZED,
    images=QUANTIZED, arithmetic=QUANTIZED, size=QUANTIZED, native=QUANTIZED, table=TABLE,
    may=("size", "logits_parent"), stage="load",
)  # fmt: skip
def file_cut_short(scene: Scene) -> None:
    """The saved file lacks its second half."""
    scene.saved("scripted_quantized", lambda path: os.truncate(path, path.stat().st_size // 2))


@fault(layers=QUANTIZED, weights=QUANTIZED, may=(*BROKEN, "logits_parent"))
def one_bit_flipped(scene: Scene) -> None:
    """One bit of the weights is another in the saved file than it was in memory."""
    scene.saved("scripted_quantized", _flip_bit)


def _flip_bit(path: Path) -> None:
    """Flip a bit in the middle of the largest record, which holds weights as they are."""
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        content = archive.read(largest)
    data = bytearray(path.read_bytes())
    data[data.index(content) + len(content) // 2] ^= 1
    path.write_bytes(bytes(data))


@fault(
    layers=FROZEN,
    weights=FROZEN, logits_original=FROZEN, logits_parent=FROZEN, accuracy=FROZEN, label=FROZEN, table=TABLE,
    may=("size",),
)  # fmt: skip
def file_of_another_model(scene: Scene) -> None:
    """The lite file is one of the same architecture with other weights."""

    def exchange(path: Path) -> None:
        torch.manual_seed(1)
        other = architecture(read_cases()[scene.case]).eval()
        quantized = torch.quantization.quantize_dynamic(other, {torch.nn.Linear}, dtype=torch.qint8)
        torch.jit.freeze(torch.jit.script(quantized))._save_for_lite_interpreter(str(path))

    scene.saved("lite_frozen", exchange)


# The cache


@fault()
def cached_file_cut_short(scene: Scene) -> None:
    """The cached file of an earlier session was cut short since: it is found out and built again."""
    _damage_cache(scene, lambda path: os.truncate(path, path.stat().st_size // 2))


@fault()
def cached_file_altered(scene: Scene) -> None:
    """One byte of a cached file has changed, its size has not: it is found out and built again."""

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(bytes(data))

    _damage_cache(scene, flip)


@fault()
def cached_file_of_another_variant(scene: Scene) -> None:
    """The file of another variant lies in the place of a cached one: it is found out and built again."""
    other = path_of(scene.observer, scene.cell("scripted"))
    _damage_cache(scene, lambda path: shutil.copyfile(other, path))


def _damage_cache(scene: Scene, damage: Callable[[Path], object]) -> None:
    """Start from the cache of the clean session, damaged, with no evidence of builds."""
    cached = _share_cache(scene)
    damage(cached)
    scene.rebuild("scripted_quantized")
    assert _built(scene) == cached, "the scene did not look where the damaged file lies"


@fault()
def cached_file_of_another_version(scene: Scene) -> None:
    """The cached file was built by another PyTorch: it is left alone."""
    cached = _share_cache(scene)
    scene.builder.identity["torch"] = "1.0.0"
    scene.rebuild("scripted_quantized")
    assert _built(scene).parent.name != cached.parent.name


@fault()
def cached_file_is_stale(scene: Scene) -> None:
    """The cached file was built from other weights: it is left alone."""
    cached = _share_cache(scene)
    scene.values(weights, {"digest": "of other weights"}, scene.case)
    scene.rebuild("scripted_quantized")
    assert _built(scene).parent.name != cached.parent.name


def _share_cache(scene: Scene) -> Path:
    """Copy the cache of the clean session; return the quantized file in it."""
    shutil.copytree(Path(scene.clean.plan.artifacts), scene.folder / "cache", dirs_exist_ok=True)
    source = _built(scene)
    return scene.folder / "cache" / source.parent.name / source.name


def _built(scene: Scene) -> Path:
    return path_of(scene.observer, scene.cell("scripted_quantized"))
