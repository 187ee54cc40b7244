"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import importlib
import signal
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TYPE_CHECKING

import click

from vitgate import __version__
from vitgate.cli.completion import COMPLETERS
from vitgate.cli.options import color_option, Command, json_option
from vitgate.files.errors import UsageError, VitgateError

if TYPE_CHECKING:
    from vitgate.compare.acceptance import Acceptances
    from vitgate.report.verdict.emit import ReportOptions
    from vitgate.upgrade.record_cache import Means
    from vitgate.upgrade.runs import Request

EXIT_STATUSES = """\b
Exit status:
  0  may upgrade: every claim holds as before, or what breaks is accepted
  1  do not upgrade: something regressed, or an acceptance expired or covers nothing
  4  usage: an option, a record or an accept file is wrong
  6  the environment stood in the way: in a run that was recorded, or of writing a file
  130, 143  interrupted by Ctrl-C, ended by SIGTERM
"""

_COMPARE = """Compare the records of two PyTorch versions, claim by claim, and say whether to upgrade.

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

_VITGATE = """May I upgrade PyTorch without breaking the Vision Transformer that I deploy?

\b
Examples:
  vitgate check                                # can the PyTorch of this environment carry it?
  vitgate upgrade 2.12.1 2.15.0                # may I go from this one to that one?
  vitgate compare 2.12.1.json 2.15.0.json      # the same, of records that are there
  vitgate sweep 2.9.1 2.12.1 2.15.0            # many versions side by side
  vitgate bisect 2.9.1 2.15.0 --claim build    # the first release that changed a claim
"""

_MERGE = """Merge the records of the shards of one run into one, in any order.

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

_REPORT = """Make one HTML page of a run's RECORD: verdict, variants, plots, and why each red claim is red.

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

_UPGRADE = """Say whether upgrading PyTorch from OLD to NEW breaks the deployment, on this machine.

A side is a version (2.12.1), a set of requirements ("torch==2.12.1 timm==1.0.20"), a requirements file, or, with
--old-python and --new-python, an interpreter that has its PyTorch already. vitgate makes an environment for each side
with uv, or takes the one that it made before; runs the conformance suite in both; lets each side run the files that
the other made; compares latencies in pairs of fresh processes; and judges claim by claim.

\b
Examples:
  vitgate upgrade 2.12.1 2.15.0
  vitgate upgrade 2.12.1 2.15.0 --engine qnnpack --weights standin
  vitgate upgrade requirements-old.txt requirements-new.txt --accept-file accepted.toml --markdown summary.md
  vitgate upgrade 2.15.0 torch --uv-arg=--prerelease=allow
  vitgate upgrade --old-python old/bin/python 2.15.0 --field models/
"""

_SWEEP = """Run the suite on each PyTorch VERSION, one after another, and show the versions side by side.

A VERSION is a version (2.12.1), a set of requirements ("torch==2.12.1 timm==1.0.20") or a requirements file, as in
`vitgate upgrade`. Each leaves its record in the folder of the records. A sweep that was interrupted goes on where it
stopped: a record there that answers the same question is not made again.

With --dask the runs are spread over a cluster, one task for each version, case and engine. Its workers need vitgate and
a folder of their own for environments; start them with one thread each, since latency is measured: a machine must not
run two tasks at once.

\b
Examples:
  vitgate sweep 2.9.1 2.12.1 2.15.0
  vitgate sweep 2.12.1 2.15.0 --case digits --engine qnnpack --markdown compatibility.md
  vitgate sweep 2.9.1 2.12.1 2.15.0 --records nightly/ --prune --json sweep.json
  vitgate sweep 2.12.1 2.15.0 --shard 1/4
  vitgate sweep 2.9.1 2.12.1 2.15.0 --dask tcp://scheduler:8786

\b
Exit status:
  0  on each version every claim holds, or deviates exactly as declared
  1  on one of them a claim failed
  4  usage: an option or a version is wrong
  6  a version could not be checked (the others were), or a file cannot be written
"""

_BISECT = """Find the first release of PyTorch on which a claim comes out otherwise than on GOOD.

GOOD is the older release, BAD the newer. Only the tests of the claim are run, on as few releases as halving takes; of a
claim without a row the `digits` case is checked, unless --case names another. The releases between are those that the
package index has for this Python, or those that --releases lists; one that cannot be installed is passed over.

\b
Examples:
  vitgate bisect 2.9.1 2.15.0 --claim "build[digits-qnnpack-optimized]"
  vitgate bisect 2.9.1 2.15.0 --claim label --engine qnnpack --prune
  vitgate bisect 2.9.1 2.15.0 --claim build --releases 2.10.0,2.11.0,2.12.1,2.13.0,2.14.1

