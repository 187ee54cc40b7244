"""How far two variants of one model are from each other after each block: run once more, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitgate.observe.artifacts import model_of, path_of, variant_of
from vitgate.observe.inputs import pictures
from vitgate.observe.observer import LocalObserver, observation, Observer
from vitgate.observe.outputs import cached
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence

if TYPE_CHECKING:
    from vitgate.judge.blocks import BlockDiagnosis
    from vitgate.observe.blocks import Form

_PICTURES = 2  # enough to tell the blocks apart; each costs a call


@observation()
def blocks(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `sqnr`, dB: how near the cell is to the original after the embedding, each block and the head."""
    return cached(observer, "blocks", cell, lambda: _blocks(observer, cell))[0]


def _blocks(observer: LocalObserver, cell: CellId) -> Evidence:
    found = _diagnose(observer, cell.at("original"), cell)
    return Evidence({"sqnr": dict(zip(found.places, found.sqnr, strict=True))})


@observation()
def diagnosis(observer: LocalObserver, reference: CellId, cell: CellId) -> Evidence:
    """Return `text`, which says in words where in the network the two cells part ways.

    Args:
        observer: Gives the models and the pictures.
        reference: The variant that is taken to be right.
        cell: The one that is judged.

    Raises:
        ClaimFailed: One of the two cannot be loaded, or run block by block.
    """
    return Evidence({"text": str(_diagnose(observer, reference, cell))})


def diagnosis_of(observer: Observer, reference: CellId, cell: CellId) -> str:
    """Return the diagnosis in words, or why there is none.

    Args:
        observer: Makes the observation `diagnosis`.
        reference: The variant that is taken to be right.
        cell: The one that is judged.
    """
    found = observer.get(diagnosis, reference, cell)
    return f"No diagnosis by block: {found.outcome.message}" if found.outcome else str(found.values["text"])


def _diagnose(observer: LocalObserver, reference: CellId, cell: CellId) -> BlockDiagnosis:
    """ClaimFailed where one of the two cannot be loaded or run block by block."""
    import torch

    from vitgate.observe.blocks import blocks_of, by_block
    from vitgate.pipeline.stages import engine_set, stage

    with engine_set(cell.engine), stage("run"):
        x = torch.from_numpy(observer.get(pictures, cell.case).arrays["x"][:_PICTURES])
        depth = len(blocks_of(model_of(observer, cell.case)))
        original = _form(observer, cell.at("original")) if reference.form.quantized else None
        return by_block(_form(observer, reference), _form(observer, cell), x, blocks=depth, original=original)


def _form(observer: LocalObserver, cell: CellId) -> Form:
    """Return what is loaded already where its runtime shows blocks, otherwise the file."""
    from vitgate.observe.blocks import Form

    here = cell.form.runtime in ("eager", "torchscript")
    module = variant_of(observer, cell).module if here else path_of(observer, cell)
    return Form(module, cell.form.frozen, read_cases()[cell.case].returns)
