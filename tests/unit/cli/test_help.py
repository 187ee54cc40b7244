"""The help of every command: a sentence, what it takes, examples that work, exit statuses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest

from vitgate.cli import cli, COMMANDS


def commands(command: Any = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and group with the words by which it is called."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from commands(command.get_command(click.Context(command), name), (*path, name))


def examples(text: str) -> list[list[str]]:
    """Return the arguments of each example of a help text."""
    lines = re.search(r"^ *Examples:\n((?: +\S.*\n)+)", text, re.M)
    return [shlex.split(line.partition(" > ")[0], comments=True) for line in lines[1].splitlines()] if lines else []


def parse(arguments: list[str]) -> None:
    """Let click parse the arguments, down to the command that they name; it raises for what it does not know."""
    command: Any = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        _, command, arguments = command.resolve_command(context, list(arguments))
    command.make_context("vitgate", list(arguments))


ALL = dict((" ".join(("vitgate", *path)), (path, command)) for path, command in commands())


@pytest.mark.parametrize("name", ALL)
def test_help_has_summary_examples_and_exit_statuses(name: str) -> None:
    path, command = ALL[name]
    text = command.get_help(click.Context(command, info_name=name))

    assert command.help and re.match(r"[A-Z].+?[.?]\n", command.help), "it begins with a sentence"
    assert "Exit status:\n" in text
    assert re.search(r"^ +0  \S", text, re.M)
    assert re.search(r"^ +4  \S", text, re.M)
    found = [each for each in examples(text) if each[0] == "vitgate"]
    assert found or "$(vitgate completion" in text
    for each in found:
        assert tuple(each[1 : 1 + len(path)]) == path or not path, each
        parse(each[1:])


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_explained(name: str) -> None:
    _, command = ALL[name]
    options = [each for each in command.params if isinstance(each, click.Option)]

    assert [option.opts[0] for option in options if not (option.help or "").strip()] == []


def test_all_commands_are_collected() -> None:
    assert {"vitgate check", "vitgate upgrade", "vitgate environments prune", "vitgate completion"} <= set(ALL)


def test_command_list_is_sorted_and_names_match() -> None:
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}

    assert list(COMMANDS) == sorted(COMMANDS)
    assert {name: command.name for name, command in found.items() if command is not None} == {n: n for n in COMMANDS}
