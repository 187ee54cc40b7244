"""Where a case's weights come from, and whether they are what they claim, so that no run judges the wrong model.

A checkpoint is a file from elsewhere: it is found or downloaded, checked by sha256, read without executing anything in
it, and compared with the architecture name by name. torch is imported only by the functions that need it.
"""

from __future__ import annotations

import inspect
import os
import pickle
import re
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TYPE_CHECKING
from urllib.parse import urlsplit

from vitgate.files.archives import pytorch_entries
from vitgate.files.errors import MachineError, UsageError
from vitgate.inputs.download import DownloadError, fetch, Patience, PATIENT, verified
from vitgate.inputs.pickles import more_than_tensors

if TYPE_CHECKING:
    import torch

KNOWN = ("standin", "trained", "own")
"""The kinds of weights for which all labels are known: ours, and a user's own."""

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


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint: address, first digits of its sha256 (8, as its file name carries them, or more), bytes.

    The digits are those that `torch.hub.load_state_dict_from_url(check_hash=True)` checks.
    """

    url: str
    sha256: str
    size_hint: int | None = None
    file: str | None = None

    @property
    def name(self) -> str:
        """Its file name in torch's cache: the address's own, where no other is given."""
        return self.file or PurePosixPath(urlsplit(self.url).path).name


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights are. `path` is absolute, None for the stand-in; `note` is a sentence for header and record.

    `published` is the checked checkpoint that weights which came another way must equal, where it is on this machine.
    """

    kind: Literal["pretrained", "file", "standin", "trained", "own"]
    path: Path | None
    note: str
    published: Path | None = None


def choose_source(
    request: str, checkpoint: Checkpoint | None, has_standin: bool, *, patience: Patience = PATIENT
) -> WeightsSource:
    """Turn `--weights` (`auto`, `pretrained`, `standin` or a file) into a source; it may download the checkpoint.

    `auto` falls back on the stand-in only where the checkpoint cannot be downloaded, and the note says why.

    Errors: MachineError where a checkpoint that must be had cannot be; UsageError for a damaged cached checkpoint, a
    missing file, a case without what was asked for.
    """
    if request == "standin":
        return _standin("as asked", has_standin)
    if request not in ("auto", "pretrained"):
        return _file(request)
    if checkpoint is None:
        if request == "auto" and has_standin:
            return _standin("nothing is published for this case", has_standin)
        raise UsageError("no checkpoint is published for this case", where=f"--weights {request}", do="name a file")
    try:
        path = find_pretrained(checkpoint, download=True, patience=patience)
    except DownloadError as error:
        if request == "pretrained" or not has_standin:
            raise
        return _standin(f"{checkpoint.name} is not cached and cannot be downloaded ({error.reason})", has_standin)
    return WeightsSource("pretrained", path, f"published checkpoint {path.name}, sha256 {checkpoint.sha256}…")


def find_pretrained(checkpoint: Checkpoint, *, download: bool, patience: Patience = PATIENT) -> Path:
    """Return the checkpoint's path in torch's own cache (`torch.hub.get_dir()`, which honours TORCH_HOME).

    A cached file is checked against the sha256 each time. Without it, `download` fetches it.

    Errors: UsageError for a cached file with another sha256; MachineError where it is not cached and may not be, or
    cannot be, downloaded.
    """
    path = hub_folder().absolute() / "checkpoints" / checkpoint.name
    if download:
        digits, size = checkpoint.sha256, checkpoint.size_hint
        return fetch(checkpoint.url, path, sha256=digits, size_hint=size, patience=patience)
    if verified(path, checkpoint.sha256):
        return path
    raise MachineError("the published checkpoint is not cached", where=path, do=f"download {checkpoint.url} to there")


def cached_checkpoint(checkpoint: Checkpoint) -> Path | None:
    """Return the checkpoint's path where it is cached and whole."""
    path = hub_folder().absolute() / "checkpoints" / checkpoint.name
    return path if verified(path, checkpoint.sha256) else None


