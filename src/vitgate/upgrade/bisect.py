"""The first release on which a claim came out otherwise, found in as few runs as halving takes.

The releases between two are found as uv sees them, with the user's own arguments. uv lists no releases; but asked for
the newest below a bound it names one, which is the next bound. So what is found is what uv can install.
"""

from __future__ import annotations

import math
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from packaging.version import InvalidVersion, Version

from vitgate.files.errors import UsageError
from vitgate.records.record import Record
from vitgate.upgrade.installer import check_uv_args, run_uv
from vitgate.upgrade.moving_package import MovingPackage, TORCH
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.record_cache import answered, file_name, Means, NotMade, open_folder, Place
from vitgate.upgrade.requirements import for_cases
from vitgate.upgrade.runs import Request, suite_folder
from vitgate.upgrade.successor_packages import for_successors

Item = TypeVar("Item")
Outcomes = Mapping[str, str]
"""The outcome words of each row of the claim, by the row's name."""

_NO_ROW = "not checked"
_CHEAPEST = "digits"  # the case that takes seconds
_NAMED = 3  # rows that the sentence names after the first

_PRE = ("--prerelease=allow", "--pre")


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
    moving: MovingPackage = field(default_factory=MovingPackage)


@dataclass(frozen=True)
class Found(Generic[Item]):
    """`after` is the first that is changed, `before` the last that is not; `skipped` lie between and tell nothing."""

    before: Item
    after: Item
    skipped: tuple[Item, ...]


def first_change(
    before: Item, after: Item, between: Sequence[Item], changed: Callable[[Item, int], bool | None]
) -> Found[Item]:
    """Return where the change is.

    Where all items tell something, at most ceil(log2(len(between) + 1)) are asked.

    Args:
        before: An item that is not changed; it is not asked.
        after: One that is; likewise.
        between: The items between them, in order.
        changed: Is given an item and how many more may have to be asked. It returns None for one that tells nothing,
            whose neighbour is asked then.
    """
    left, skipped = list(between), []
    while left:
        middle = (len(left) - 1) // 2
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


@dataclass(frozen=True)
class Bisected:
    """What was found; its text is the sentence that names the release. `seen` has the outcomes of all that were run."""

    claim: str
    found: Found[Version]
    seen: Mapping[Version, Outcomes]

    def __str__(self) -> str:
        """Say which release it is, and what changed there."""
        return sentence(self.claim, self.found, self.seen)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "claim": self.claim,
            "last_as_before": str(self.found.before),
            "first_changed": str(self.found.after),
            "skipped": [str(version) for version in self.found.skipped],
            "outcomes": {str(version): dict(rows) for version, rows in sorted(self.seen.items())},
            "answer": str(self),
        }


def bisect(asked: Bisection, echo: Callable[[str], None]) -> Bisected:
    """Find the release; UsageError where both ends say the same of the claim."""
    steps = Steps(echo)
    runs = _Runs(asked, suite_folder(asked.means.cache), open_folder(asked.records), steps)
    ends = [parse_release(text, where=where) for text, where in ((asked.good, "GOOD"), (asked.bad, "BAD"))]
    if ends[0] >= ends[1]:
        raise UsageError(f"{asked.good} is not older than {asked.bad}", where="vitgate bisect", do="name GOOD first")
    (good, before), (bad, after) = runs.look(asked.good), runs.look(asked.bad)
    if before == after:
        what = f"nothing to find: {asked.claim} comes out the same on {asked.good} and {asked.bad}, {words(before)}"
        raise UsageError(what, where="vitgate bisect", do="name another claim, or releases further apart")
    steps.say(f"{good}: {words(before)}; {bad}: {words(after)}")
    between = _between(asked, good, bad, steps)
    seen = {good: before, bad: after}

    def changed(release: Version, more: int) -> bool | None:
        try:
            _, seen[release] = runs.look(str(release))
        except NotMade as error:
            steps.say(f"{release}: skipped, it cannot be installed: {error}")
            return None
        left = f"at most {more} more to run" if more else "nothing more to run"
        steps.say(f"{release}: {words(seen[release])}{', as before' if seen[release] == before else ''}; {left}")
        return seen[release] != before

    found = first_change(good, bad, between, changed)
    return Bisected(asked.claim, found, seen)


@dataclass(frozen=True)
class _Runs:
    """Runs of the one claim on single releases; what was run before, in this bisection or another, is kept."""

    asked: Bisection
    suite: Path
    folder: Path
    steps: Steps

    def look(self, name: str) -> tuple[Version, Outcomes]:
        """Return the release, and what the claim came to on it; NotMade where it cannot be installed."""
        asked = self.asked
        place = Place(self.folder, file_name(f"bisect-{asked.claim}-{_prefix(asked.moving)}{name}"))
        side = for_cases(asked.moving.side(name, where="vitgate bisect"), asked.request.case)
        side = for_successors(side, asked.request, asked.means, self.steps.say)
        record, _ = answered(side, asked.request, asked.means, self.suite, place, self.steps)
        return asked.moving.release_in(record), outcomes(record, asked.claim)


