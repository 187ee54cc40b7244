"""How far two variants of one model are from each other after each block: run once more, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vitgate.judge.blocks import BlockDiagnosis, part_ways
from vitgate.judge.metrics import Array
from vitgate.observe.blocks import block_outputs, blocks_of
from vitgate.pipeline.stages import engine_set, stage
from vitgate.spec.cells import CellId

if TYPE_CHECKING:
    from vitgate.observe.local import LocalObserver

_PICTURES = 2  # enough to tell the blocks apart; each costs a call


def by_block(observer: LocalObserver, reference: CellId, cell: CellId) -> BlockDiagnosis:
    """Return the SQNR of `cell` against `reference` in dB after each block, and the first where they part ways.

    ClaimFailed where one of the two cannot be loaded or run block by block.
    """
    with engine_set(cell.engine), stage("run"):
        seen = [_blocks(observer, each) for each in (reference, cell)]
        ordinary = _ordinary(observer, reference, seen[0]) if reference.form.quantized else None
        return part_ways(*seen, ordinary=ordinary)


def _blocks(observer: LocalObserver, cell: CellId) -> list[Array]:
    """Run the cell block by block: what is loaded already where its runtime shows blocks, otherwise its file."""
    x = torch.from_numpy(observer.pictures(cell.case).arrays["x"][:_PICTURES])
    depth = len(blocks_of(observer.model(cell.case)))
    if cell.form.runtime in ("eager", "torchscript"):
        return block_outputs(observer.runnable(cell).module, x, frozen=cell.form.frozen, blocks=depth)
    path = Path(observer.artifact(cell).demand().values["path"])
    return block_outputs(path, x, frozen=cell.form.frozen, blocks=depth)


def _ordinary(observer: LocalObserver, reference: CellId, seen: list[Array]) -> float:
    """Return the SQNR that one int8 block costs against the float original: two int8 forms drift apart by as much."""
    return part_ways(_blocks(observer, reference.at("original")), seen).own[1]
