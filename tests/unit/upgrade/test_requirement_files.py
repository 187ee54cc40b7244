"""Requirement files as projects write them: what they include and where packages come from reaches uv, no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.files.errors import UsageError
from vitgate.upgrade.requirements import check_clashes, Needs, own_needs, parse_side, Side


@pytest.fixture
def side(tmp_path: Path) -> Callable[..., Side]:
    """Return a helper that writes files, by name with lines, and reads the first as a side."""

    def make(**files: str) -> Side:
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return parse_side(str(tmp_path / f"{next(iter(files))}.txt"), where="OLD")

    return make


@pytest.mark.accepts("requirements", "`-r FILE`")
@pytest.mark.parametrize("option", ["-r ", "--requirement ", "--requirement="])
def test_included_file_is_read_beside_the_one_that_names_it(option: str, side: Callable[..., Side]) -> None:
    base, more = "torch==2.9.1\n-r more.txt\n", "pillow\n"

    found = side(all=f"{option}base/torch.txt\ntimm==1.0.31\n", base__torch=base, base__more=more)

    assert found.requirements == ("torch==2.9.1", "pillow", "timm==1.0.31")


@pytest.mark.accepts("requirements", "`-c FILE`")
def test_constraint_applies_to_required_packages(side: Callable[..., Side]) -> None:
    found = side(all="torch\n-c pins.txt\n", pins="torch==2.9.1\ntimm==1.0.31\nflask==3.0\n")

    assert found.requirements == ("torch", "torch==2.9.1", "timm==1.0.31")


@pytest.mark.accepts("requirements", "`--index-url`, `--extra-index-url`, `--find-links` and the like")
@pytest.mark.parametrize(
    ("line", "uv_args"),
    [
        ("--index-url https://example.org/simple", ("--index-url", "https://example.org/simple")),
        ("-i https://example.org/simple", ("--index-url", "https://example.org/simple")),
        ("--extra-index-url=https://example.org/cpu", ("--extra-index-url", "https://example.org/cpu")),
        ("-f wheels", ("--find-links", "wheels")),
        ("--no-index", ("--no-index",)),
        ("--pre", ("--prerelease=allow",)),
    ],
)
def test_index_options_reach_uv(line: str, uv_args: tuple[str, ...], side: Callable[..., Side]) -> None:
    assert side(all=f"{line}\ntorch==2.9.1\n").uv_args == uv_args


@pytest.mark.accepts("requirements", "`-e .`: left out, which is said")
@pytest.mark.parametrize("line", ["-e .", "--editable ./here", ".", "./package", "../package[extra]"])
def test_project_itself_is_left_out_with_note(line: str, side: Callable[..., Side]) -> None:
    found = side(all=f"torch==2.9.1\n{line}\n")

    assert found.requirements == ("torch==2.9.1",)
    assert [note.partition(": ")[2] for note in found.notes] == [f"left out {line!r}, which is no package of an index"]


@pytest.mark.refuses("requirements", "any other option")
@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("--target /", "an option among the requirements"),
        ("--python 3.9", "an option among the requirements"),
        ("--index-url --target", "an option among the requirements"),
        ("-r missing.txt", "cannot read this file"),
        ("-r all.txt", "an option among the requirements"),  # which includes itself
    ],
)
def test_other_options_are_refused(line: str, what: str, side: Callable[..., Side]) -> None:
    with pytest.raises(UsageError, match=what):
        side(all=f"torch==2.9.1\n{line}\n")


@pytest.mark.refuses("requirements", "what clashes with a need of the suite; whose need it is, and the way out")
def test_conflict_with_suite_names_requiring_package(side: Callable[..., Side]) -> None:
    with pytest.raises(UsageError, match=r"packaging==21\.3 clashes with packaging>=.*vitgate's own suite needs"):
        check_clashes(side(all="torch==2.9.1\npackaging==21.3\n"), own_needs())


@pytest.mark.parametrize("line", ["packaging>=21", "packaging==24.1", "flask==3.0"])
def test_compatible_requirements_are_no_conflict(line: str, side: Callable[..., Side]) -> None:
    check_clashes(side(all=f"torch==2.9.1\n{line}\n"), Needs(("packaging>=23.0",)))
