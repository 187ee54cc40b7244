"""Draw the error that int8 makes against the one that its arithmetic should make, a point for each int8 file.

    python scripts/plot_expected.py docs/images/expected.png fixtures/records/*.json other.json

It also prints, by model, how many files there are and how far the farthest lies off. `docs/statistics.md` shows both.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

from vitgate.files.errors import status_of, UsageError
from vitgate.records.record import read_record

BOUND = 1.5
"""dB: what `shared.int8` admits beyond the spread."""

MARKERS = "osD^vP*X<>hpd8"


def points(paths: list[Path]) -> dict[str, dict[tuple[str, str], tuple[float, float]]]:
    """Return by case, and by cell and release, the expected and the measured SQNR in dB."""
    found: dict[str, dict[tuple[str, str], tuple[float, float]]] = defaultdict(dict)
    for path in paths:
        record = read_record(path)
        for row in record.claims:
            own = {each.statistic: each.value for each in row.findings if each.value is not None}
            if row.claim == "logits_original" and {"sqnr", "expected_sqnr"} <= own.keys():
                key = (row.subject, record.environment.torch)
                found[row.case][key] = (own["expected_sqnr"], own["sqnr"])
    return dict(sorted(found.items()))


def draw(found: dict[str, dict[tuple[str, str], tuple[float, float]]], target: Path) -> None:
    """Write the plot."""
    figure, axes = plt.subplots(figsize=(7, 5.4), dpi=110)
    every = [value for cells in found.values() for pair in cells.values() for value in pair]
    low, high = min(every) - 2, max(every) + 2
    band = [low, high]
    axes.fill_between(band, [low - BOUND, high - BOUND], [low + BOUND, high + BOUND], color="0.9", label="± 1.5 dB")
    axes.plot(band, band, color="0.6", linewidth=0.8)
    for at, (case, cells) in enumerate(found.items()):
        expected, measured = zip(*cells.values(), strict=True)
        axes.scatter(
            expected,
            measured,
            s=18,
            marker=MARKERS[at % len(MARKERS)],
            color=plt.get_cmap("tab20")(at % 20),
            label=case,
            zorder=3,
        )
    axes.set(xlim=band, ylim=band, xlabel="expected SQNR, dB", ylabel="measured SQNR, dB", aspect="equal")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.tight_layout()
    try:
        figure.savefig(target, metadata={"Software": None})
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write the plot: {error}", where=target, do="name a .png elsewhere") from None


def main() -> None:
    """Draw, and print a line for each case."""
    parser = argparse.ArgumentParser(description="draw the measured error of int8 against the expected one")
    parser.add_argument("target", type=Path, help="the picture to write")
    parser.add_argument("records", nargs="+", type=Path)
    options = parser.parse_args()
    found = points(options.records)
    if not found:
        what, where = "no record has the expected error of an int8 file", ", ".join(map(str, options.records))
        raise UsageError(what, where=where, do="name records of whole runs")
    draw(found, options.target)
    releases = {torch.partition("+")[0] for cells in found.values() for _, torch in cells}
    print(f"{sum(map(len, found.values()))} files, {len(found)} models, {len(releases)} releases\n")
    print("| model | int8 files | farthest from expected, dB |\n|---|---|---|")
    for case, cells in found.items():
        worst = max((measured - expected for expected, measured in cells.values()), key=abs)
        print(f"| {case} | {len(cells)} | {worst:+.1f} |")


if __name__ == "__main__":
    sys.exit(status_of(main))
