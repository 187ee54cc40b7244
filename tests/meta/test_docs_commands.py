"""Every command of the documentation is run here, is run elsewhere, or has a reason why it is not: there is no fourth.

The commands of a page run in a copy of the repository, in their order, so that one may use what another wrote. Some are
narrowed: what takes minutes is asked about one small model, one engine and one claim. That every option exists is
checked of all, here for pytest's and in `tests/unit/test_docs.py` for vitgate's.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .processes import PATIENCE, ROOT

DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCS}
PROGRAMS = (
    *("vitgate", "pytest", "python", "pip", "uv", "tox", "git", "mkdocs", "ruff", "mypy", "bandit", "coverage"),
    "lint-imports",
    *("mutmut", "mkdir", "cp", "eval", ".", "program/native"),
)
_COPIED = (
    "conftest.py",
    "pyproject.toml",
    "README.md",
    "src",
    "fixtures",
    "scripts",
    "examples",
    "docs",
    "tests/conformance",
)


@dataclass(frozen=True)
class Run:
    """It is run here: as it stands, or as `instead`, in which \\1 is its first group. It ends with this status."""

    instead: str = r"\g<0>"
    status: int = 0


@dataclass(frozen=True)
class Elsewhere:
    """It is run by that file, in which these words stand."""

    file: str
    words: str


@dataclass(frozen=True)
class Never:
    """It cannot be run in a test, for this reason."""

    reason: str


INSTALLS = Never("installs what the tests themselves run in; .ci/run installs from this folder")
VERSIONS = Never("downloads PyTorches; tests/unit/upgrade runs these commands with made-up ones")
HOURS = Never("takes too long for a test; what it found is committed")
SUCCESSORS = Elsewhere(".ci/run", "--engine none")
PICTURES = Elsewhere("tests/meta/test_own_pictures.py", "--images")
NATIVE = Elsewhere("tests/meta/test_native.py", "program")
SUITE = "pytest -n auto tests/conformance"
SMALL = "--case digits --engine fbgemm --claim label"

TREATMENT: list[tuple[str, Run | Elsewhere | Never]] = [
    (r"(uv|python -m) venv( .venv)?|\. .venv/bin/activate", INSTALLS),
    (r'(uv )?pip install (--torch-backend cpu )?(-e \.|(-e )?"[\w.]+\[[\w,]+\]")', INSTALLS),
    (r"uv venv && uv pip install .* -e \. && uv run --no-sync pytest -n auto tests/conformance", INSTALLS),
    (r"uv tool install --torch-backend cpu \.", INSTALLS),
    (r"git show origin/main:requirements.txt > old.txt", Never("needs the repository that the gate stands in")),
    (
        r"pip install -e \. && pytest -n auto tests/conformance",
        Elsewhere(".ci/run", "pytest -n auto tests/conformance"),
    ),
    (
        r'pip install -e "\.\[test\]" && pytest -n auto',
        Elsewhere(".ci/run", 'install --quiet -e ".[test]" && pytest -n auto'),
    ),
    (
        r"ruff format --check && ruff check && codespell",
        Elsewhere(".ci/run", "ruff format --check --quiet\nruff check\n"),
    ),
    (r"pytest -n auto tests/conformance --processors all", Elsewhere(".ci/run", "--processors all")),
    (
        r"(python scripts/emulated_python.py|arm/bin/python -m pytest|VITGATE_QEMU_CPU=\S+ vitgate bisect) .*",
        Never("needs qemu, debootstrap and minutes"),
    ),
    (r"pytest -n auto tests/conformance --memory", Elsewhere("tests/meta/test_memory.py", '"--memory"')),
    (r"lint-imports && mypy", Elsewhere(".ci/run", "codespell\nmypy\n")),
    (r"bandit .*", Elsewhere(".ci/run", "bandit -q -c pyproject.toml")),
    (r"mkdocs build --strict", Elsewhere(".ci/run", "mkdocs build --strict")),
    (r"(mutmut|coverage) .*|python (scripts/mutants|benchmarks/fuzz).py|pytest .* nightly", HOURS),
    (r"(tox -e|python scripts/make_field.py) .*", VERSIONS),
    (r"python scripts/(compatibility.py .*|reference.py|lock_tolerances.py|measure_ranges.py ranges.json)", Run()),
    (r"(vitgate (?:environments )?\w+) \[OPTIONS\].*", Run(r"\1 --help")),
    (
        r"vitgate compare x86.json aarch64.json",
        Elsewhere("tests/unit/compare/test_verdict_matrix_and_latency.py", "aarch64"),
    ),
    (r"vitgate compare (?!\[|x86).*", Run(status=1)),
    (r"vitgate merge shard-\*.json -o record.json", Run()),
    (r"vitgate merge shard-(\*|1.json shard-2).json -o 2.15.0.json.*", Elsewhere("docs/releases.md", "vitgate merge")),
    (r"vitgate check( -.*)?", Elsewhere("tests/meta/test_packaging.py", '"vitgate", "check"')),
    (r"vitgate golden --case-file (?!.*OPTIONS).*", Elsewhere("tests/unit/inputs/test_golden_inputs.py", "golden")),
    (r"pytest -n auto -m long", Elsewhere(".ci/run", "pytest -n auto -m long")),
    (r"vitgate pins (?!\[).*", Elsewhere("tests/unit/upgrade/test_pins.py", '"pins"')),
    (r"vitgate environments (?!.*\[OPTIONS).*", Run()),
    (r"vitgate (upgrade|sweep|bisect) (?!\[).*", VERSIONS),
    (rf"VITGATE_FIXTURES=ours {SUITE}", Run(rf"\g<0> {SMALL}")),
    (rf"VITGATE_ASSETS=pictures {SUITE}|{SUITE} --assets pictures", Run(r"\g<0> --collect-only -q")),
    (rf"{SUITE} --case digits --engine fbgemm", Run(r"\g<0> --claim build --claim label")),
    (rf"{SUITE} --case-file examples/gallery/\S+ .*", Elsewhere("tests/meta/test_gallery.py", "CLAIMS")),
    (rf"{SUITE} --case-file \S+ --case shapes", Elsewhere("tests/meta/test_own_model.py", "shapes")),
    (rf"{SUITE} .*--images .*", PICTURES),
    (rf"{SUITE} --(engine none|successors)", SUCCESSORS),
    (rf"{SUITE} --successors --types", Elsewhere("tests/unit/inputs/test_run_options.py", "types=types")),
    (rf"{SUITE} --case (deit_tiny|all|deit_base --case digits)", Run(r"\g<0> --collect-only -q")),
    (rf"{SUITE} --engine qnnpack|{SUITE} --claim label --claim size", Run(r"\g<0> --collect-only -q")),
    (rf"{SUITE} --engine x86 --record ranges.json", Run(r"\g<0> --case digits --claim label")),
    (rf"{SUITE} --engine x86 --snapshot-update", Elsewhere("tests/meta/test_plugin.py", '"--snapshot-update"')),
    (r"pytest (-n auto )?tests/conformance --claim \S+\[\S+( --artifact-cache kept)?", Run()),
    (rf"{SUITE} --artifact-cache kept", Run(rf"\g<0> {SMALL}")),
    (rf"{SUITE} --shard ./2 .*", Run(r"\g<0> --case digits --claim label")),
    (
        r"pytest tests/conformance --case digits --engine fbgemm --claim YOUR_ID",
        Never("the claim is yet to be written"),
    ),
    (r"pytest (-n auto )?tests/meta/test_(claims|faults).py( -k YOUR_FAULT)?", Never("it is a part of this very run")),
    (r"python scripts/accepted.py > docs/accepted.md", Elsewhere("tests/unit/test_docs.py", "accepted.py")),
    (r"python scripts/list_faults.py > docs/faults.md", Elsewhere("tests/meta/test_faults.py", "list_faults.py")),
    (rf"{SUITE} --report report.html", Run(rf"\g<0> {SMALL}")),
    (r"(vitgate report) vitgate-record.json (-o report.html)", Run(r"\1 fixtures/records/2.15.0.json \2")),
    (r"vitgate report fixtures/.* -o report.html", Run()),
    (r'(eval "\$\()?(vitgate completion \w+)(\)"| > ~/.*)', Run(r"\2")),
    (r"cp -r fixtures ours", Run()),
    (r"mkdir program|python -c .*cpp_extension.*|program/native .*", NATIVE),
]
OUTPUTS = (  # what a block that is neither shell nor TOML begins with
    "case ──▶ stages",
    "plugin/",
    "cli/",
    "Do not upgrade from PyTorch",
    "xnnpack-gone: breaks",
    "Files, made by one version",
    "the model returned a dict of tokens",
    "steps against golden",
    "steps against fast",
)


def blocks(text: str) -> Iterator[str]:
    """Yield the blocks that could hold commands: indented ones, those of lists too, and fenced ones of no language."""
    fence = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
    yield from (body for language, body in fence.findall(text) if language in ("", "sh", "bash", "console"))
    plain = re.sub(r'<div class="grid.*?</div>', "", fence.sub("", text), flags=re.S)
    item = False  # in an item of a list, four spaces are text and eight a block
    for part in re.split(r"\n\n+", plain.strip("\n")):
        if not part.startswith("    "):
            item = bool(re.search(r"^([-*]|\d+\.) ", part, re.M))
        elif not item or part.startswith("        "):
            yield part


def is_shell(block: str) -> bool:
    return re.sub(r"^(\w+=\S+ )+", "", block.strip()).split()[0] in PROGRAMS


def is_toml(block: str) -> bool:
    return re.match(r"\[\[|\w+ = ", block.strip()) is not None


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a page, each in one line and without its comment."""
    for block in filter(is_shell, blocks(text)):
        whole = re.sub(r"\\\n\s*", "", block)
        whole = re.sub(r'("[^"\n]*)\n\s*([^"\n]*")', r"\1 \2", whole)  # a text in quotes that goes on
        yield from (re.sub(r"\s+#.*", "", line).strip() for line in whole.splitlines() if line.strip())


