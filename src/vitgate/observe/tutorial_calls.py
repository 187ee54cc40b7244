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
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vitgate.files.errors import UsageError
from vitgate.spec.tutorial_calls import CallRow, read_calls

# What C++ code writes to the process's standard error where no Python handler is near; the category is named C++ here.
_NATIVE_WARNING = re.compile(r"^\[W\S*\s+\S+\s+(?P<file>[\w./-]+):\d+\] (?:Warning: )?(?P<text>.*)$", re.MULTILINE)
_TRIGGER = re.compile(r"\s*\((?:Triggered internally at|function ).*$", re.DOTALL)


@dataclass(frozen=True)
class ApiWarning:
    """One warning: category, text without paths, lines and addresses, and the module that it is attributed to."""

    category: str
    text: str
    where: str


@dataclass(frozen=True)
class ApiProbe:
    """What became of one call.

    `binds` is whether the arguments fit the signature; None where there is none to ask, as of functions written in C.
    `error` is the type and `message` the first line of what was raised; "" where it works.
    """

    id: str
    binds: bool | None
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
            return _probe(row, Bench(Path(folder)))
    finally:
        torch.backends.quantized.engine = before


def _probe(row: CallRow, observer: Bench) -> ApiProbe:
    """Prepare in silence, then make the call itself under observation."""
    heard: list[ApiWarning] = []
    binds: bool | None = None
    try:
        with _listen([]):
            action, binds = _action(row, observer)
        with _listen(heard):
            action()
    except Exception as error:  # the boundary of the observation: whatever is raised is what was asked about
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ApiProbe(row.id, _unbound(error, binds), False, type(error).__name__, normalised(first), tuple(heard))
    return ApiProbe(row.id, binds, True, "", "", tuple(heard))


def _unbound(error: Exception, binds: bool | None) -> bool | None:
    return False if isinstance(error, TypeError) and "argument" in str(error) else binds


def _action(row: CallRow, observer: Bench) -> tuple[Callable[[], object], bool | None]:
    """Return what to do under observation, and whether the arguments bind (None: no signature)."""
    owner, _, name = row.callable.rpartition(".")
    args = [observer.value(arg) for arg in row.args]
    kwargs = {key: observer.value(arg) for key, arg in row.kwargs.items()}
    if row.how == "read":
        holder = observer.find(owner)
        return lambda: getattr(holder, name), None
    if row.how == "set":
        holder = observer.find(owner)
        return lambda: setattr(holder, name, args[0]), None
    function = observer.find(row.callable)
    binds = _binds(function, args, kwargs)
    if row.how == "bind":
        return lambda: inspect.signature(function).bind(*args, **kwargs), binds
    return lambda: function(*args, **kwargs), binds


def _binds(function: Callable[..., object], args: list[Any], kwargs: dict[str, Any]) -> bool | None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    with suppress(TypeError):
        signature.bind(*args, **kwargs)
        return True
    return False


class Bench:
    """The tiny objects that stand for the tutorial's in `api.toml`, each made when first asked for."""

    def __init__(self, folder: Path) -> None:
        """Write files into this folder; set the first of the tutorial's engines that this PyTorch supports."""
        self.folder = folder
        supported = torch.backends.quantized.supported_engines
        self.engine = next(name for name in ("fbgemm", "x86", "qnnpack", "onednn") if name in supported)
        torch.backends.quantized.engine = self.engine

    def value(self, arg: object) -> Any:
        """Return the object that a `$name` stands for; everything else is itself."""
        return getattr(self, arg[1:]) if isinstance(arg, str) and arg.startswith("$") else arg

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

    @cached_property
    def model(self) -> nn.Module:
        """A network of one Linear."""
        return nn.Sequential(nn.Linear(4, 4)).eval()

    @cached_property
    def input(self) -> torch.Tensor:
        """One row, float32 [1, 4]."""
        return torch.ones(1, 4)

    @cached_property
    def scripted(self) -> Any:
        """The scripted network."""
        return torch.jit.script(self.model)

    @cached_property
    def quantized(self) -> Any:
        """The quantized network."""
        quantize = self.find("torch.quantization.quantize_dynamic")
        return quantize(self.model, qconfig_spec={nn.Linear}, dtype=torch.qint8)

    @cached_property
    def scripted_quantized(self) -> Any:
        """The quantized network, scripted."""
        return torch.jit.script(self.quantized)

    @cached_property
    def lite_file(self) -> str:
        """A lite file of the quantized network."""
        path = str(self.folder / "model.ptl")
        self.scripted_quantized._save_for_lite_interpreter(path)
        return path

    @cached_property
    def profiled(self) -> Any:
        """A finished profile, made with whichever arguments this PyTorch takes."""
        with torch.autograd.profiler.profile() as profile:
            self.model(self.input)
        return profile

    @property
    def new_file(self) -> str:
        """A file name that is free."""
        return str(self.folder / "new.pt")

    @property
    def linear_only(self) -> set[type[nn.Module]]:
        """What the tutorial quantizes."""
        return {nn.Linear}

    @property
    def qint8(self) -> torch.dtype:
        """The tutorial's dtype."""
        return torch.qint8

    @property
    def qconfig(self) -> Any:
        """The static default qconfig of the engine."""
        return self.find("torch.quantization.get_default_qconfig")(self.engine)

    @property
    def mean(self) -> tuple[float, ...]:
        """The channel means of ImageNet, from timm."""
        mean: tuple[float, ...] = self.find("timm.data.constants.IMAGENET_DEFAULT_MEAN")
        return mean

    @property
    def std(self) -> tuple[float, ...]:
        """The channel deviations of ImageNet, from timm."""
        std: tuple[float, ...] = self.find("timm.data.constants.IMAGENET_DEFAULT_STD")
        return std

    @cached_property
    def steps(self) -> list[Any]:
        """The tutorial's four transforms."""
        transforms = self.find("torchvision.transforms")
        resize = transforms.Resize(256, interpolation=3)
        return [resize, transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(self.mean, self.std)]

    @cached_property
    def transform(self) -> Any:
        """The tutorial's four transforms in one."""
        return self.find("torchvision.transforms.Compose")(self.steps)

    @cached_property
    def picture(self) -> Any:
        """An RGB picture of Pillow's."""
        from PIL import Image

        return Image.new("RGB", (8, 8))

    @cached_property
    def picture_file(self) -> str:
        """A PNG file."""
        path = self.folder / "picture.png"
        self.picture.save(path)
        return str(path)


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
        found = [_as_warning(one) for one in caught]
        for match in _NATIVE_WARNING.finditer("".join(native)):
            found.append(ApiWarning("C++", normalised(match["text"]), Path(match["file"]).name))
        heard += dict.fromkeys(found)


def _as_warning(one: warnings.WarningMessage) -> ApiWarning:
    return ApiWarning(one.category.__name__, normalised(str(one.message)), module_of(one.filename))


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


def module_of(filename: str) -> str:
    """Return the dotted module of a source file in `site-packages`; this module is the `caller`, others bare names."""
    path = Path(filename).with_suffix("")
    if filename == __file__:
        return "caller"
    parts, root = path.parts, "site-packages"
    return ".".join(parts[parts.index(root) + 1 :]).removesuffix(".__init__") if root in parts else path.name
