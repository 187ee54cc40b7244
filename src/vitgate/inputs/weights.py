"""Where a case's weights come from, and whether they are what they claim, so that no run judges the wrong model.

A checkpoint is a file from elsewhere: it is found or downloaded, checked by sha256, read without executing anything in
it, and compared with the architecture name by name. torch is imported only by the functions that need it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TYPE_CHECKING
from urllib.parse import urlsplit

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.hashing import verified
from vitgate.inputs.checkpoint_files import quoted, SUFFIXES, unusable
from vitgate.inputs.download import DownloadError, fetch, Patience, PATIENT

if TYPE_CHECKING:
    import torch

KNOWN = ("standin", "trained", "own")
"""The kinds of weights for which all labels are known: ours, and a user's own."""


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
    """Turn `--weights` into a source; it may download the checkpoint.

    Args:
        request: `auto`, `pretrained`, `standin` or a file; `auto` falls back on the stand-in only where the checkpoint
            cannot be downloaded, and the note says why.
        checkpoint: What is published for the case; None for nothing.
        has_standin: Whether the case has a stand-in.
        patience: How long to try a download.

    Raises:
        MachineError: A checkpoint that must be had cannot be.
        UsageError: The cached checkpoint is damaged, the file is missing, or the case does not have what was asked for.
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

    Args:
        checkpoint: Which; a cached file is checked against its sha256 each time.
        download: Fetch it where it is not cached.
        patience: How long to try.

    Raises:
        UsageError: The cached file has another sha256.
        MachineError: It is not cached, and may not or cannot be downloaded.
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
    return Path(os.path.expanduser(os.environ.get("TORCH_HOME", f"{cache}/torch"))) / "hub"  # noqa: PTH111  # no error


def check_state(
    state: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    *,
    where: str,
    model: str = "the case's model",
) -> dict[str, torch.Tensor]:
    """Return the state as float32, in the order of `expected`, after checking that they fit.

    Args:
        state: Tensors by name. Other floating dtypes are converted; a buffer that is not floating in the model, such as
            a counter, gets the model's dtype.
        expected: The model's own state, for names, shapes and dtypes.
        where: The file, for the errors.
        model: The model's name, for the errors.

    Raises:
        UsageError: Names are missing or too many, shapes differ, a dtype is not floating, values are NaN or infinite.
    """
    _check_names(state, expected, where, model)
    _check_shapes(state, expected, where, model)
    return {
        name: _as_float32(name, state[name], where) if own.is_floating_point() else state[name].to(own.dtype)
        for name, own in expected.items()
    }


def check_equal(state: Mapping[str, torch.Tensor], published: Mapping[str, torch.Tensor], *, where: str) -> None:
    """Check that both states have the same names and the same values, bit for bit.

    Args:
        state: Tensors by name.
        published: Those of the published checkpoint.
        where: Where `state` is from, for the error.

    Raises:
        UsageError: They differ; it names some of the tensors.
    """
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
        raise unusable(path, "its name does not say what it is", f"name a file that ends in {', '.join(SUFFIXES)}")
    return WeightsSource("file", path, f"weights from the file {path}")


def _check_names(state: Mapping[str, Any], expected: Mapping[str, Any], where: str, model: str) -> None:
    missing, extra = [n for n in expected if n not in state], [n for n in state if n not in expected]
    if missing or extra:
        parts = [
            f"{len(names)} {word}: {_some(names)}" for word, names in (("missing", missing), ("extra", extra)) if names
        ]
        raise _other_model(where, model, f"of {len(expected)} parameters, {'; '.join(parts)}")


def _check_shapes(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], where: str, model: str
) -> None:
    wrong = [name for name, own in expected.items() if state[name].shape != own.shape]
    if wrong:
        texts = [f"{name} is {list(state[name].shape)} instead of {list(expected[name].shape)}" for name in wrong[:3]]
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


def _some(names: Iterable[object]) -> str:
    listed = [quoted(name) for name in names]
    return ", ".join(listed[:3]) + (", …" if len(listed) > 3 else "")
