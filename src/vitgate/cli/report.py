"""`vitgate report`: one HTML page of a run, or of several."""

from __future__ import annotations

from pathlib import Path

import click

from vitgate.cli.options import FILE, json_option

_HELP = """Make one HTML page of a run's RECORD: verdict, variants, plots, and why each red claim is red.

The page needs nothing else: it makes no request, and opens from a disk, a CI's artifacts or a mail. Of several records,
one for each PyTorch version, it reports the newest and shows how the numbers went from version to version.

\b
Examples:
  vitgate report vitgate-record.json -o report.html
  vitgate report fixtures/records/*.json -o report.html

\b
Exit status:
  0  written, whatever the record says
  4  usage: a record cannot be read, two are of one version, or they have no case in common
  6  the file cannot be written
"""


@click.command(help=_HELP)
@click.argument("records", type=FILE, nargs=-1, required=True, metavar="RECORD...")
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE", help="Where to write the page.")
@json_option("Write what was reported")
def report(records: tuple[str, ...], output: str, json_file: str | None) -> int:
    """Make one HTML page of a run's record, or of several.

    Args:
        records: Their files, in any order.
        output: Where to write the page.
        json_file: Where to write what was reported; `-` for standard output.

    Returns:
        The exit status, 0.

    Raises:
        UsageError: A file is not a record.
        MachineError: A file cannot be written.
    """
    from vitgate.files.outputs import check_target, for_people, write_json, write_text
    from vitgate.records.consistency import read_consistent
    from vitgate.report.answer import answer
    from vitgate.report.page.html import in_order, render

    for target, option in ((output, "-o"), (json_file, "--json")):
        check_target(target, option)
    found = in_order([read_consistent(Path(name)) for name in records])
    write_text(output, lambda: render(found), "-o")
    versions = [record.environment.torch for record in found]
    write_json(json_file, {"report": output, "versions": versions, "answer": answer(found[-1])})
    click.echo(f"report: {output}", file=for_people(json_file))
    return 0
