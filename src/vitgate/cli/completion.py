"""`vitgate completion`, and the values that a shell completes: ids that are long, and hard to remember.

click writes the scripts and asks the program for what may follow; here stands what it cannot know.
"""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem, get_completion_class

_VARIABLE = "_VITGATE_COMPLETE"
_HELP = """Print a script that makes SHELL complete vitgate's commands, options, cases, engines and claims.

\b
Examples:
  eval "$(vitgate completion bash)"                # in ~/.bashrc
  eval "$(vitgate completion zsh)"                 # in ~/.zshrc
  vitgate completion fish > ~/.config/fish/completions/vitgate.fish
"""
_EXIT_STATUSES = """\b
Exit status:
  0  printed
  4  usage: no such shell
"""

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(names: Callable[[str], list[str]]) -> Completer:
    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names(incomplete) if name.startswith(incomplete)]

    return complete


def _cases(_: str) -> list[str]:
    from vitgate.spec.cases import ALL, read_cases

    return [*read_cases(), ALL]


def _engines(_: str) -> list[str]:
    from vitgate.spec.engines import ENGINES

    return list(ENGINES)


def _claims(incomplete: str) -> list[str]:
    """Return the claims; their rows, of which there are a thousand, once a claim is written out."""
    from vitgate.inputs.run_options import rows_of
    from vitgate.spec.cells import RowName
    from vitgate.spec.claims import read_claims

    claims, name = read_claims(), RowName.parse(incomplete).claim
    return [*claims, *(rows_of(claims[name]) if name in claims else [])]


COMPLETERS: dict[str, Completer] = {
    "--case": _completer(_cases),
    "--engine": _completer(_engines),
    "--claim": _completer(_claims),
}


@click.command(help=_HELP, epilog=_EXIT_STATUSES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="bash|zsh|fish")
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a script that makes a shell complete vitgate's commands."""
    found = get_completion_class(shell)
    assert found is not None  # click has these three
    click.echo(found(context.find_root().command, {}, "vitgate", _VARIABLE).source())
    return 0
