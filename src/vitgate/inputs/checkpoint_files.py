"""Checkpoints as files: read as plain tensors by name, without executing anything in them.

`torch.load(weights_only=True)` runs no code of a stranger's, but it builds what the pickle says: a bytearray of any
size, or a key of tuples within tuples whose hash takes years. A state needs neither, so a pickle that asks for more is
refused before it is loaded.
"""

from __future__ import annotations

import inspect
import pickle
import pickletools
import re
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TYPE_CHECKING

from vitgate.files.archives import pytorch_entries
from vitgate.files.errors import UsageError

if TYPE_CHECKING:
    import torch

_MOST_WEIGHT = 10_000_000  # values, counted each time they occur: a state of 1000 parameters has about 30,000
_NEEDED = re.compile(
    r"collections OrderedDict"
    r"|torch(\.\w+)* \w+Storage"
    r"|torch (Size|Tensor|device|bfloat16|(float|int|uint|complex)\d+|bool|double|float|half|long|int|short)"
    r"|torch\.nn\.parameter Parameter"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter|sparse_tensor|meta_tensor_no_storage|qtensor)"
    r"|torch\.serialization _get_layout"
)  # a tensor of a kind that no model here has is named later
_REFUSED = "it asks for {name}, which is more than tensors; nothing of it was run"

SUFFIXES = (".pth", ".pt", ".safetensors")
_WRAPPERS = ("model", "state_dict")  # the keys under which training scripts store the state (DeiT's: `model`)
# What torch.load(weights_only=True) raises for a damaged or foreign file depends on the release and on where the damage
# lies. Found by mutating small checkpoints, 4000 each under torch 1.13.1, 2.12.1 and 2.15.0.
_LOAD_ERRORS = (
    RuntimeError, pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    ArithmeticError, struct.error, OSError, MemoryError,
)  # fmt: skip
_LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # torch.serialization.MAGIC_NUMBER, pickle protocol 2
_LEGACY_PICKLES = 5  # magic number, version, the machine's sizes, the state, the keys of its storages
_ZIP_MAGIC = b"PK\x03\x04"
_FOREIGN = {
    b"version https://git-lfs": "it is a Git LFS pointer, not the file itself",
    b"<!doctype html": "it is a web page",
    b"<html": "it is a web page",
}
_RESAVE = "save the model's state_dict() alone, best as .safetensors"
_FETCH_AGAIN = "copy or download the file again"


def more_than_tensors(pickle: bytes | BinaryIO) -> str:
    """Say what one pickle holds that no state of tensors needs; empty where there is nothing.

    A stream is left after the pickle's end. Raises ValueError, or what `pickletools` does, for what is no pickle.
    """
    for name in _asked(pickle):
        if not _NEEDED.fullmatch(name):
            shown = name.replace(" ", ".").encode("unicode_escape").decode()[:80]
            return _REFUSED.format(name=shown)
    return ""


def check_pickle(pickle: bytes | BinaryIO) -> None:
    """ValueError for a pickle that is cut off, or whose values are nested without end, whatever it asks for."""
    for _ in _asked(pickle):
        pass


def _asked(pickle: bytes | BinaryIO) -> Iterator[str]:
    """Go through a pickle; yield the classes and functions that it asks for, as `module name`."""
    weights = _Weights()
    for opcode, argument, _ in pickletools.genops(pickle):
        if name := weights.step(opcode, argument):
            yield name
        if weights.heaviest > _MOST_WEIGHT:
            raise ValueError("its values are nested without end")