def _prefix(package: MovingPackage) -> str:
    return "" if package.name == TORCH else f"{package.name}-"


def _between(asked: Bisection, good: Version, bad: Version, steps: Steps) -> list[Version]:
    if asked.releases is not None:
        found = [each for each in asked.releases if good < each < bad]
    else:
        with steps.step(f"asking for the releases between {good} and {bad}"):
            found = releases_between(
                good, bad, package=asked.moving.name, uv_args=asked.means.uv_args, python=asked.means.python
            )
    most = math.ceil(math.log2(len(found) + 1))
    steps.say(f"{len(found)} releases between them, at most {most} to run: {', '.join(map(str, found)) or 'none'}")
    return found


def outcomes(record: Record, claim: str) -> Outcomes:
    """Return the outcome words of the claim's rows, or of the one row that is named."""
    return {row.name: row.outcome_text for row in record.claims if claim in (row.claim, row.name)}


def words(found: Outcomes) -> str:
    """Say in a few words what the rows came to."""
    counts = {outcome: list(found.values()).count(outcome) for outcome in found.values()}
    if len(found) < 2:
        return next(iter(found.values()), _NO_ROW)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def sentence(claim: str, found: Found[Version], seen: Mapping[Version, Outcomes]) -> str:
    """Say which release it is, and what changed there.

    Args:
        claim: Id of the claim, or name of its row.
        found: The releases between which it changed.
        seen: The outcomes on all that were run.
    """
    before, after = found.before, found.after
    old, new = seen[before], seen[after]
    rows = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    first, *others = rows or [claim]
    more = f"; likewise {', '.join(others[:_NAMED])}" if others else ""
    more += f" and {len(others) - _NAMED} more" if others[_NAMED:] else ""
    skipped = ", ".join(map(str, found.skipped))
    unsure = f" (or one that could not be installed: {skipped})" if skipped else ""
    was, became = old.get(first, _NO_ROW), new.get(first, _NO_ROW)
    return (
        f"{after} is the first release{unsure} on which {first} came out otherwise: "
        f"{was} on {before}, {became} on {after}{more}"
    )


def narrowed(request: Request, claim: str) -> Request:
    """Return the request for this claim alone; of a claim without a row the cheapest case, unless one is named.

    The suite itself narrows its run to the case and engine of a row.
    """
    case = request.case or (() if "[" in claim else (_CHEAPEST,))
    return replace(request, case=case, claim=(claim,))


def releases_between(
    old: Version,
    new: Version,
    *,
    package: str = TORCH,
    uv_args: Sequence[str] = (),
    python: str | None = None,
) -> list[Version]:
    """Return the package's releases after `old` and before `new`, in order.

    Args:
        old: The lower end, which is a release.
        new: The upper one.
        package: Name on the index.
        uv_args: What uv is told besides; pre-releases are found where it asks for some.
        python: Interpreter, or its version, for which the releases must be; the one running by default.

    Raises:
        UsageError: uv refuses an argument.
        MachineError: uv cannot reach the index.
    """
    check_uv_args(uv_args)
    with tempfile.TemporaryDirectory(prefix="vitgate-releases-") as folder:
        found = sorted(_downwards(package, old, new, uv_args, python or sys.executable, Path(folder)))
    return [each for each in found if not each.is_prerelease or any(word in uv_args for word in _PRE)]


def _downwards(
    package: str, old: Version, bound: Version, uv_args: Sequence[str], python: str, folder: Path
) -> Iterator[Version]:
    """Yield releases from `bound` down. The lower one is always allowed, so that uv finds something to the end."""
    while (found := _newest(package, old, bound, uv_args, python, folder)) is not None:
        yield Version(found.public)
        bound = Version(found.public)


def _newest(
    package: str, old: Version, bound: Version, uv_args: Sequence[str], python: str, folder: Path
) -> Version | None:
    asked = folder / "asked.txt"
    asked.write_text(f"{package}>={old.public},<{bound.public}\n", encoding="utf-8")
    options = ["--no-deps", "--no-header", "--no-annotate", "--python", python]
    said = run_uv(
        ["pip", "compile", str(asked), *options, *uv_args],
        name=f"the releases of {package} between {old.public} and {bound.public}",
        folder=folder,
        lock=None,
        show=lambda detail: None,
    )
    found = Version(re.findall(rf"(?m)^{re.escape(package)}==([^\s;]+)", said)[-1])
    return found if old.public != found.public and found > old else None


def parse_releases(text: str) -> list[Version]:
    """Parse `2.9.1,2.10.0`; UsageError for text that is not a version."""
    return sorted({parse_release(part, where="--releases") for part in text.split(",")})


def parse_release(text: str, *, where: str) -> Version:
    """Understand one version; UsageError for anything else."""
    try:
        return Version(text.strip())
    except InvalidVersion:
        raise UsageError(f"{text.strip()!r} is not a version", where=where, do="give releases such as 2.12.1") from None