def hub_folder() -> Path:
    """Return what `torch.hub.get_dir()` does, by its documented rules, without the seconds that importing it takes."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub"


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a `.pth`, `.pt` or `.safetensors` file by name, on the CPU, dtypes and shapes as stored.

    Nothing in the file is executed. A state under the key `model` or `state_dict` is unwrapped. The tensors may map the
    file: they are to be read, not written.

    Errors: UsageError for everything that is not a whole checkpoint of plain tensors.
    """
    head = _head(path)
    loaded = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path, head)
    return _tensors(_unwrapped(loaded), path)


def check_state(
    state: Mapping[str, torch.Tensor],
    expected: Mapping[str, tuple[int, ...]],
    *,
    where: str,
    model: str = "the case's model",
) -> dict[str, torch.Tensor]:
    """Return the state as float32, in the order of `expected` (shapes by name), after checking that it is the model's.

    Other floating dtypes are converted; `model` and `where` only serve the messages.

    Errors: UsageError for missing or extra names, other shapes, dtypes that are not floating, NaN or infinite values.
    """
    _check_names(state, expected, where, model)
    _check_shapes(state, expected, where, model)
    return {name: _as_float32(name, state[name], where) for name in expected}


def check_equal(state: Mapping[str, torch.Tensor], published: Mapping[str, torch.Tensor], *, where: str) -> None:
    """UsageError unless both states have the same names and the same values, bit for bit."""
    import torch

    names = [*dict.fromkeys([*published, *state])]
    other = [n for n in names if n not in state or n not in published or not torch.equal(state[n], published[n])]
    if other:
        what = f"{len(other)} of {len(names)} parameters are not those of the published checkpoint: {_some(other)}"
        raise UsageError(what, where=where, do="use --weights pretrained")


def _standin(reason: str, available: bool) -> WeightsSource:
    if not available:
        raise UsageError("this case has no stand-in weights", where="--weights standin", do="name a file, or use auto")
    return WeightsSource("standin", None, f"generated stand-in weights: {reason}")


def _file(request: str) -> WeightsSource:
    path = Path(request).absolute()
    if not path.is_file():
        do = "name an existing file, or one of auto, pretrained, standin"
        raise UsageError(f"no such file: {request!r}", where="--weights", do=do)
    if path.suffix.lower() not in SUFFIXES:
        raise _unusable(path, "its name does not say what it is", f"name a file that ends in {', '.join(SUFFIXES)}")
    return WeightsSource("file", path, f"weights from the file {path}")


def _head(path: Path) -> bytes:
    """Return the first bytes of a file that may be a checkpoint."""
    if path.suffix.lower() not in SUFFIXES:
        raise _unusable(path, "its name does not say what it is", f"name a file that ends in {', '.join(SUFFIXES)}")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error), "name a readable file") from None
    if not head:
        raise _unusable(path, "it is empty", _FETCH_AGAIN)
    for beginning, what in _FOREIGN.items():
        if head.lower().startswith(beginning):
            raise _unusable(path, what, _FETCH_AGAIN)
    return head


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, *_LOAD_ERRORS) as error:
        raise _unusable(path, f"it is not a whole safetensors file ({_in_short(error)})", _FETCH_AGAIN) from None


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
            raise _unusable(path, "it is a TorchScript archive, a program rather than weights", _RESAVE)
        if "data.pkl" not in records:
            raise _unusable(path, "it is an archive without a checkpoint in it", _RESAVE)
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its entries are compressed, which torch.save never does")
        strange = more_than_tensors(reader.get_record("data.pkl"))
    except (zipfile.BadZipFile, *_LOAD_ERRORS) as error:
        raise _unusable(path, f"it is damaged or cut off ({_in_short(error)})", _FETCH_AGAIN) from None
    if strange:
        raise _unusable(path, strange, _RESAVE)


def _check_legacy(path: Path, head: bytes) -> None:
    """Refuse everything but torch.save's own old form; torch.load would also try tar, whose reader is not safe."""
    if not head.startswith(_LEGACY_MAGIC):
        raise _unusable(path, "it was not made by torch.save", _RESAVE)
    if tarfile.is_tarfile(path):
        raise _unusable(path, "it is a tar archive", _RESAVE)
    try:
        with path.open("rb") as file:
            strange = next(filter(None, (more_than_tensors(file) for _ in range(_LEGACY_PICKLES))), "")
    except _LOAD_ERRORS as error:
        raise _unusable(path, f"it is damaged or cut off ({_in_short(error)})", _FETCH_AGAIN) from None
    if strange:
        raise _unusable(path, strange, _RESAVE)


