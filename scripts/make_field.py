"""Make the folders of `fixtures/field`: what releases wrote and saw, each in an environment that vitgate makes for it.

    python scripts/make_field.py 2.9.1 2.12.1 [--python 3.10] [--torch-backend cpu]
    python scripts/make_field.py 1.27.0 1.32.0 --package onnxruntime --with torch==2.15.0 --variant onnx_int8

TorchScript files hold the paths of the source files that they were made from: run this where these say nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from vitgate.files.errors import status_of
from vitgate.files.paths import default_cache
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import MANIFEST, SEEN
from vitgate.spec.engines import NO_ENGINE
from vitgate.upgrade.environments import make
from vitgate.upgrade.moving_package import moving
from vitgate.upgrade.record_cache import Means
from vitgate.upgrade.requirements import Side
from vitgate.upgrade.runs import Request, run_suite, suite_folder
from vitgate.upgrade.successor_packages import for_successors


def say(text: str) -> None:
    """Show a step."""
    print(text, file=sys.stderr)


def make_field(side: Side, request: Request, target: Path, uv_args: tuple[str, ...], python: str | None) -> None:
    """Run the small case on one side and export what it made, packed; its log stays where the run fails."""
    environment = make(side, cache=default_cache(), uv_args=uv_args, python=python, echo=say)
    folder = Path(tempfile.mkdtemp(prefix="vitgate-field-"))
    asked = replace(request, record=str(folder / "record.json"), export=str(target), export_packed=True)
    record = run_suite(environment, suite_folder(default_cache()), asked, folder / "log")
    failed = [row.name for row in record.claims if row.status == "failed"]
    say(f"{target}: {len(failed)} claims failed{': ' + ', '.join(failed[:5]) if failed else ''}")


def rename(folder: Path, release: str) -> None:
    """Name the files by the release of the package that made them, where that is another one than torch."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    with np.load(folder / SEEN) as seen:
        arrays = {name.replace(f"/{manifest['maker']}-", f"/{release}-"): seen[name] for name in seen.files}
    for row in manifest["files"]:
        row["id"] = row["id"].replace(manifest["maker"], release, 1)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    np.savez_compressed(folder / SEEN, **arrays)


def main() -> None:
    """Make the folders of all versions on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("versions", nargs="+", metavar="VERSION")
    parser.add_argument("--python", help="Python of the environments; default: the one running")
    parser.add_argument("--torch-backend", help="uv's option of this name, such as cpu")
    parser.add_argument("--package", help="the package whose releases these are; default: torch")
    parser.add_argument("--with", dest="fixed", help="the requirements that stay, torch among them")
    parser.add_argument("--variant", action="append", default=[], help="this successor alone; repeatable")
    options = parser.parse_args()
    uv_args = (f"--torch-backend={options.torch_backend}",) if options.torch_backend else ()
    moves = moving(options.package, options.fixed)
    claims = tuple(f"label[digits-{NO_ENGINE}-{variant}]" for variant in options.variant)
    request = Request(case=("digits",), engine=(NO_ENGINE,) if claims else (), claim=claims)
    means = Means(default_cache(), uv_args, options.python)
    for version in options.versions:
        side = for_successors(moves.side(version, where="version"), request, means, say)
        release = f"{options.package or 'torch'}_{version}"
        target = fixtures_folder() / "field" / (release if claims else version)
        make_field(side, request, target, uv_args, options.python)
        if claims:
            rename(target, release)


if __name__ == "__main__":
    sys.exit(status_of(main))
