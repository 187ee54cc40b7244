"""Make the folders of `fixtures/field`: what releases wrote and saw, each in an environment that vitgate makes for it.

    python scripts/make_field.py 2.9.1 2.12.1 [--python 3.10] [--torch-backend cpu]

TorchScript files hold the paths of the source files that they were made from: run this where these say nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from vitgate.files.errors import VitgateError
from vitgate.files.paths import default_cache
from vitgate.files.schemas import fixtures_folder
from vitgate.upgrade.environments import make
from vitgate.upgrade.requirements import parse_side
from vitgate.upgrade.runs import Request, Run, run_suite, suite_folder


def say(text: str) -> None:
    """Show a step."""
    print(text, file=sys.stderr)


def make_field(version: str, target: Path, uv_args: tuple[str, ...], python: str | None) -> None:
    """Run the small case under one release and export what it made, packed; its log stays where the run fails."""
    side = parse_side(version, where="version")
    environment = make(side, cache=default_cache(), uv_args=uv_args, python=python, echo=say)
    folder = Path(tempfile.mkdtemp(prefix="vitgate-field-"))
    run = Run(folder / "record.json", folder / "log", export=target, arguments=("--export-packed",))
    record = run_suite(environment, suite_folder(default_cache()), Request(cases=("digits",)), run)
    failed = [row.name for row in record.claims if row.status == "failed"]
    say(f"{target}: {len(failed)} claims failed{': ' + ', '.join(failed[:5]) if failed else ''}")


def main() -> int:
    """Make the folders of all versions on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("versions", nargs="+", metavar="VERSION")
    parser.add_argument("--python", help="Python of the environments; default: the one running")
    parser.add_argument("--torch-backend", help="uv's option of this name, such as cpu")
    options = parser.parse_args()
    uv_args = (f"--torch-backend={options.torch_backend}",) if options.torch_backend else ()
    try:
        for version in options.versions:
            make_field(version, fixtures_folder() / "field" / version, uv_args, options.python)
    except VitgateError as error:
        say(f"ERROR: {error}")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
