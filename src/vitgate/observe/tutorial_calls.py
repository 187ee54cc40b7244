"""Whether every call that the tutorial makes still works with its arguments, and what PyTorch says meanwhile.

A removed function, a renamed argument or a deprecation is found here in a second, without a model of 346 MB; warnings
are evidence like any other, so that a new or a more severe one is an outcome and not noise on the screen.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vitgate.files.errors import UsageError
from vitgate.spec.claims import CallRow, read_calls
from vitgate.spec.versions import machine

# What C++ code writes to the process's standard error where no Python handler is near; the category is named C++ here.
_NATIVE_WARNING = re.compile(r"^\[W\S*\s+\S+\s+[\w./-]+:\d+\] (?:Warning: )?(?P<text>.*)$", re.MULTILINE)
_TRIGGER = re.compile(r"\s*\((?:Triggered internally at|function ).*$", re.DOTALL)


@dataclass(frozen=True)
class ApiWarning:
    """One warning: its category, and its text without paths, lines and addresses."""

    category: str
    text: str


@dataclass(frozen=True)
class ApiProbe:
    """What became of one call: `error` is the type and `message` the first line of what was raised, "" if it works."""

    id: str
    works: bool
    error: str
    message: str
    warnings: tuple[ApiWarning, ...]


def probe(call_id: str, temporary: Path | None = None) -> ApiProbe:
    """Make one call of `fixtures/api.toml` on tiny objects; UsageError where no call has that id.

    Files of the call go to a folder in `temporary`; in the session's folder, they go with it where this process is
    killed. The engine is left as it was found. Whatever the call raises is in the result.
    """
    if call_id not in read_calls():
        raise UsageError(f"unknown call {call_id!r}", where="fixtures/api.toml", do="choose from its ids")
    row = read_calls()[call_id]
    before = torch.backends.quantized.engine
    try:
        with tempfile.TemporaryDirectory(prefix="vitgate-", dir=temporary) as folder:
            return _probe(row, Samples(Path(folder)))
    finally:
        torch.backends.quantized.engine = before


def _probe(row: CallRow, samples: Samples) -> ApiProbe:
    """Prepare in silence, then make the call itself under observation."""
    heard: list[ApiWarning] = []
    try:
        with _listen([]):
            action = _action(row, samples)
        with _listen(heard):
            action()
    except Exception as error:  # the boundary of the observation: whatever is raised is what was asked about
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ApiProbe(row.id, False, type(error).__name__, normalised(first), tuple(heard))
    return ApiProbe(row.id, True, "", "", tuple(heard))


def _action(row: CallRow, samples: Samples) -> Callable[[], object]:
    """Return what to do under observation."""
    owner, _, name = row.callable.rpartition(".")
    args = [samples.value(arg) for arg in row.args]
    kwargs = {key: samples.value(arg) for key, arg in row.kwargs.items()}
    if row.how == "read":
        holder = samples.find(owner)
        return lambda: getattr(holder, name)
    if row.how == "set":
        holder = samples.find(owner)
        return lambda: setattr(holder, name, args[0])
    function = samples.find(row.callable)
    if row.how == "bind":
        return lambda: inspect.signature(function).bind(*args, **kwargs)
    return lambda: function(*args, **kwargs)


class Samples:
    """The tiny objects that stand for the tutorial's in `api.toml`, each made when first asked for."""

    def __init__(self, folder: Path) -> None:
        """Write files into this folder; set the first of the tutorial's engines that works on this machine."""
        self.folder = folder
        supported = torch.backends.quantized.supported_engines
        order = ("qnnpack", "onednn") if machine() == "aarch64" else ("fbgemm", "x86", "qnnpack", "onednn")
        self.engine = next(name for name in order if name in supported)
        torch.backends.quantized.engine = self.engine
        self._made: dict[str, Any] = {"engine": self.engine}

    def value(self, arg: object) -> Any:
        """Return the object that a `$name` stands for; everything else is itself."""
        return self.sample(arg[1:]) if isinstance(arg, str) and arg.startswith("$") else arg

    def sample(self, name: str) -> Any:
        """Return the object of that name."""
        if name not in self._made:
            self._made[name] = _SAMPLES[name](self)
        return self._made[name]

    def find(self, dotted: str) -> Any:
        """Return what a dotted name means, importing modules on the way; AttributeError where it is not there."""
        first, *rest = dotted.split(".")
        found, path = (self.value(first) if first.startswith("$") else importlib.import_module(first)), first
        for part in rest:
            path = f"{path}.{part}"
            if not hasattr(found, part) and inspect.ismodule(found):
                with suppress(ModuleNotFoundError):
                    importlib.import_module(path)
            found = getattr(found, part)
        return found


