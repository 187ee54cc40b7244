"""What users copy from the documentation and the workflow works: commands parse, the workflow is what it says."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from vitgate.cli import cli

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra `test`")

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOW = ROOT / ".github" / "workflows" / "vitgate.yml"
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_END = re.compile(r"\s(\|\||&&|[|;>])(\s|$)")  # where a command ends in a line of shell


def workflow(path=WORKFLOW):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scripts():
    """Return the shell scripts of the workflow by job and step."""
    jobs = workflow()["jobs"].items()
    return {f"{job}: {step['name']}": step["run"] for job, row in jobs for step in row["steps"] if "run" in step}


def commands(text):
    """Yield the arguments of each vitgate command in lines of shell."""
    for line in text.replace("\\\n", " ").splitlines():
        if found := re.match(r"\s*(?:\$ )?vitgate\s+(\S.*)", line):
            yield shlex.split(_END.split(found[1].replace('"${accept[@]}"', ""))[0], comments=True)


def documented(text):
    """Yield the arguments of each vitgate command in Markdown: of indented lines, and in backquotes."""
    yield from commands("\n".join(re.findall(r"^ {4}(.*(?:\\\n.*)*)$", text, re.M)))
    yield from commands("\n".join(" ".join(found.split()) for found in re.findall(r"`(vitgate [^`]+)`", text)))


def parse(arguments):
    """Let click parse the arguments; it raises for a command or an option that does not exist."""
    command, context = cli, click.Context(cli)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        _, command, arguments = command.resolve_command(context, list(arguments))
    try:
        command.make_context("vitgate", list(arguments))
    except click.exceptions.Exit as ended:  # of --help and --version
        assert ended.exit_code == 0


def _all_commands():
    yield from ((name, each) for name, script in scripts().items() for each in commands(script))
    yield from ((path.name, each) for path in DOCS for each in documented(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("where", "arguments"), list(_all_commands()), ids=lambda value: str(value)[:60])
def test_every_command_that_users_copy_exists(where, arguments):
    parse(arguments)


def test_the_commands_are_found():
    found = [where for where, _ in _all_commands()]

    assert {"gate: Gate the upgrade", "README.md", "upgrade.md"} <= set(found) and len(found) > 10
    assert {each[0] for _, each in _all_commands()} >= {"upgrade", "compare", "merge", "environments"}


@pytest.mark.parametrize("arguments", [["upgrade", "--frobnicate"], ["frobnicate"], ["merge", "x"], ["compare", "x"]])
def test_a_command_that_does_not_exist_is_noticed(arguments):
    with pytest.raises(click.ClickException):
        parse(arguments)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))

    assert [target for target in targets if "://" not in target and not (path.parent / target).exists()] == []


# ---- the workflow


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflows_fit_githubs_schema(path):
    if importlib.util.find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema comes with the extra `test`")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflows_may_only_read_and_end(path):
    whole = workflow(path)

    assert whole["permissions"] == {"contents": "read"}
    assert all(0 < job["timeout-minutes"] <= 120 and "permissions" not in job for job in whole["jobs"].values())
    steps = [step for job in whole["jobs"].values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert actions and all(re.fullmatch(r"[\w.-]+/[\w./-]+@(v\d+[\d.]*|[0-9a-f]{40})", name) for name in actions)
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_nothing_that_a_pull_request_names_is_put_into_a_script():
    assert [name for name, script in scripts().items() if "${{" in script] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are bash")
def test_the_scripts_are_bash():
    for name, script in scripts().items():
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)  # noqa: S607  # the system's bash
        assert (done.returncode, done.stderr) == (0, ""), name


@pytest.mark.skipif(shutil.which("git") is None, reason="the pins are read from commits")
@pytest.mark.parametrize(
    ("before", "after", "pins"),
    [
        ("numpy\ntorch==2.12.1\n", "torch == 2.15.0  # newer\n", ("2.12.1", "2.15.0")),
        ("torch==2.12.1+cpu ; python_version > '3'\n", "torch==2.16.0rc1\n", ("2.12.1", "2.16.0rc1")),
        ("torchvision==0.27.1\n", "torch>=2.0\n", ("", "")),
        ("torch==$(touch evil)\n", "torch==`id`\n", ("", "")),
    ],
)
def test_the_pins_of_both_branches_are_read(tmp_path, before, after, pins):
    def git(*arguments):
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
        "PATH": str(Path(shutil.which("git")).parent),
    }
    files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    env = {**variables, **files, "REQUIREMENTS": workflow()["env"]["REQUIREMENTS"], "HOME": str(tmp_path)}
    env["PATH"] += ":/usr/bin:/bin"

    script = scripts()["pins: Read the pins of torch"]
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=env, check=True)  # noqa: S607  # the system's bash

    assert output.read_text(encoding="utf-8") == f"old={pins[0]}\nnew={pins[1]}\n"
    assert not (tmp_path / "evil").exists()
