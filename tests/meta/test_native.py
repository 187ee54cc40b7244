"""The C++ program in whole runs, where what a command comes to must reach the record through the server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vitgate.spec.claims import read_claims
from vitgate.spec.outcome import NO_TOOLS

from .processes import run_pytest

FLOAT = "test_native[digits-fbgemm-scripted]"
NATIVE = "tests/conformance/test_native.py"
TESTS = (f"{NATIVE}::{FLOAT}", f"{NATIVE}::test_native_program", "--case", "digits", "--engine", "fbgemm")


def test_missing_compiler_skips_claims_and_names_needs(tmp_path: Path) -> None:
    done = run_pytest(*TESTS, "tests/conformance/test_build.py", folder=tmp_path, CXX="no-such-c++")
    rows = [row for row in done.record.claims if row.claim in ("native", "native_program")]
    assert done.status == 0, done.text
    assert {(row.claim, row.status, row.error) for row in rows} == {
        (name, "unsupported", NO_TOOLS) for name in ("native", "native_program")
    }
    assert all("there is no no-such-c++" in row.message for row in rows)
    assert f"native_program, native, which takes {read_claims()['native'].tools}" in done.stdout


@pytest.mark.skipif(shutil.which("ninja") is None, reason="without ninja nothing is compiled")
def test_failing_compiler_fails_claim(tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1.0 || { echo "x.h:1: error: gone"; exit 1; }\n')
    compiler.chmod(0o755)
    done = run_pytest(*TESTS, folder=tmp_path, CXX=str(compiler))
    assert done.status == 1, done.text
    assert {(row.claim, row.outcome_text, row.message) for row in done.record.claims} == {
        (name, "failed at compile", "x.h:1: error: gone") for name in ("native", "native_program")
    }