class _Weights:
    """The stack and the memo of a pickle, each value as a number: how many values are in it.

    A value that a memo gives back twice counts twice, which is what makes a short program of doublings heavy. Names of
    classes and functions are kept as texts.
    """

    def __init__(self) -> None:
        self.heaviest = 0
        self._stack: list[int | str | None] = []
        self._memo: dict[int, int | str | None] = {}

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> str:
        """Do what the opcode does; return the name of a class or function, `module name`, where it asks for one."""
        kind = opcode.name
        if kind in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if kind == "MEMOIZE" else argument] = self._stack[-1]
        elif kind in ("GET", "BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif kind == "MARK":
            self._stack.append(None)
        elif kind in ("GLOBAL", "INST"):
            self._stack.append(argument)
            return str(argument)
        elif kind == "STACK_GLOBAL":
            return self._named()
        elif kind == "DUP":
            self._stack.append(self._stack[-1])
        elif isinstance(argument, str):
            self._stack.append(argument)
        else:
            self._replace(opcode)
        return ""

    def _named(self) -> str:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(1)
        return f"{module} {name}"

    def _replace(self, opcode: pickletools.OpcodeInfo) -> None:
        """Take from the stack what the opcode takes, and put what it gives, with the weight of all that was taken."""
        taken: list[int | str | None] = []
        before = opcode.stack_before
        if pickletools.markobject in before:
            while (value := self._stack.pop()) is not None:
                taken.append(value)
            before = before[: before.index(pickletools.markobject)]
        taken += [self._stack.pop() for _ in before]
        weight = 1 + sum(value if isinstance(value, int) else 1 for value in taken)
        self.heaviest = max(self.heaviest, weight)
        self._stack += [weight] * len(opcode.stack_after)


@dataclass(frozen=True)
class StateFile:
    """What a checkpoint holds: the tensors of the state that is taken, and the keys of `others` that lie beside it."""

    tensors: dict[str, torch.Tensor]
    key: str = ""
    others: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """A sentence on which state was taken and how to take another; empty where there is one alone."""
        if not self.others:
            return ""
        others = [f"'{quoted(key)}'" for key in self.others]
        do = f"for another, save that alone, torch.save(torch.load(file)[{others[0]}], new)"
        return f"it holds {', '.join(others)} beside '{self.key}', which was taken: {do}"


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint, as `read_state_file` does."""
    return read_state_file(path).tensors


def read_state_file(path: Path) -> StateFile:
    """Return the tensors of a `.pth`, `.pt` or `.safetensors` file by name, on the CPU, dtypes and shapes as stored.

    Nothing in the file is executed. A state under the key `model` or `state_dict` is unwrapped. The tensors may map the
    file: they are to be read, not written.

    Raises:
        UsageError: It is not a whole checkpoint of plain tensors.
    """
    head = _head(path)
    loaded = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path, head)
    states = _states(loaded)
    key = next((key for key in _WRAPPERS if key in states), "")
    tensors = _tensors(states[key] if key else loaded, path)
    return StateFile(tensors, key, tuple(other for other in states if other != key) if key else ())


def _head(path: Path) -> bytes:
    """Return the first bytes of a file that may be a checkpoint."""
    if path.suffix.lower() not in SUFFIXES:
        raise unusable(path, "its name does not say what it is", f"name a file that ends in {', '.join(SUFFIXES)}")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise unusable(path, error.strerror or str(error), "name a readable file") from None
    if not head:
        raise unusable(path, "it is empty", _FETCH_AGAIN)
    for beginning, what in _FOREIGN.items():
        if head.lower().startswith(beginning):
            raise unusable(path, what, _FETCH_AGAIN)
    return head


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, *_LOAD_ERRORS) as error:
        raise unusable(path, f"it is not a whole safetensors file ({_in_short(error)})", _FETCH_AGAIN) from None


def _read_pickle(path: Path, head: bytes) -> Any:
    """Read a file of torch.save, in its zip form (mapped where torch can) or the form before torch 1.6."""
    import torch

    options: dict[str, Any] = {}
    if head.startswith(_ZIP_MAGIC):
        _check_archive(path)
        if "mmap" in inspect.signature(torch.load).parameters:  # from torch 2.1 on
            options["mmap"] = True
    else:
        _check_legacy(path, head)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of oddities of a damaged file just before it fails on them
            return torch.load(str(path), map_location="cpu", weights_only=True, **options)
    except _LOAD_ERRORS as error:
        raise _refused(path, error) from None


def _check_archive(path: Path) -> None:
    """Refuse TorchScript archives, which torch.load up to 2.5 executes even under weights_only (CVE-2025-32434).

    The archive is opened with the reader that torch.load itself uses, so that both see the same entries.
    """
    import torch

    try:
        entries = pytorch_entries(path)
        reader = torch._C.PyTorchFileReader(str(path))
        records = set(reader.get_all_records())
        if "constants.pkl" in records:
            raise unusable(path, "it is a TorchScript archive, a program rather than weights", _RESAVE)
        if "data.pkl" not in records:
            raise unusable(path, "it is an archive without a checkpoint in it", _RESAVE)
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its entries are compressed, which torch.save never does")
        strange = more_than_tensors(reader.get_record("data.pkl"))
    except (zipfile.BadZipFile, *_LOAD_ERRORS) as error:
        raise unusable(path, f"it is damaged or cut off ({_in_short(error)})", _FETCH_AGAIN) from None
    if strange:
        raise unusable(path, strange, _RESAVE)


def _check_legacy(path: Path, head: bytes) -> None:
    """Refuse everything but torch.save's own old form; torch.load would also try tar, whose reader is not safe."""
    if not head.startswith(_LEGACY_MAGIC):
        raise unusable(path, "it was not made by torch.save", _RESAVE)
    if tarfile.is_tarfile(path):
        raise unusable(path, "it is a tar archive", _RESAVE)
    try:
        with path.open("rb") as file:
            strange = next(filter(None, (more_than_tensors(file) for _ in range(_LEGACY_PICKLES))), "")
    except _LOAD_ERRORS as error:
        raise unusable(path, f"it is damaged or cut off ({_in_short(error)})", _FETCH_AGAIN) from None
    if strange:
        raise unusable(path, strange, _RESAVE)


def _refused(path: Path, error: BaseException) -> UsageError:
    """Say why torch.load failed: it met something other than tensors, or the file is damaged."""
    asked = re.search(r"(?:GLOBAL|Unsupported class|unsupported class|unrecognized function) (\S+)", str(error))
    if asked:
        what = f"it asks for {quoted(asked[1])}, which is more than tensors; nothing of it was run"
        return unusable(path, what, _RESAVE)
    what = f"it is damaged, or holds more than this PyTorch reads safely ({_in_short(error)})"
    return unusable(path, what, f"{_FETCH_AGAIN}, or {_RESAVE}")


def _states(loaded: Any) -> dict[str, Mapping[Any, Any]]:
    """Return what under a key looks like a state: names of tensors, or what may be unwrapped though it is none."""
    if not isinstance(loaded, Mapping):
        return {}
    found = {key: value for key, value in loaded.items() if isinstance(key, str) and isinstance(value, Mapping)}
    return {
        key: value
        for key, value in found.items()
        if key in _WRAPPERS or (value and all(map(_is_plain, value.values())))
    }


def _tensors(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    """Return the mapping as plain tensors by name, or say what else it holds."""
    if not isinstance(loaded, Mapping):
        raise unusable(path, f"it holds a {type(loaded).__name__} instead of tensors by name", _RESAVE)
    if not loaded:
        raise unusable(path, "it holds no tensors", _RESAVE)
    for name, value in loaded.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise unusable(path, f"its entry {quoted(name)} is not a plain tensor but {_kind(value)}", _RESAVE)
    return {name: value.detach() for name, value in loaded.items()}


def _is_plain(value: object) -> bool:
    import torch

    if not isinstance(value, torch.Tensor) or type(value) not in (torch.Tensor, torch.nn.Parameter):
        return False
    return value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized


def _kind(value: object) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        return f"a {type(value).__name__} ({value.layout}, {value.device}, {value.dtype})"
    return f"of type {type(value).__name__}"


def unusable(path: Path, what: str, do: str) -> UsageError:
    """Return the error of a file that cannot be the weights of a model.

    Args:
        path: The file.
        what: What is wrong with it.
        do: What the user can do.
    """
    return UsageError(f"cannot use this file as weights: {what}", where=path, do=do)


def quoted(name: object) -> str:
    """Return a name from a foreign file as something safe to print: escaped, at most 80 characters."""
    text = str(name).encode("unicode_escape").decode("ascii")
    return text if len(text) <= 80 else f"{text[:79]}…"


def _in_short(error: BaseException) -> str:
    text = str(error).rpartition("WeightsUnpickler error:")[2].strip()  # before it stands advice to load unsafely
    first = re.sub(r"\[enforce fail at .*?\]\s*\.?\s*", "", text.partition("\n")[0])
    return f"{type(error).__name__}: {quoted(first)}" if first else type(error).__name__