COMMANDS = [(page, command) for page, text in PAGES.items() for command in commands(text)]


def treatments(command: str) -> list[tuple[re.Match[str], Run | Elsewhere | Never]]:
    return [(found, how) for pattern, how in TREATMENT if (found := re.fullmatch(pattern, command))]


@pytest.mark.parametrize("command", dict.fromkeys(command for _, command in COMMANDS))
def test_documented_command_has_exactly_one_treatment(command: str) -> None:
    assert len(treatments(command)) == 1, "say in TREATMENT how this command of the documentation is tested"


def test_every_treatment_matches_a_documented_command() -> None:
    known = dict.fromkeys(command for _, command in COMMANDS)

    assert [pattern for pattern, _ in TREATMENT if not any(re.fullmatch(pattern, command) for command in known)] == []


def test_commands_tested_elsewhere_appear_there() -> None:
    named = [how for _, how in TREATMENT if isinstance(how, Elsewhere)]

    assert [how for how in named if how.words not in (ROOT / how.file).read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("page", PAGES)
def test_other_code_blocks_are_known_outputs(page: str) -> None:
    other = [block.strip() for block in blocks(PAGES[page]) if not is_shell(block) and not is_toml(block)]

    assert [block for block in other if not block.startswith(OUTPUTS)] == []


def test_unknown_command_has_no_treatment() -> None:
    page = "Text.\n\n    vitgate frobnicate  # quietly\n    pytest \\\n        --frob\n\n- item\n\n    no block\n"

    assert list(commands(page)) == ["vitgate frobnicate", "pytest --frob"]
    assert [treatments(command) for command in commands(page)] == [[], []]


# ---- running


RUNS = [
    page
    for page, count in Counter(page for page, command in COMMANDS if isinstance(treatments(command)[0][1], Run)).items()
    if count
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the commands need, with the files that the pages suppose."""
    for name in _COPIED:
        source, target = ROOT / name, tmp_path / "checkout" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)  # with its compiled modules
        else:
            shutil.copy(source, target)
    folder = tmp_path / "checkout"
    records = folder / "fixtures" / "records"
    for name, release in {"old": "2.12.1", "new": "2.15.0", "2.12.1": "2.12.1", "2.15.0": "2.15.0"}.items():
        shutil.copy(records / f"{release}.json", folder / f"{name}.json")
    (folder / "pictures").mkdir()
    shutil.copy(next((folder / "fixtures" / "images").glob("*.png")), folder / "pictures" / "image.png")
    (folder / "accepted.toml").write_text(accepted(), encoding="utf-8")
    return folder


def accepted() -> str:
    """Return the tutorial's accept file, with an end that is not over."""
    (text,) = re.findall(r"^```toml\n(.*?)^```$", PAGES["docs/tutorial.md"], re.M | re.S)
    return re.sub(r"expires = .*", f"expires = {dt.date.today() + dt.timedelta(days=7)}", text)


def programs(folder: Path) -> Path:
    """Return a folder of programs by the names that the pages use, all of the Python that runs the tests."""
    folder.mkdir()
    for name, arguments in {"python": "", "pytest": "-m pytest", "vitgate": "-m vitgate"}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.long
@pytest.mark.skipif(shutil.which("bash") is None, reason="the commands are bash")
@pytest.mark.parametrize("page", RUNS)
def test_commands_of_page_run(page: str, checkout: Path, tmp_path: Path) -> None:
    env = {name: text for name, text in os.environ.items() if not name.startswith(("PYTEST", "VITGATE", "COV_"))}
    env |= {"PATH": f"{programs(tmp_path / 'bin')}:{env['PATH']}", "PYTHONPATH": str(checkout / "src")}
    env |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for _, command in (each for each in COMMANDS if each[0] == page):
        ((found, how),) = treatments(command)
        if isinstance(how, Run):
            line = found.expand(how.instead).replace(" -n auto", "")  # one worker for a handful of tests
            done = subprocess.run(
                ["bash", "-c", line],  # noqa: S607  # the system's bash
                cwd=checkout,
                env=env,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            assert done.returncode == how.status, f"{line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def test_documented_pytest_options_exist(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/meta", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    known = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", done.stdout)) | {"--hypothesis-profile"}
    inline = [
        (page, " ".join(found.split()))
        for page, text in PAGES.items()
        for found in re.findall(r"`(pytest [^`]+)`", text)
    ]
    named = [
        (page, re.split(r"&&|;", re.sub(r".*?\bpytest ", "", text))[0])
        for page, text in [*COMMANDS, *inline]
        if "pytest " in text
    ]

    assert len(named) > 20
    assert [
        (page, option)
        for page, text in named
        for option in re.findall(r"(?:^|\s)(--?[a-z][\w-]*)", text)
        if option not in known
    ] == []
