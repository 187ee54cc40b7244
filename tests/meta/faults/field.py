"""Faults of files from the field: a file of an earlier release, or of the user's, no longer does what it did."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import vitgate.inputs.field_files
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import seen
from vitgate.judge import findings
from vitgate.observe.outputs import field
from vitgate.plugin.fixtures import FieldCheck
from vitgate.spec.outcome import Evidence, Outcome

from ..scene import Scene
from .catalogue import fault

FIELD = "2.12.1-digits-fbgemm-lite_frozen"
FOLDER = str(fixtures_folder() / "field" / "2.12.1")


@fault(field=(FIELD,), artifacts=(FIELD,), says="unknown operator")
def field_file_no_longer_loads(scene: Scene) -> None:
    """The runtime refuses a file that an earlier release wrote."""
    outcome = Outcome("failed at", "load", "RuntimeError", "unknown operator")
    for claim in ("field", "artifacts"):
        scene.alter(field, lambda found: Evidence(outcome=outcome), claim, FOLDER, FIELD)


@fault(field=(FIELD,), says="distance against maker")
def field_file_gives_other_numbers(scene: Scene) -> None:
    """A file of an earlier release gives logits with noise at 15 dB, and the same labels."""

    def noisy(found: Evidence) -> Evidence:
        logits = found.arrays["logits"]
        return replace(
            found, arrays={**found.arrays, "logits": logits * np.float32(1.18), "again": logits[:1] * np.float32(1.18)}
        )

    scene.alter(field, noisy, "field", FOLDER, FIELD)


@fault(field=(FIELD,), says="sqnr_change against maker")
def field_record_is_of_another_file(scene: Scene) -> None:
    """What was recorded of the maker's logits is 10% off: noise that would hide as much in the file."""

    def test_field(field_check: FieldCheck) -> None:
        told = seen(field_check.item)
        if field_check.item.row.id == FIELD and told.logits is not None:
            told = replace(told, logits=told.logits * np.float32(0.9))
        item = field_check.item
        own = field_check.observer.get(field, field_check.claim.id, item.folder, item.row.id).demand()
        field_check.assert_within(findings=findings.field(own, told))

    scene.test_instead("field", test_field)


@fault(artifacts=(FIELD,), says="finite")
def field_file_gives_nan(scene: Scene) -> None:
    """A file that the user named gives NaN for one picture."""

    def broken(found: Evidence) -> Evidence:
        logits = found.arrays["logits"].copy()
        logits[3] = np.nan
        return replace(found, arrays={**found.arrays, "logits": logits})

    scene.alter(field, broken, "artifacts", FOLDER, FIELD)


@fault(field=(FIELD,), says="difference_on_repeat")
def field_file_remembers(scene: Scene) -> None:
    """A file of an earlier release gives something else when it sees the first picture again."""
    scene.alter(
        field,
        lambda found: replace(found, arrays={**found.arrays, "again": found.arrays["again"] + np.float32(0.01)}),
        "field",
        FOLDER,
        FIELD,
    )


@fault(field=(FIELD,), says="same_labels")
def field_file_gives_another_label(scene: Scene) -> None:
    """A file of an earlier release takes one picture for something else."""

    def other(found: Evidence) -> Evidence:
        logits = found.arrays["logits"].copy()
        logits[4] = np.roll(logits[4], 1)
        return replace(found, arrays={**found.arrays, "logits": logits})

    scene.alter(field, other, "field", FOLDER, FIELD)


@fault(field=(FIELD,), says="not the file of the manifest")
def field_file_of_another_version(scene: Scene) -> None:
    """In the place of a file lies the one that another release made of the same cell."""
    real = vitgate.inputs.field_files._unpacked

    def exchanged(folder: Path, manifest: vitgate.inputs.field_files.FieldManifest, session: Path) -> Path:
        unpacked = real(folder, manifest, session)
        row = next(row for row in manifest.files if row.id == FIELD)
        with tarfile.open(fixtures_folder() / "field" / "2.9.1" / "files.tar.xz") as archive:
            member = archive.extractfile(row.file.replace("2.12.1", "2.9.1"))
            assert member is not None
            with member, (unpacked / row.file).open("wb") as file:
                shutil.copyfileobj(member, file)
        return unpacked

    scene.patch.setattr(vitgate.inputs.field_files, "_unpacked", exchanged)
    scene.forget(field, "field", FOLDER, FIELD)


@fault(field=(FIELD,), says="not the file of the manifest")
def field_file_has_a_bit_flipped(scene: Scene) -> None:
    """One bit of a file has changed since its maker recorded it."""
    real = vitgate.inputs.field_files._unpacked

    def flipped(folder: Path, manifest: vitgate.inputs.field_files.FieldManifest, session: Path) -> Path:
        unpacked = real(folder, manifest, session)
        path = unpacked / next(row for row in manifest.files if row.id == FIELD).file
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        return unpacked

    scene.patch.setattr(vitgate.inputs.field_files, "_unpacked", flipped)
    scene.forget(field, "field", FOLDER, FIELD)
