"""The results that the tutorial's editions print: read whole, or refused with a line that says where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.report.page.published import read_published, TUTORIAL

from ..conftest import Refuses

ENTRY = """
[[edition]]
id = "one"
title = "One"
latency_ms = { original = 100.0, scripted = 90.0, scripted_quantized = 50.0, optimized = 51.0, lite = 40.0 }
"""


def test_the_committed_editions_have_five_latencies_each_and_the_sizes_of_the_tutorial() -> None:
    editions = read_published()

    assert len(editions) == len({edition.latency_ms["original"] for edition in editions}) == 5
    for edition in editions:
        assert tuple(edition.latency_ms) == TUTORIAL
        assert edition.size_mb == {"scripted": 346.0, "scripted_quantized": 89.0}


def test_a_ratio_is_to_the_same_editions_original(data_file: Callable[[str, str], Path]) -> None:
    (edition,) = read_published(data_file("published.toml", ENTRY))

    assert edition.ratio("lite") == 0.4
    assert (edition.url, edition.torch, edition.machine) == ("", "", "")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("lite = 40.0", "lite_frozen = 40.0", "it must have original, scripted"),
        ("lite = 40.0", "lite = 0.0", "greater than 0"),
        ('title = "One"', 'title = "One"\nurl = "javascript:alert(1)"', "edition.0.url"),
        ('title = "One"', 'title = "One"\nurl = "https://x/\\" onclick=\\"e"', "edition.0.url"),
        ("lite", "heavy", "edition.0.latency_ms"),
        (ENTRY, ENTRY + ENTRY, "duplicate name 'one'"),
    ],
    ids=["variant missing", "no time at all", "no web address", "address with a quote", "unknown variant", "twice"],
)
def test_invalid_table_is_refused(
    data_file: Callable[[str, str], Path], refuses: Refuses, before: str, after: str, words: str
) -> None:
    path = data_file("published.toml", ENTRY.replace(before, after))

    refuses(lambda: read_published(path), words, path)


def test_published_results_have_short_lines() -> None:
    text = (fixtures_folder() / "published.toml").read_text(encoding="utf-8")

    assert all(len(line) < 130 for line in text.splitlines())
