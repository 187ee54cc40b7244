"""Writes the chosen weights as one safetensors file that every worker maps into memory.

The stand-in needs no torch, so that it can be written while torch is still being imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TYPE_CHECKING

from safetensors import safe_open, SafetensorError
from safetensors.numpy import save_file as save_arrays

from vitgate.files.errors import MachineError
from vitgate.files.hashing import digest, digest_of, key_of
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs import standin
from vitgate.inputs.checkpoint_files import read_state, read_state_file
from vitgate.inputs.huggingface_names import from_timm, published
from vitgate.inputs.pictures import read_standin
from vitgate.inputs.weights import check_equal, check_state, WeightsSource
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.spec.cases import Case
from vitgate.spec.outcome import Evidence

if TYPE_CHECKING:
    import torch

_BESIDE = "beside"  # the key of the metadata that says which other states the user's checkpoint holds


def weights_of(case: Case, source: WeightsSource, cache: ArtifactCache) -> Evidence:
    """Return path, digest, kind and note of the case's weights.

    The file holds float32 parameters and, as they are, other buffers, by timm's names or those that transformers
    publishes.

    Args:
        case: Whose model.
        source: What `choose_source` chose.
        cache: Where the file is kept, once for all that ask.

    Raises:
        UsageError: The weights do not fit the case's model.
        MachineError: The generated stand-in is not the pinned one.
    """
    if source.kind == "standin":
        return _standin(case, source, cache)
    if source.path is None:
        return _as_built(case, source, cache)
    digest = digest_of(source.path)
    parts = {"weights": digest, "case": case.id, "equals": str(source.published or "")}
    entry = cache.get(key_of(parts), "weights.safetensors", lambda path: _convert(case, source, path))
    with safe_open(entry.path, "np") as file:
        beside = (file.metadata() or {}).get(_BESIDE, "")
    note = f"{source.note}; {beside}" if beside else source.note
    return Evidence({"path": entry.path, "digest": digest, "kind": source.kind, "note": note})


def _as_built(case: Case, source: WeightsSource, cache: ArtifactCache) -> Evidence:
    """Store the weights with which the user's function builds the model; it is called again in each run."""
    from safetensors.torch import save

    from vitgate.pipeline.stages import architecture

    state = architecture(case).state_dict()
    checked = check_state(state, state, where=source.note, model=case.id)
    data = save({name: tensor.contiguous().clone() for name, tensor in checked.items()})
    key = digest(data)
    entry = cache.get(
        key_of({"weights": key, "case": case.id}), "weights.safetensors", lambda path: path.write_bytes(data)
    )
    return Evidence({"path": entry.path, "digest": key, "kind": source.kind, "note": source.note})


def _convert(case: Case, source: WeightsSource, path: Path) -> None:
    from safetensors.torch import save_file

    assert source.path is not None
    found = read_state_file(source.path)
    state = found.tensors
    if source.published is not None:
        check_equal(state, read_state(source.published), where=source.note)
    if case.library == "transformers":
        state = {published(name): tensor for name, tensor in state.items()}
    state = check_state(state, model_state(case), where=str(source.path), model=case.id)
    with system_errors(path):
        save_file(_apart(state), path, {_BESIDE: found.note})


def _apart(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors with memory of their own: safetensors stores no weights that are tied."""
    found: dict[int, torch.Tensor] = {}
    own = {}
    for name, tensor in state.items():
        whole = tensor.contiguous()
        own[name] = whole.clone() if whole.data_ptr() in found else whole
        found[whole.data_ptr()] = whole
    return own


@contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Raise OSError for what safetensors reports of the system, such as a full disk, as an error of its own."""
    try:
        yield
    except SafetensorError as error:
        if found := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from None
        raise


def _standin(case: Case, source: WeightsSource, cache: ArtifactCache) -> Evidence:
    row = read_standin(case)

    def make(path: Path) -> None:
        state = standin.generate(standin.vit_shapes(**row.shapes.model_dump()), fixtures_folder() / row.head)
        if (digest := standin.digest(state)) != row.sha256:
            raise MachineError(
                f"the generated weights have sha256 {digest[:16]}…, not the pinned {row.sha256[:16]}…",
                where=f"stand-in of {case.id}",
                do="report this machine's NumPy and processor",
            )
        kept = from_timm(state) if case.library == "transformers" else state
        with system_errors(path):
            save_arrays(kept, path)

    key = key_of({"standin": row.sha256, "library": case.library})
    entry = cache.get(key, "weights.safetensors", make)
    return Evidence({"path": entry.path, "digest": row.sha256, "kind": "standin", "note": source.note})


def model_state(case: Case) -> dict[str, torch.Tensor]:
    """Return the tensors of the case's model, whose values do not matter, by the names under which weights are kept."""
    from vitgate.pipeline.stages import stored_names, unfilled

    model = unfilled(case)
    kept = stored_names(case, model)
    return {kept[name]: tensor for name, tensor in model.state_dict().items()}


def load_state(weights: Evidence) -> dict[str, Any]:
    """Map the file into memory: float32 tensors by name, shared by all processes that do the same."""
    from safetensors.torch import load_file

    return dict(load_file(weights.values["path"]))
