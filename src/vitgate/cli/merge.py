"""`vitgate merge`: the records of the shards of one run, put together."""

from __future__ import annotations

from pathlib import Path

import click

from vitgate.cli.options import FILE, json_option

_HELP = """Merge the records of the shards of one run into one, in any order.

The shards must be of one PyTorch build, with the same packages, weights and pictures.

\b
Examples:
  vitgate merge shard-*.json -o 2.15.0.json
  vitgate merge shard-1.json shard-2.json -o 2.15.0.json --json -

\b
Exit status:
  0  written
  4  usage: a record cannot be read, or the records are not of one run
  6  the file cannot be written
"""


@click.command(help=_HELP)
@click.argument("records", type=FILE, nargs=-1, required=True)
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE", help="Where to write the merged record.")
@json_option("Write what was merged")
def merge(records: tuple[str, ...], output: str, json_file: str | None) -> int:
    """Merge the records of the shards of one run into one, in any order.

    Args:
        records: Their files.
        output: Where to write the merged record.
        json_file: Where to write what was merged; `-` for standard output.

    Returns:
        The exit status, 0.

    Raises:
        UsageError: A file is not a record, or they are not of one run.
        MachineError: A file cannot be written.
    """
    from vitgate.files.outputs import check_target, for_people, write_json
    from vitgate.records.consistency import check_consistent, read_consistent
    from vitgate.records.merge import merge as merged

    check_target(json_file, "--json")
    record = merged([read_consistent(Path(name)) for name in records])
    check_consistent(record, where="the merged record")
    record.write(Path(output), option="-o")
    where = f", shards {record.shard}" if record.shard else ""
    missing = f", {len(record.missing)} claims named as missing" if record.missing else ""
    state = "complete" if record.complete else f"not complete{where}{missing}"
    about = {"record": output, "claims": len(record.claims), "shard": record.shard, "complete": record.complete}
    write_json(json_file, {**about, "missing": list(record.missing)})
    click.echo(f"{output}: {len(record.claims)} claims, {state}", file=for_people(json_file))
    return 0
