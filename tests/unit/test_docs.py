"""What users copy from the documentation and the workflow works: commands parse, the workflow is what it says."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from vitgate.cli import cli
from vitgate.files.errors import UsageError
from vitgate.judge.deviations import read_deviations
from vitgate.judge.tolerances import read_tolerances

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra `test`")

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOW = ROOT / ".github" / "workflows" / "vitgate.yml"
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_END = re.compile(r"\s(\|\||&&|[|;>])(\s|$)")  # where a command ends in a line of shell


def workflow(path: Path = WORKFLOW) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scripts() -> Any:
    """Return the shell scripts of the workflow by job and step."""
    jobs = workflow()["jobs"].items()
    return {f"{job}: {step['name']}": step["run"] for job, row in jobs for step in row["steps"] if "run" in step}


def commands(text: str) -> Iterator[Any]:
    """Yield the arguments of each vitgate command in lines of shell."""
    for line in text.replace("\\\n", " ").splitlines():
        if found := re.match(r"\s*(?:\$ )?vitgate\s+(\S.*)", line):
            yield shlex.split(_END.split(found[1].replace('"${accept[@]}"', ""))[0], comments=True)


def documented(text: str) -> Iterator[Any]:
    """Yield the arguments of each vitgate command in Markdown: of indented lines, and in backquotes."""
    yield from commands("\n".join(re.findall(r"^ {4}(.*(?:\\\n.*)*)$", text, re.M)))
    yield from commands("\n".join(" ".join(found.split()) for found in re.findall(r"`(vitgate [^`]+)`", text)))


def parse(arguments: Any) -> None:
    """Let click parse the arguments; it raises for a command or an option that does not exist."""
    command: Any = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        _, command, arguments = command.resolve_command(context, list(arguments))
    if not arguments or "[OPTIONS]" in arguments:  # a command's name alone, or its synopsis in the reference
        return
    try:
        command.make_context("vitgate", list(arguments))
    except click.exceptions.Exit as ended:  # of --help and --version
        assert ended.exit_code == 0


def _all_commands() -> Iterator[Any]:
    yield from ((name, each) for name, script in scripts().items() for each in commands(script))
    yield from ((path.name, each) for path in DOCS for each in documented(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("where", "arguments"), list(_all_commands()), ids=lambda value: str(value)[:60])
def test_every_command_that_users_copy_exists(where: str, arguments: list[str]) -> None:
    parse(arguments)


def test_documented_commands_are_found() -> None:
    found = [where for where, _ in _all_commands()]

    assert {"gate: Gate the upgrade", "README.md", "upgrade.md"} <= set(found)
    assert len(found) > 10
    assert {each[0] for _, each in _all_commands()} >= {"upgrade", "compare", "merge", "environments"}


@pytest.mark.parametrize("arguments", [["upgrade", "--frobnicate"], ["frobnicate"], ["merge", "x"], ["compare", "x"]])
def test_unknown_command_is_found(arguments: list[str]) -> None:
    with pytest.raises(click.ClickException):
        parse(arguments)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_resolve(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))

    assert [target for target in targets if "://" not in target and not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_documents_name_exist(path: Path) -> None:
    named = re.findall(r"`((?:src|tests|scripts|fixtures|benchmarks)/[\w./-]+)`", path.read_text(encoding="utf-8"))

    assert [name for name in named if not (ROOT / name).exists()] == []


# ---- what is made from the code, from data and from records


def script(name: str) -> Any:
    """Return a module of `scripts/`, which is no package."""
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_pages_are_current() -> None:
    made = script("reference").pages()
    found = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md")}

    assert sorted(found) == sorted(made)
    assert [name for name, text in made.items() if found[name] != text] == [], "run python scripts/reference.py"


def test_the_reference_names_every_row_of_the_data() -> None:
    pages = script("reference").pages()

    assert [row.id for row in read_deviations().rows if f"## {row.id}\n" not in pages["deviations.md"]] == []
    short = [row.id.removeprefix(f"{row.claim[0]}.") for row in read_tolerances().rows()]
    assert [name for name in short if f"| `{name}` |" not in pages["tolerances.md"]] == []


def test_the_reference_names_every_option_of_every_command() -> None:
    script_ = script("reference")
    options = [
        name
        for _, command in script_.commands(cli, ("vitgate",))
        for each in command.params
        if isinstance(each, click.Option)
        for name in each.opts
    ]

    assert "--accept-file" in options
    assert [name for name in options if name not in script_.pages()["vitgate.md"]] == []


def test_readme_table_is_current() -> None:
    maker, text = script("compatibility"), (ROOT / "README.md").read_text(encoding="utf-8")
    records = maker.read_records((ROOT / "fixtures" / "records").glob("*.json"))

    assert maker.renewed(text, records) == text, (
        "run scripts/compatibility.py --readme README.md fixtures/records/*.json"
    )


@pytest.mark.parametrize(
    ("page", "records"), [("compatibility", "records/*"), ("compatibility-aarch64", "processors/*-aarch64")]
)
def test_compatibility_page_is_current(
    page: str, records: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(map(str, (ROOT / "fixtures").glob(f"{records}.json")))
    monkeypatch.setattr(sys, "argv", ["compatibility.py", *paths])

    script("compatibility").main()

    assert capsys.readouterr().out == (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def test_accepted_page_is_current() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "accepted.py")]
    made = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout

    assert made == (ROOT / "docs" / "accepted.md").read_text(encoding="utf-8")


# ---- the site


def test_every_page_is_in_the_table_of_contents() -> None:
    nav = re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2])

    assert sorted(nav) == sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize(
    ("html", "warned"),
    [
        ('<script src="https://unpkg.com/shim"></script>', True),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', True),
        ('<a href="https://pytorch.org">a link</a><img src="images/terminal.svg">', False),
    ],
)
def test_page_with_external_resource_is_found(html: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    script("site_hooks").on_post_page(html, page=SimpleNamespace(file=SimpleNamespace(src_path="index.md")))

    assert bool(caplog.records) is warned


# ---- the picture of the terminal


def test_terminal_picture_loads_nothing_and_names_no_folder() -> None:
    text = (ROOT / "docs" / "images" / "terminal.svg").read_text(encoding="utf-8")

    assert "can" in text
    assert "lite_frozen" in text
    assert re.findall(r"url\((?!#)|@font-face|@import|href=", text) == []
    assert re.findall(r"/(?:home|root|Users|work|tmp)/", text) == []


def test_terminal_picture_drops_only_pytest_noise() -> None:
    lines = [
        "rootdir: /x",
        "created: 2/2 workers",
        "2 workers [150 items]",
        "..x.s [ 48%]",
        "",
        "\x1b[1mvitgate\x1b[0m\r",
    ]

    assert script("terminal_picture").shown_lines("\n".join(["old\rnew", *lines, "3 passed"])) == [
        "new",
        "\x1b[1mvitgate\x1b[0m",
        "3 passed",
    ]


def test_terminal_picture_shows_command_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = script("terminal_picture")
    monkeypatch.chdir(tmp_path)
    code = "import os, sys; print('terminal' if sys.stdout.isatty() else 'file', os.get_terminal_size().columns)"

    status, seen = maker.run([sys.executable, "-c", code], 97)

    assert (status, maker.shown_lines(seen)) == (0, ["terminal 97"])
    assert "terminal&#160;97" in maker.picture("python", maker.shown_lines(seen), 97)
    with pytest.raises(UsageError, match="the output names"):
        maker.check_neutral(f"at {tmp_path}")


# ---- the workflow


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_match_github_schema(path: Path) -> None:
    if importlib.util.find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema comes with the extra `test`")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_read_only_limited_and_pinned(path: Path) -> None:
    whole = workflow(path)

    assert whole["permissions"] == {"contents": "read"}
    assert all(0 < job["timeout-minutes"] <= 120 and "permissions" not in job for job in whole["jobs"].values())
    steps = [step for job in whole["jobs"].values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@(v\d+[\d.]*|[0-9a-f]{40})", name) for name in actions)
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_workflow_scripts_contain_no_expressions() -> None:
    assert [name for name, script in scripts().items() if "${{" in script] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are bash")
def test_workflow_scripts_are_valid_bash() -> None:
    for name, script in scripts().items():
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)  # noqa: S607  # the system's bash
        assert (done.returncode, done.stderr) == (0, ""), name


@pytest.mark.skipif(shutil.which("git") is None, reason="the pins are read from commits")
@pytest.mark.parametrize(
    ("before", "after", "pins"),
    [
        ("numpy\ntorch==2.12.1\n", "torch == 2.15.0  # newer\n", ("2.12.1", "2.15.0")),
        ("torch==2.12.1+cpu ; python_version > '3'\n", "torch==2.16.0rc1\n", ("2.12.1+cpu", "2.16.0rc1")),
        ("torchvision==0.27.1\n", "torch==2.15.0\n", ("", "2.15.0")),
        ("torch==2.12.1\n", "torch>=2.0\n", None),
        ("torch==$(touch evil)\n", "torch==2.15.0\n", None),
    ],
)
def test_pins_of_both_branches_are_read(tmp_path: Path, before: str, after: str, pins: tuple[str, str] | None) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        return subprocess.check_output(command, cwd=tmp_path, text=True).strip()

    git("init", "-q")
    for text in (before, after):
        (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
        git("add", ".")
        git("commit", "-qm", "pin", "--no-verify")
    output = tmp_path / "output"
    variables = {
        "BASE": git("rev-parse", "HEAD~1"),
        "OLD": "",
        "NEW": "",
        "PATH": str(Path(shutil.which("git") or "").parent),
    }
    files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    env = {**variables, **files, "REQUIREMENTS": workflow()["env"]["REQUIREMENTS"], "HOME": str(tmp_path)}
    env["PATH"] += f":{Path(sys.executable).parent}:/usr/bin:/bin"

    script = scripts()["pins: Read the pins of torch"]
    command = ["bash", "-eo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, check=False, capture_output=True, text=True
    )  # the system's bash

    if pins is None:
        assert done.returncode == 4 and "torch is named without a pin" in done.stderr, done.stderr
    else:
        assert output.read_text(encoding="utf-8") == f"old={pins[0]}\nnew={pins[1]}\n", done.stderr
    assert not (tmp_path / "evil").exists()