def _refused(path: Path, error: BaseException) -> UsageError:
    """Say why torch.load failed: it met something other than tensors, or the file is damaged."""
    asked = re.search(r"(?:GLOBAL|Unsupported class|unsupported class|unrecognized function) (\S+)", str(error))
    if asked:
        what = f"it asks for {_quoted(asked[1])}, which is more than tensors; nothing of it was run"
        return _unusable(path, what, _RESAVE)
    what = f"it is damaged, or holds more than this PyTorch reads safely ({_in_short(error)})"
    return _unusable(path, what, f"{_FETCH_AGAIN}, or {_RESAVE}")


def _unwrapped(loaded: Any) -> Any:
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            return loaded[key]
    return loaded


def _tensors(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    """Return the mapping as plain tensors by name, or say what else it holds."""
    if not isinstance(loaded, Mapping):
        raise _unusable(path, f"it holds a {type(loaded).__name__} instead of tensors by name", _RESAVE)
    if not loaded:
        raise _unusable(path, "it holds no tensors", _RESAVE)
    for name, value in loaded.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise _unusable(path, f"its entry {_quoted(name)} is no plain tensor but {_kind(value)}", _RESAVE)
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


def _check_names(state: Mapping[str, Any], expected: Mapping[str, Any], where: str, model: str) -> None:
    missing, extra = [n for n in expected if n not in state], [n for n in state if n not in expected]
    if missing or extra:
        parts = [
            f"{len(names)} {word}: {_some(names)}" for word, names in (("missing", missing), ("extra", extra)) if names
        ]
        raise _other_model(where, model, f"of {len(expected)} parameters, {'; '.join(parts)}")


def _check_shapes(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]], where: str, model: str
) -> None:
    wrong = [name for name, shape in expected.items() if tuple(state[name].shape) != tuple(shape)]
    if wrong:
        texts = [f"{name} is {list(state[name].shape)} instead of {list(expected[name])}" for name in wrong[:3]]
        raise _other_model(where, model, f"{len(wrong)} of {len(expected)} shapes differ: {', '.join(texts)}")


def _as_float32(name: str, tensor: torch.Tensor, where: str) -> torch.Tensor:
    import torch

    if not tensor.is_floating_point():
        raise UsageError(
            f"parameter {name} is {tensor.dtype}, not floating", where=where, do="use the unquantized weights"
        )
    converted = tensor.detach().to(torch.float32)
    bad = int(converted.numel() - torch.isfinite(converted).sum())
    if bad:
        what = f"parameter {name} has {bad} of {converted.numel()} values NaN or infinite in float32"
        raise UsageError(what, where=where, do="use sound weights")
    return converted


def _other_model(where: str, model: str, difference: str) -> UsageError:
    return UsageError(
        f"the weights are not those of {model}: {difference}", where=where, do="name weights of this model"
    )


def _unusable(path: Path, what: str, do: str) -> UsageError:
    return UsageError(f"cannot use this file as weights: {what}", where=path, do=do)


def _some(names: Iterable[object]) -> str:
    listed = [_quoted(name) for name in names]
    return ", ".join(listed[:3]) + (", …" if len(listed) > 3 else "")


def _quoted(name: object) -> str:
    """Return a name from a foreign file as something safe to print: escaped, at most 80 characters."""
    text = str(name).encode("unicode_escape").decode("ascii")
    return text if len(text) <= 80 else f"{text[:79]}…"


def _in_short(error: BaseException) -> str:
    text = str(error).rpartition("WeightsUnpickler error:")[2].strip()  # before it stands advice to load unsafely
    first = re.sub(r"\[enforce fail at .*?\]\s*\.?\s*", "", text.partition("\n")[0])
    return f"{type(error).__name__}: {_quoted(first)}" if first else type(error).__name__