def _lite_file(samples: Samples) -> str:
    path = str(samples.folder / "model.ptl")
    samples.sample("scripted_quantized")._save_for_lite_interpreter(path)
    return path


def _profiled(samples: Samples) -> Any:
    with torch.autograd.profiler.profile() as profile:  # whichever arguments this PyTorch takes
        samples.sample("model")(samples.sample("input"))
    return profile


def _steps(samples: Samples) -> list[Any]:
    """Return the tutorial's four transforms."""
    transforms = samples.find("torchvision.transforms")
    normalize = transforms.Normalize(samples.sample("mean"), samples.sample("std"))
    return [transforms.Resize(256, interpolation=3), transforms.CenterCrop(224), transforms.ToTensor(), normalize]


def _picture_file(samples: Samples) -> str:
    path = samples.folder / "picture.png"
    samples.sample("picture").save(path)
    return str(path)


_SAMPLES: dict[str, Callable[[Samples], Any]] = {
    "model": lambda samples: nn.Sequential(nn.Linear(4, 4)).eval(),
    "input": lambda samples: torch.ones(1, 4),
    "scripted": lambda samples: torch.jit.script(samples.sample("model")),
    "quantized": lambda samples: samples.find("torch.quantization.quantize_dynamic")(
        samples.sample("model"), qconfig_spec={nn.Linear}, dtype=torch.qint8
    ),
    "scripted_quantized": lambda samples: torch.jit.script(samples.sample("quantized")),
    "lite_file": _lite_file,
    "profiled": _profiled,
    "new_file": lambda samples: str(samples.folder / "new.pt"),
    "linear_only": lambda samples: {nn.Linear},
    "qint8": lambda samples: torch.qint8,
    "qconfig": lambda samples: samples.find("torch.quantization.get_default_qconfig")(samples.engine),
    "mean": lambda samples: samples.find("timm.data.constants.IMAGENET_DEFAULT_MEAN"),
    "std": lambda samples: samples.find("timm.data.constants.IMAGENET_DEFAULT_STD"),
    "steps": _steps,
    "transform": lambda samples: samples.find("torchvision.transforms.Compose")(samples.sample("steps")),
    "picture": lambda samples: samples.find("PIL.Image").new("RGB", (8, 8)),
    "picture_file": _picture_file,
}


# Listening: Python's warnings, and what C++ writes to standard error.


@contextmanager
def _listen(heard: list[ApiWarning]) -> Iterator[None]:
    """Append every warning of the block, each kind once, also those that torch gives once per process only."""
    native: list[str] = []
    caught: list[warnings.WarningMessage] = []
    try:
        with _python_warnings(caught), _every_time(), _standard_error(native):
            yield
    finally:
        found = [ApiWarning(one.category.__name__, normalised(str(one.message))) for one in caught]
        for match in _NATIVE_WARNING.finditer("".join(native)):
            found.append(ApiWarning("C++", normalised(match["text"])))
        heard += dict.fromkeys(found)


@contextmanager
def _python_warnings(caught: list[warnings.WarningMessage]) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # of files that this module leaves to the collector
        try:
            yield
        finally:
            caught += record


@contextmanager
def _every_time() -> Iterator[None]:
    """Switch off torch's once-per-process rule."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        yield
    finally:
        torch.set_warn_always(before)


@contextmanager
def _standard_error(native: list[str]) -> Iterator[None]:
    """Collect what is written to file descriptor 2 within the block; all but C++ warnings is then passed on."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            native.append(file.read().decode(errors="replace"))
            rest = _NATIVE_WARNING.sub("", native[-1]).strip()
            os.write(2, f"{rest}\n".encode() if rest else b"")


def normalised(text: str) -> str:
    """Return a text that is the same on every machine: no paths, line numbers or addresses, one space between words."""
    text = _TRIGGER.sub("", text)
    text = re.sub(r"0x[0-9a-fA-F]+", "<address>", text)
    text = re.sub(r"(?<![\w:/])/(?:[\w.+-]+/)+([\w.+-]+)", r"<path>/\1", text)
    text = re.sub(r"(\.\w+\"?):\d+", r"\1", text)
    return " ".join(text.split())
