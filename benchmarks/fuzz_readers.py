"""Every reader of a file from outside, by its name on the command line of `fuzz.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fuzz_caches import cache, evidence, marker, packed, table
from fuzz_field import archive, array, arrays, manifest, own_folder
from fuzz_form import fixture_reader, Make
from fuzz_models import checkpoint, exported, head, hub_archive, legacy, lite, onnx_model, program, safetensors
from fuzz_pictures import golden, labelled_folder, picture
from fuzz_records import record, verdict
from fuzz_user_files import accept, own_cases, requirements, side

from vitgate.files.schemas import read_model, Strict
from vitgate.inputs import pictures
from vitgate.judge import deviations, operators, tolerances, torch_warnings
from vitgate.spec import cases, claims


def _model(model: type[Strict]) -> Callable[[Path], object]:
    return lambda path: read_model(model, path)


READERS: dict[str, tuple[str, Make]] = {
    "record": ("record", record),
    "verdict": ("records compared, merged and reported", verdict),
    "accept": ("accept file", accept),
    "cases": ("`cases.toml`", fixture_reader("cases.toml", 2, cases._committed.__wrapped__)),
    "own_cases": ("cases of a user", own_cases),
    "claims": ("`claims.toml`", fixture_reader("claims.toml", 3, lambda path: claims.read_claims.__wrapped__(path))),
    "tolerances": (
        "`tolerances/*.toml`",
        fixture_reader("tolerances/weights.toml", 3, lambda path: tolerances._read.__wrapped__(path, ())),
    ),
    "deviations": ("`deviations.toml`", fixture_reader("deviations.toml", 3, deviations.read_deviations.__wrapped__)),
    "operators": ("`operators.toml`", fixture_reader("operators.toml", 2, _model(operators.OperatorFile))),
    "api": ("`api.toml`", fixture_reader("api.toml", 4, claims.read_calls.__wrapped__)),
    "warnings": ("`torch_warnings.toml`", fixture_reader("warnings.toml", 3, torch_warnings.read_warnings.__wrapped__)),
    "standin": ("description of a stand-in", fixture_reader("heads/deit_base.toml", 2, _model(pictures.StandinFile))),
    "own_folder": ("`field.toml`", own_folder),
    "manifest": ("`field.json`", manifest),
    "arrays": ("`seen.npz`", arrays),
    "array": ("`.npy` of a user", array),
    "archive": ("`files.tar.xz`", archive),
    "exported": ("exported program", exported),
    "program": ("program of ExecuTorch", program),
    "onnx": ("`.onnx` with weights beside it", onnx_model),
    "hub": ("archive of a hub repository", hub_archive),
    "checkpoint": ("checkpoint, zip form", checkpoint),
    "legacy": ("checkpoint, old form", legacy),
    "safetensors": ("checkpoint, safetensors", safetensors),
    "head": ("head of the stand-in", head),
    "picture": ("picture", picture),
    "labelled_folder": ("folder of a user's pictures", labelled_folder),
    "golden": ("labelled pictures, `.npz`", golden),
    "lite": ("head of a lite file", lite),
    "requirements": ("requirements file", requirements),
    "side": ("version or requirements, as typed", side),
    "evidence": ("evidence, values", evidence),
    "packed": ("evidence, arrays", packed),
    "cache": ("entry of the artifact cache", cache),
    "marker": ("marker of an environment", marker),
    "table": ("accepted table", table),
}
"""By the name on the command line: what the table calls it, and how it is made."""
