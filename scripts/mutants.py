"""Prints the table of `docs/proof.md`, section "Mutants", from the results of mutmut in `mutants/`.

    mutmut run --max-children 2 && python scripts/mutants.py

Each survivor needs an explanation below; one without is printed, and the exit status is 1.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vitgate.files.errors import MachineError, status_of, UsageError

ROOMS = tuple(Path("src") / "vitgate" / room for room in ("judge", "compare", "records"))
LEAST = 0.98  # the share of mutants that the tests have to kill
SURVIVED, UNTESTED = 0, 33  # mutmut's statuses of a mutant that no test noticed, and of one that no test ran

# Why a mutant is equivalent to the original, by a pattern of the removed and the added line.
EXPLAINED: tuple[tuple[str, str], ...] = (
    (r"strict=", "what is zipped has equal lengths: they were compared before, or are equal by construction"),
    (r"encoding=", "UTF-8 under another name, or as the default of the machine that ran the tests"),
    (r"(astype|finfo)\(None\)|dtype=None|\"upper\"\), (None)?\)", "NumPy takes None for float64"),
    (r"full_like\(wide, None\)", "NumPy takes None for NaN"),
    (r"\.\d[fF]\"", "`F` writes finite numbers as `f` does"),
    (r"else -2, engine\)", "any number below all places puts an unknown engine first"),
    (r"rpartition\(\"/\"\)", "a shard has one slash"),
    (r"row\.ratio or 1\.0", "a latency that has regressed always has a ratio"),
    (r"if text\), None\)", "another value that counts as nothing"),
    (r"not in \(\"\w+\", \"\w+\", \"file\"\)", "claims about cells and engines have their rows by the other condition"),
    (r"< present|others < claims", "a whole run has rows of both kinds, so that neither set is ever all of it"),
    (r"([\w)\]]+) ([<>])(=?) (\S+).*\n.*\1 \2(?!\3 )=? \4", "numbers that were measured are never exactly the bound"),
    (r"None, (\"\w*\"|None), (\"\w*\"|None)\)$", "no bound between releases selects by weights or by machine"),
    (
        r"old=None|default=|test=|outcome=\"(XX)?passed|complete=",
        "never looked at: overwritten, as false as False, or unused",
    ),
    (
        r"Finding\((None|row\.statistic), value, (None|row\.unit)",
        "the finding is only asked whether it is within its bounds",
    ),
    (r"baseline: ClaimRow", "as false as None, until the first row takes its place"),
    (r"alike = self", "what is declared is like nothing else, since a row with a deviation is left alone"),
    (r"variants\.index|names\.index", "a record's variants and engines are known ones"),
    (r"^return \"\"\nreturn \"XXXX\"$", "no such side comes here: rows of one record were left out before"),
    (r"old is None and new is None", "what one record lacks has neither of these words"),
    (r"\* int8 < most:", "weights stored a whole number of times come out as that number on the other way too"),
    (r"mode=(None|\"\w*json\"), exclude", "tuples become lists in JSON anyway"),
    (r"reshape\(.*, -2\)", "NumPy takes any negative number for the size that is left over"),
    (r"max\((new|old), 1\.0\)", "a byte is nothing beside what a runtime takes for itself"),
    (r"rows / sign", "to divide by 1 or -1 is to multiply by it"),
    (r"min\((down|right), 1\)", "a slice ends where its array does"),
    (r"pairs\[place\]\[1\]\.name", "the two pictures of a pair have one name"),
    (r"own, against=(None|\"XXoriginalXX\"|\"ORIGINAL\")\)", "a cell's line shows numbers, and not against what"),
    (r"ensure_ascii=None|judged=None", "None is as false as False"),
    (r"pop\(\"seal\"", "nothing that stands for a missing seal is one"),
)


@dataclass(frozen=True)
class Mutant:
    """One change of one function, and what became of it."""

    module: str
    name: str
    status: int | None

    def change(self) -> tuple[str, str]:
        """Return the line as it was and as the mutant has it."""
        from mutmut.mutation.diff_apply import get_diff_for_mutant

        lines = [line for line in get_diff_for_mutant(self.name).splitlines() if line[:3] not in ("---", "+++")]
        removed, added = ([line[1:].strip() for line in lines if line.startswith(sign)] for sign in "-+")
        return " ".join(removed), " ".join(added)


def mutants() -> Iterator[Mutant]:
    """Yield the mutants of the rooms that judge, in the order of their modules."""
    try:
        from mutmut.mutation.data import SourceFileMutationData
    except ImportError as error:
        raise MachineError(f"mutmut is missing: {error}", do='pip install -e ".[mutants]"') from None

    for path in (path for room in ROOMS for path in sorted(room.glob("*.py"))):
        data = SourceFileMutationData(path=path)
        data.load()
        for name, status in data.exit_code_by_key.items():
            yield Mutant(f"{path.parent.name}.{path.stem}", name, status)


def reason_of(mutant: Mutant) -> str | None:
    """Return why a surviving mutant is equivalent to the original, or None."""
    change = "\n".join(mutant.change())
    return next((reason for pattern, reason in EXPLAINED if re.search(pattern, change)), None)


def table(found: list[Mutant]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| module | mutants | killed | survived | killed, % |"
    yield "|---|---:|---:|---:|---:|"
    for module in dict.fromkeys(mutant.module for mutant in found):
        yield _line(f"`{module}`", [mutant for mutant in found if mutant.module == module])
    yield _line("**all**", found)


def _line(title: str, found: list[Mutant]) -> str:
    lost = sum(mutant.status in (SURVIVED, UNTESTED) for mutant in found)
    return f"| {title} | {len(found)} | {len(found) - lost} | {lost} | {100 * (1 - lost / len(found)):.1f} |"


def main() -> int:
    """Print the table and the survivors by their reasons; return 1 where that is not enough."""
    found = list(mutants())
    if not found or any(mutant.status is None for mutant in found):
        raise UsageError("mutmut has not finished", where="mutants", do="run mutmut run --max-children 2")
    print(*table(found), "", sep="\n")
    survivors = [mutant for mutant in found if mutant.status in (SURVIVED, UNTESTED)]
    reasons = {mutant: reason_of(mutant) for mutant in survivors}
    for reason, count in Counter(reason for reason in reasons.values() if reason).most_common():
        print(f"- {count}: {reason}")
    unexplained = [mutant for mutant, reason in reasons.items() if reason is None]
    for mutant in unexplained:
        print(mutant.name, *mutant.change(), sep="\n    ", file=sys.stderr)
    return int(bool(unexplained) or len(survivors) > (1 - LEAST) * len(found))


if __name__ == "__main__":
    sys.exit(status_of(main))
