"""The made-up pictures are the same for ever, and the committed logits are those of every case."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from vitgate.inputs.pictures import commit_logits, committed_logits, made_up_pictures, PICTURES
from vitgate.spec import cases
from vitgate.spec.cases import read_cases

SHA256 = {(3, 224, 224): "dea90842de6097a5", (3, 384, 384): "54f67f59e1986954", (1, 8, 8): "ad3388811777bced"}


@pytest.mark.parametrize("case", list(read_cases()))
def test_anchor_pictures_never_change(case: str) -> None:
    pictures = made_up_pictures(read_cases()[case])
    assert (pictures.shape, pictures.dtype) == ((PICTURES, *read_cases()[case].input), np.float32)
    assert hashlib.sha256(pictures.tobytes()).hexdigest()[:16] == SHA256[read_cases()[case].input]


@pytest.mark.parametrize("case", list(read_cases()))
def test_every_case_has_distinct_finite_anchor_logits(case: str) -> None:
    logits = committed_logits(read_cases()[case])
    assert len(logits) == PICTURES
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[1]).max() > 0.01 * logits.std()


def test_committed_logits_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = read_cases()["digits"]
    monkeypatch.setattr(cases, "fixtures_folder", lambda: tmp_path)
    logits = np.arange(6, dtype=np.float32).reshape(2, 3)
    commit_logits(digits, logits)
    assert np.array_equal(committed_logits(digits), logits)