\b
Exit status:
  0  the release is found, and named in the last line
  4  usage: an option is wrong, or the claim comes out the same on both
  6  the environment stood in the way
"""

_ELSEWHERE = {
    "check": "vitgate.cli.check",
    "completion": "vitgate.cli.completion",
    "environments": "vitgate.cli.environments",
}

_FILE = click.Path(dir_okay=False)


def report_options(command: Command) -> Command:
    """Add the options of all commands that end in a verdict; `options_from` and `acceptances_from` read them."""
    options = (
        click.option("--accept", multiple=True, metavar="ID", help="Accept a deviation, or a row by its exact name."),
        click.option("--accept-file", type=_FILE, metavar="FILE", help="Accept what this TOML file lists."),
        json_option("Write the verdict"),
        click.option("--junit", type=_FILE, metavar="FILE", help="Write JUnit XML, for the test tab of a CI."),
        click.option("--markdown", type=_FILE, metavar="FILE", help="Write Markdown, for a comment or a job summary."),
        click.option("--html", type=_FILE, metavar="FILE", help="Write one self-contained HTML page."),
        color_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def options_from(values: dict[str, Any]) -> ReportOptions:
    """Return the report options among a command's parameters."""
    from vitgate.report.verdict.emit import ReportOptions

    files = {name: values[name] for name in ("junit", "markdown", "html")}
    return ReportOptions(json=values["json_file"], color=values["color"], **files)


def acceptances_from(values: dict[str, Any]) -> Acceptances:
    """Return the acceptances among a command's parameters; UsageError for an entry that is not whole."""
    from vitgate.compare.acceptance import read_acceptances

    file = values["accept_file"]
    return read_acceptances(values["accept"], Path(file) if file else None)


class _Late(click.Group):
    """A group whose subgroups are imported once they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of that name."""
        if name in _ELSEWHERE:
            found: click.Command = getattr(importlib.import_module(_ELSEWHERE[name]), name)
            return found
        return super().get_command(ctx, name)


@click.group(
    cls=_Late,
    help=_VITGATE,
    epilog=EXIT_STATUSES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="vitgate")
def cli() -> None:
    """May I upgrade PyTorch without breaking the Vision Transformer that I deploy?"""


@cli.command(help=_COMPARE, epilog=EXIT_STATUSES)
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@report_options
def compare(old: str, new: str, **values: Any) -> int:
    """Compare the records of two PyTorch versions, claim by claim, and say whether to upgrade."""
    from vitgate.compare.verdict import compare as compared
    from vitgate.records.consistency import read_consistent
    from vitgate.report.verdict.emit import emit

    accepted = acceptances_from(values)
    verdict = compared(read_consistent(Path(old)), read_consistent(Path(new)), accepted=accepted)
    emit(verdict, options_from(values))
    return verdict.exit_status


