"""Wheels of a few bytes, so that uv installs packages of any name and version without a download."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def wheel(
    folder: Path,
    name: str,
    version: str,
    source: str = "",
    *,
    requires: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
) -> None:
    """Write a wheel of one package into `folder`, in the place of one of the same version.

    Args:
        folder: The index, which is made where there is none.
        name: The package's name, and that of what is imported.
        version: Its version, also as `__version__`.
        source: Python code that runs when it is imported.
        requires: Its requirements.
        more: Further files of the package, by their names in its folder.
        tag: The Python, ABI and platform that it is for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n{source}\n",
        **{f"{name}/{path}": text for path, text in (more or {}).items()},
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {text}\n" for text in requires),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
