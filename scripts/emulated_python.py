"""Make an interpreter of aarch64 that runs here by emulation, with a PyTorch: to be used like any other.

    python scripts/emulated_python.py arm torch==2.9.1
    arm/bin/python -m pytest -n auto tests/conformance --case digits --engine qnnpack
    vitgate upgrade --old-python arm/bin/python --new-python other/bin/python --case digits

Takes qemu-user-static and debootstrap (Debian) and uv. Debian's Python of arm64 is unpacked, not installed;
`bin/python` runs it under qemu with the processor that VITGATE_QEMU_CPU names, neoverse-n1 by default.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

from vitgate.files.errors import MachineError, status_of

SUITE, VERSION = "bookworm", "3.11"
EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")  # of Debian's qemu-user-static, and of its qemu-user since 13
TRIED = 10  # the major version of qemu that runs every PyTorch tried; under 7.2 importing 2.15.0 ends in a crash
TOOLS = {"debootstrap": "debootstrap", "dpkg-deb": "dpkg", "uv": "uv"}
PACKAGES = "python3,libgomp1,libstdc++6"
WHEELS = "aarch64-manylinux_2_28"
WRAPPER = """#!/bin/sh
export QEMU_LD_PREFIX="{root}"
exec {emulator} -cpu "${{VITGATE_QEMU_CPU:-neoverse-n1}}" -0 "$0" "{program}" "$@"
"""


def emulator() -> str:
    """Return the name of the emulator that is installed, empty where there is none."""
    return next((name for name in EMULATORS if shutil.which(name)), "")


def lacking() -> str:
    """Return the packages of the tools that are not there."""
    missing = [] if emulator() else ["qemu-user"]
    return ", ".join([*missing, *(package for tool, package in TOOLS.items() if shutil.which(tool) is None)])


def old_emulator() -> str:
    """Return what to say of an emulator that is older than the one that was tried; nothing of another."""
    said = subprocess.run([emulator(), "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    version = re.search(r"version (\d+)\.\d+", said)
    if version is None or int(version[1]) >= TRIED:
        return ""
    return f"note: this is qemu {version[0].split()[1]}; PyTorch 2.15.0 takes {TRIED} (qemu-user of Debian 13)"


def run(*command: str) -> None:
    """Run a command that says for itself what goes wrong."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # the user's own arguments


def unpack(root: Path, mirror: str) -> None:
    """Unpack Debian's Python and what it needs; nothing of it is run, so that no rights are needed beyond root's."""
    run(
        "debootstrap",
        "--arch=arm64",
        "--foreign",
        "--variant=minbase",
        f"--include={PACKAGES}",
        SUITE,
        str(root),
        mirror,
    )
    for package in sorted((root / "var" / "cache" / "apt" / "archives").glob("*.deb")):
        run("dpkg-deb", "-x", str(package), str(root))


def emulate(program: Path, root: Path) -> None:
    """Put a script in the place of a program that runs it emulated; environments that uv makes of it link to that."""
    own = program.with_name(f"{program.name}.aarch64")
    if not own.exists():
        program.rename(own)
    program.write_text(WRAPPER.format(root=root, program=own, emulator=emulator()), encoding="utf-8")
    program.chmod(0o755)


def make(folder: Path, wanted: list[str], mirror: str) -> Path:
    """Return the interpreter: a virtual environment whose Python is emulated."""
    root, python = folder / "root", folder / "bin" / "python"
    base = root / "usr" / "bin" / f"python{VERSION}"
    if not base.exists():
        unpack(root, mirror)
    emulate(base, root)
    packages = folder / "lib" / f"python{VERSION}" / "site-packages"
    packages.mkdir(parents=True, exist_ok=True)
    python.parent.mkdir(exist_ok=True)
    python.unlink(missing_ok=True)
    python.symlink_to(base)
    home = f"home = {root}/usr/bin\ninclude-system-site-packages = false\nversion = {VERSION}\n"
    (folder / "pyvenv.cfg").write_text(home, encoding="utf-8")
    own = [Requirement(text) for text in requires("vitgate") or ()]
    needed = [f"{each.name}{each.specifier}" for each in own if each.marker is None and each.name != "torch"]
    target = ("--target", str(packages), "--python-platform", WHEELS, "--python-version", VERSION)
    run("uv", "pip", "install", "--quiet", *target, *wanted, *needed)
    return python


def main() -> None:
    """Make it, and print its path."""
    parser = argparse.ArgumentParser(description="make an emulated interpreter of aarch64 with a PyTorch")
    parser.add_argument("folder", type=Path)
    parser.add_argument("requirement", nargs="+", help="such as torch==2.9.1")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    options = parser.parse_args()
    if missing := lacking():
        raise MachineError("tools for an emulated Python are missing", do=f"install {missing}")
    if note := old_emulator():
        print(note, file=sys.stderr)
    try:
        print(make(options.folder.absolute(), options.requirement, options.mirror))
    except subprocess.CalledProcessError as error:
        what = f"{error.cmd[0]} failed with status {error.returncode}"
        raise MachineError(what, do="see its output above") from None


if __name__ == "__main__":
    sys.exit(status_of(main))
