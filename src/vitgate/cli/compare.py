"""`vitgate compare`: the records of two PyTorch versions, claim by claim."""

from __future__ import annotations

from pathlib import Path

import click

from vitgate.cli.exit_statuses import EXIT_STATUSES
from vitgate.cli.options import FILE, verdict_options, VerdictOptions

_HELP = """Compare the records of two PyTorch versions, claim by claim, and say whether to upgrade.

OLD and NEW are records that `pytest tests/conformance --record FILE` wrote, of the same cases, engines, weights
and pictures. What a deviation declares for the new version is a regression all the same, until it is accepted.

\b
Examples:
  vitgate compare 2.12.1.json 2.15.0.json
  vitgate compare old.json new.json --accept xnnpack-gone --html verdict.html
  vitgate compare old.json new.json --accept-file accepted.toml --markdown summary.md

An entry of an accept file has four keys, all of them required:

\b
  [[accept]]
  id = "xnnpack-gone"
  reason = "we ship the frozen lite file"
  owner = "ml-platform"
  expires = 2027-01-31
"""


@click.command(help=_HELP, epilog=EXIT_STATUSES)
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@verdict_options
def compare(old: str, new: str, options: VerdictOptions) -> int:
    """Compare the records of two PyTorch versions, claim by claim, and say whether to upgrade.

    Args:
        old: The old version's record, a file.
        new: The new version's.
        options: What is accepted, and which reports are written.

    Returns:
        The exit status, as in `_HELP`.

    Raises:
        UsageError: A file is not a record, or the two cannot be compared.
        MachineError: A report cannot be written.
    """
    from vitgate.compare.verdict import compare as compared
    from vitgate.records.consistency import read_consistent
    from vitgate.report.verdict.emit import emit

    accepted = options.acceptances()
    verdict = compared(read_consistent(Path(old)), read_consistent(Path(new)), accepted=accepted)
    emit(verdict, options.reports())
    return verdict.exit_status
