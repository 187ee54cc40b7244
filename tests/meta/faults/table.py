"""Faults of the accepted table, or of what is held against it."""

from __future__ import annotations

from dataclasses import replace

from vitgate.judge.table import parse, render

from ..scene import Scene
from .catalogue import fault, TABLE


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
    (scene.folder / "tables" / f"{scene.case}-{scene.clean.engine}.txt").unlink()