def suite_options(command: Command) -> Command:
    """Add the options that narrow a run exactly as they do in pytest, and those by which environments are made."""
    options = (
        click.option(
            "--case", "cases", multiple=True, metavar="ID", shell_complete=COMPLETERS["--case"],
            help="This case only, or all; repeatable.  [default: deit_base, digits, and those of --case-file]",
        ),
        click.option("--case-file", "case_files", multiple=True, metavar="FILE", help="Cases of your own; repeatable."),
        click.option(
            "--engine", "engines", multiple=True, metavar="NAME", shell_complete=COMPLETERS["--engine"],
            help="This engine only: fbgemm, x86, onednn, qnnpack; repeatable.  [default: all that a build supports]",
        ),
        click.option(
            "--weights", default="auto", show_default=True, metavar="auto|pretrained|hub|standin|FILE",
            help="The published checkpoint, or the generated stand-in; auto: the first where it can be had.",
        ),
        click.option(
            "--assets", envvar="VITGATE_ASSETS", metavar="DIR",
            help="Folder with the reference picture, image.png.  [default: VITGATE_ASSETS]",
        ),
        click.option("--python", metavar="VERSION", help="Python of the environments.  [default: the one running]"),
        click.option("--uv-arg", "uv_args", multiple=True, metavar="ARG", help="Hand this on to uv; repeatable."),
        click.option("--torch-backend", metavar="NAME", help="uv's option of this name, such as cpu."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def request_from(values: dict[str, Any]) -> Request:
    """Return the suite's options among a command's parameters; UsageError as pytest would, before anything is made."""
    from vitgate.inputs.run_options import make_run_config
    from vitgate.spec.cases import cases_named, name_own
    from vitgate.spec.engines import NO_ENGINE
    from vitgate.upgrade.runs import Request

    cases, engines, weights, assets = (values[name] for name in ("cases", "engines", "weights", "assets"))
    name_own(values.get("case_files", ()))
    if NO_ENGINE in engines:
        do = "run pytest tests/conformance --successors under each release, then vitgate compare on the records"
        raise UsageError("this command makes environments of its own, without successors", where="--engine none", do=do)
    make_run_config(
        cases=list(cases),
        engines=list(engines),
        weights=weights,
        assets=assets,
        session=Path(),
        artifact_cache=None,
        claims=values.get("claims", ()),
        images=values.get("images"),
        images_accuracy=values.get("images_accuracy"),
    )
    return Request(cases=cases_named(cases), engines=engines, weights=weights, assets=assets)


def uv_args_from(values: dict[str, Any]) -> tuple[str, ...]:
    """Return what uv is to be told."""
    backend = (f"--torch-backend={values['torch_backend']}",) if values["torch_backend"] else ()
    return (*values["uv_args"], *backend)


@cli.command(help=_UPGRADE, epilog=EXIT_STATUSES)
@click.argument("versions", nargs=-1, metavar="OLD NEW")
@click.option("--old-python", metavar="PATH", help="Interpreter, or environment, of the old side, instead of OLD.")
@click.option("--new-python", metavar="PATH", help="Interpreter, or environment, of the new side, instead of NEW.")
@suite_options
@click.option("--field", multiple=True, metavar="DIR", help="A folder of your own artifacts: both sides run them.")
@click.option("--images", metavar="DIR", help="Labelled pictures of yours, DIR/<class>/<picture>, for both sides.")
@click.option("--images-accuracy", type=float, metavar="SHARE", help="The least accuracy over them.")
@click.option("--latency/--no-latency", default=True, help="Compare latencies in pairs of processes.  [default: yes]")
@click.option("--keep", metavar="DIR", help="Keep the sides' records and logs in this folder.")
@report_options
def upgrade(versions: tuple[str, ...], **values: Any) -> int:
    """Say whether upgrading PyTorch from OLD to NEW breaks the deployment."""
    from vitgate.files.paths import default_cache
    from vitgate.inputs.field_files import given
    from vitgate.report.verdict.emit import check_targets, emit
    from vitgate.upgrade.gate import gate, Order
    from vitgate.upgrade.requirements import for_cases, sides_from

    accepted, reports = acceptances_from(values), options_from(values)
    field = tuple(Path(folder).absolute() for folder in dict.fromkeys(values["field"]))
    given(tuple(map(str, field)))
    check_targets(reports)
    old, new = sides_from(versions, values["old_python"], values["new_python"])
    request = request_from(values)
    order = Order(
        old=for_cases(old, request.cases),
        new=for_cases(new, request.cases),
        request=request,
        cache=default_cache(),
        field=field,
        uv_args=uv_args_from(values),
        python=values["python"],
        latency=values["latency"],
        keep=Path(values["keep"]) if values["keep"] else None,
        images=Path(values["images"]).absolute() if values["images"] else None,
        images_accuracy=values["images_accuracy"],
    )
    verdict = gate(order, accepted, lambda line: click.echo(line, err=True))
    emit(verdict, reports)
    return verdict.exit_status


def records_options(command: Command) -> Command:
    """Add the options of commands that keep a record of each version; `means_from` reads the second."""
    options = (
        click.option(
            "--records", default="vitgate-records", show_default=True, metavar="DIR", help="Keep records here."
        ),
        click.option("--prune", is_flag=True, help="Remove each environment after its run, to save disk space."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def means_from(values: dict[str, Any]) -> Means:
    """Return by what means environments are made, from a command's parameters."""
    from vitgate.files.paths import default_cache
    from vitgate.upgrade.record_cache import Means

    return Means(default_cache(), uv_args_from(values), values["python"], prune=values["prune"])


@cli.command(help=_SWEEP)
@click.argument("versions", nargs=-1, metavar="VERSION...")
@click.option("--interpreter", "interpreters", multiple=True, metavar="PATH", help="One that has its PyTorch already.")
@suite_options
@click.option("--shard", metavar="K/N", help="Check part K of N of the suite on each version.")
@records_options
@click.option("--dask", metavar="ADDRESS", help="Run on the workers of this dask scheduler, such as tcp://host:8786.")
@click.option("--markdown", type=_FILE, metavar="FILE", help="Write the compatibility page of all versions.")
@json_option("Write the table")
@color_option
def sweep(versions: tuple[str, ...], **values: Any) -> int:
    """Run the suite on each PyTorch VERSION, and show the versions side by side."""
    from dataclasses import replace

    from vitgate.files.outputs import check_target
    from vitgate.spec.shards import parse_shard
    from vitgate.upgrade.requirements import for_cases, parse_interpreter, parse_side
    from vitgate.upgrade.sweep import exit_status, show, Sweep
    from vitgate.upgrade.sweep import sweep as swept

    check_target(values["json_file"], "--json")
    check_target(values["markdown"], "--markdown")
    shard = str(parse_shard(values["shard"])) if values["shard"] is not None else ""
    sides = [parse_side(text, where="VERSION") for text in versions]
    sides += [parse_interpreter(path, where="--interpreter") for path in values["interpreters"]]
    request = replace(request_from(values), shard=shard)
    sides = [for_cases(side, request.cases) for side in sides]
    order = Sweep(tuple(sides), request, means_from(values), Path(values["records"]))
    if values["dask"]:
        from vitgate.upgrade.dask_sweep import sweep_on

        found = sweep_on(values["dask"], order, _to_stderr)
    else:
        found = swept(order, _to_stderr)
    show(found, markdown=values["markdown"], json_file=values["json_file"], color=values["color"])
    return exit_status(found)


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


@cli.command(help=_BISECT)
@click.argument("good", metavar="GOOD")
@click.argument("bad", metavar="BAD")
@click.option(
    "--claim", required=True, metavar="ID", shell_complete=COMPLETERS["--claim"],
    help="A claim (build) or a row (build[digits-qnnpack-optimized]).  [required]",
)  # fmt: skip
@click.option("--releases", metavar="LIST", help="Look at these only: versions with commas between.")
@suite_options
@records_options
@json_option("Write the release, and the outcomes of all that were run,")
def bisect(good: str, bad: str, claim: str, **values: Any) -> int:
    """Find the first release of PyTorch on which a claim comes out otherwise than on GOOD."""
    from vitgate.files.outputs import check_target, for_people, write_json
    from vitgate.upgrade.bisect import bisect as found
    from vitgate.upgrade.bisect import Bisection, narrowed
    from vitgate.upgrade.releases import parse_releases

    check_target(values["json_file"], "--json")
    request = narrowed(request_from({**values, "claims": (claim,)}), claim)
    releases = tuple(parse_releases(values["releases"])) if values["releases"] is not None else None
    asked = Bisection(good, bad, claim, request, means_from(values), Path(values["records"]), releases)
    answer = found(asked, _to_stderr)
    write_json(values["json_file"], answer.to_json())
    click.echo(str(answer), file=for_people(values["json_file"]))
    return 0


@cli.command(help=_MERGE)
@click.argument("records", type=_FILE, nargs=-1, required=True)
@click.option("-o", "--output", type=_FILE, required=True, metavar="FILE", help="Where to write the merged record.")
@json_option("Write what was merged")
def merge(records: tuple[str, ...], output: str, json_file: str | None) -> int:
    """Merge the records of the shards of one run into one, in any order."""
    from vitgate.files.outputs import check_target, for_people, write_json
    from vitgate.records.consistency import check_consistent, read_consistent
    from vitgate.records.merge import merge as merged

    check_target(json_file, "--json")
    record = merged([read_consistent(Path(name)) for name in records])
    check_consistent(record, where="the merged record")
    record.write(Path(output), option="-o")
    where = f" of shards {record.shard}" if record.shard and not record.complete else ""
    state = "complete" if record.complete else f"not complete{where}, {len(record.missing)} claims named as missing"
    about = {"record": output, "claims": len(record.claims), "shard": record.shard, "complete": record.complete}
    write_json(json_file, {**about, "missing": list(record.missing)})
    click.echo(f"{output}: {len(record.claims)} claims, {state}", file=for_people(json_file))
    return 0


@cli.command(help=_REPORT)
@click.argument("records", type=_FILE, nargs=-1, required=True, metavar="RECORD...")
@click.option("-o", "--output", type=_FILE, required=True, metavar="FILE", help="Where to write the page.")
@json_option("Write what was reported")
def report(records: tuple[str, ...], output: str, json_file: str | None) -> int:
    """Make one HTML page of a run's record, or of several."""
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: the one place where errors become one line and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(_run(arguments))
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(BaseException):
    """SIGTERM came: like KeyboardInterrupt no error, so that nothing takes it for one on the way up."""


def _terminate(*_: object) -> None:
    raise _Terminated


def _run(arguments: Sequence[str] | None) -> int:
    try:
        status: Any = cli.main(arguments, prog_name="vitgate", standalone_mode=False)
    except VitgateError as error:
        click.echo(f"ERROR: {_printable(str(error))}", err=True)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return UsageError.exit_status
    except click.Abort:
        click.echo("ERROR: interrupted", err=True)
        return 130  # as a shell reports SIGINT
    except _Terminated:
        click.echo("ERROR: terminated", err=True)
        return 143  # as a shell reports SIGTERM
    return int(status or 0)


def _printable(text: str) -> str:
    """Drop control characters: names and messages in a record are anybody's."""
    return "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
