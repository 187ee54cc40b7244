"""Parts of one run that do not go together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vitgate.records.record import Record

from .records import release


@dataclass(frozen=True)
class Parts:
    """The two parts of a run that was split up, as they are handed to `vitgate merge`; `says` are words that it says.

    A merge that is refused writes nothing; one that lacks something writes a record that says so.
    """

    id: str
    what: str
    change: Callable[[list[Record]], list[Record]]
    says: str
    refused: bool


PARTS: list[Parts] = []


def part(says: str, *, refused: bool = True) -> Callable[[Any], Any]:
    """Add the decorated function to the catalogue."""

    def add(change: Callable[[list[Record]], list[Record]]) -> Callable[[list[Record]], list[Record]]:
        PARTS.append(Parts(change.__name__, (change.__doc__ or "").strip(), change, says, refused))
        return change

    return add


def parts() -> list[Record]:
    """Return the record of a release as two shards: qnnpack, and the rest."""
    whole = release("2.15.0")

    def shard(number: int, own: Callable[[str], bool]) -> Record:
        rows = {name: tuple(row for row in getattr(whole, name) if own(row.engine)) for name in ("claims", "cells")}
        return whole.model_copy(update={**rows, "complete": False, "shard": f"{number}/2"})

    return [shard(1, lambda engine: engine == "qnnpack"), shard(2, lambda engine: engine != "qnnpack")]


@part("not complete, shards 1/2", refused=False)
def one_part_is_lost(both: list[Record]) -> list[Record]:
    """Only one of two machines delivered."""
    return both[:1]


@part("not complete", refused=False)
def one_part_lacks_a_row(both: list[Record]) -> list[Record]:
    """All parts are there, and one claim is in none."""
    return [both[0].model_copy(update={"claims": both[0].claims[1:], "cells": ()}), both[1]]


@part("different things of the row label[")
def two_parts_contradict_each_other(both: list[Record]) -> list[Record]:
    """Both ran a claim, and it came out otherwise."""
    row = next(row for row in both[0].claims if row.claim == "label" and row.status == "passed")
    other = row.model_copy(update={"message": "another run"})
    return [both[0], both[1].model_copy(update={"claims": (*both[1].claims, other)})]


@part("different environments (torch)")
def a_part_is_of_another_release(both: list[Record]) -> list[Record]:
    """One machine had another PyTorch."""
    environment = both[1].environment.model_copy(update={"torch": "2.14.1"})
    return [both[0], both[1].model_copy(update={"environment": environment})]


@part("different versions of vitgate")
def a_part_is_of_another_suite(both: list[Record]) -> list[Record]:
    """One machine had another suite."""
    return [both[0], both[1].model_copy(update={"vitgate": "0.0.9"})]


@part("different numbers of shards")
def a_part_is_of_another_split(both: list[Record]) -> list[Record]:
    """One machine ran a third."""
    return [both[0], both[1].model_copy(update={"shard": "2/3"})]


@part("different things of the inputs of deit_base")
def a_part_has_other_weights(both: list[Record]) -> list[Record]:
    """One machine had a checkpoint of its own."""
    inputs = [row.model_copy(update={"weights_digest": "00"}) for row in both[1].inputs]
    return [both[0], both[1].model_copy(update={"inputs": tuple(inputs)})]
