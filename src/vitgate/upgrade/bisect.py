"""The first release on which a claim came out otherwise, found in as few runs as halving takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from packaging.version import Version

from vitgate.errors import UsageError
from vitgate.judge.record import Record
from vitgate.upgrade.kept import answered, file_name, Means, NotMade, open_folder, Place
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.releases import parse_release, releases_between
from vitgate.upgrade.requirements import parse_side
from vitgate.upgrade.runs import Request
from vitgate.upgrade.suite import suite_folder

Item = TypeVar("Item")
Outcomes = Mapping[str, str]
"""The outcome words of each row of the claim, by the row's name."""

_NO_ROW = "not checked"
_NAMED = 3  # rows that the sentence names after the first


@dataclass(frozen=True)
class Bisection:
    """What is asked: the two ends, the claim or row, the suite's options, and, if given, the releases to look at."""

    good: str
    bad: str
    claim: str
    request: Request
    means: Means
    records: Path
    releases: tuple[Version, ...] | None = None


@dataclass(frozen=True)
class Found(Generic[Item]):
    """`after` is the first that is changed, `before` the last that is not; `skipped` lie between and tell nothing."""

    before: Item
    after: Item
    skipped: tuple[Item, ...]


def first_change(
    before: Item, after: Item, between: Sequence[Item], changed: Callable[[Item, int], bool | None]
) -> Found[Item]:
    """Return where the change is. `between` are in order; neither end is asked.

    `changed` is given an item and how many more may have to be asked, and returns None for one that tells nothing; its
    neighbour is asked then. Where all tell something, at most ceil(log2(len(between) + 1)) are asked.
    """
    left, skipped = list(between), []
    while left:
        middle = len(left) // 2
        item = left[middle]
        answer = changed(item, math.ceil(math.log2(len(left) + 1)) - 1)
        if answer is None:
            skipped.append(left.pop(middle))
        elif answer:
            after, left = item, left[:middle]
        else:
            before, left = item, left[middle + 1 :]
    order = [before, *between, after]
    inside = order[_last(order, before) + 1 : order.index(after)]
    return Found(before, after, tuple(item for item in inside if item in skipped))


def _last(order: Sequence[Item], item: Item) -> int:
    return len(order) - 1 - order[::-1].index(item)


def bisect(asked: Bisection, echo: Callable[[str], None]) -> str:
    """Return the sentence that names the release; UsageError where both ends say the same of the claim."""
    steps = Steps(echo)
    releases = _Releases(asked, suite_folder(asked.means.cache), open_folder(asked.records), steps)
    ends = parse_release(asked.good, where="GOOD"), parse_release(asked.bad, where="BAD")
    if ends[0] >= ends[1]:
        raise UsageError(f"{asked.good} is not older than {asked.bad}", where="vitgate bisect", do="name GOOD first")
    good, bad = releases.outcomes(asked.good), releases.outcomes(asked.bad)
    if good == bad:
        what = f"there is nothing to find: {asked.claim} comes out the same on {asked.good} and {asked.bad}"
        raise UsageError(what, where=words(good), do="name another claim, or releases further apart")
    found = _search(asked, releases, ends, good, steps)
    names = [_name(each, ends, asked) for each in (found.before, found.after)]
    return sentence(asked.claim, *names, [str(each) for each in found.skipped], releases.known)


@dataclass(frozen=True)
class _Releases:
    """Runs the claim on a release, once; `known` are the outcomes so far, by the name of the release."""

    asked: Bisection
    suite: Path
    folder: Path
    steps: Steps

    def outcomes(self, name: str) -> Outcomes:
        """Return what the rows of the claim came to; NotMade where the release cannot be installed."""
        asked = self.asked
        place = Place(self.folder, file_name(f"bisect-{asked.claim}-{name}"))
        side = parse_side(name, where="vitgate bisect")
        record, _ = answered(side, asked.request, asked.means, self.suite, place, self.steps)
        return outcomes(record, asked.claim)

    def known(self, name: str) -> Outcomes:
        """Return the outcomes of a release that was looked at before: its record is kept."""
        return self.outcomes(name)


def _search(
    asked: Bisection, releases: _Releases, ends: tuple[Version, Version], good: Outcomes, steps: Steps
) -> Found[Version]:
    if asked.releases is None:
        with steps.step(f"asking for the releases between {asked.good} and {asked.bad}"):
            between = releases_between(*ends, uv_args=asked.means.uv_args, python=asked.means.python)
    else:
        between = [each for each in asked.releases if ends[0] < each < ends[1]]
    steps.say(f"{len(between)} releases between {asked.good} and {asked.bad}: {', '.join(map(str, between))}")

    def changed(release: Version, more: int) -> bool | None:
        try:
            seen = releases.outcomes(str(release))
        except NotMade as error:
            steps.say(f"{release}: skipped, it cannot be installed: {error}")
            return None
        left = f"at most {more} more to run" if more else "none left to run"
        steps.say(f"{release}: {words(seen)}{'' if seen != good else ', as before'}; {left}")
        return seen != good

    return first_change(*ends, between, changed)


def _name(release: Version, ends: tuple[Version, Version], asked: Bisection) -> str:
    """Return the release as it was asked for, so that its kept record is found."""
    return {ends[0]: asked.good, ends[1]: asked.bad}.get(release, str(release))


def outcomes(record: Record, claim: str) -> Outcomes:
    """Return the outcome words of the claim's rows, or of the one row that is named."""
    return {row.name: row.outcome for row in record.claims if claim in (row.claim, row.name)}


def words(found: Outcomes) -> str:
    """Say in a few words what the rows came to."""
    counts = {outcome: list(found.values()).count(outcome) for outcome in found.values()}
    if len(found) < 2:
        return next(iter(found.values()), _NO_ROW)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def sentence(claim: str, before: str, after: str, skipped: Sequence[str], known: Callable[[str], Outcomes]) -> str:
    """Say which release it is, and what changed there."""
    old, new = known(before), known(after)
    rows = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    first = rows[0] if rows else claim
    was, became = old.get(first, _NO_ROW), new.get(first, _NO_ROW)
    others = f"; likewise {', '.join(rows[1 : _NAMED + 1])}" if rows[1:] else ""
    others += f" and {len(rows) - _NAMED - 1} more" if len(rows) > _NAMED + 1 else ""
    unsure = f" (or one that could not be installed: {', '.join(skipped)})" if skipped else ""
    return (
        f"{after} is the first release{unsure} on which {first} came out otherwise: "
        f"{was} on {before}, {became} on {after}{others}"
    )


def narrowed(request: Request, claim: str) -> Request:
    """Return the request for this claim alone; the cheapest case stands for all, unless the user or the row names one."""
    cases = request.cases or (() if re.search(r"\[.*\]$", claim) else ("digits",))
    return Request(
        cases=cases,
        engines=request.engines,
        weights=request.weights,
        assets=request.assets,
        workers=request.workers,
        claims=(claim,),
    )
