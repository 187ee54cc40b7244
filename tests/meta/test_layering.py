"""Two torch versions meet only as records: the half that judges, and the test workers, never import torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import CONFORMANCE

SOURCE = Path(__file__).parents[2] / "src" / "vitgate"
OBSERVING = ("inputs", "pipeline", "expected", "observe")  # the packages that may import torch
HEAVY = ("torch", "torchvision", "timm")
LIGHT_MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] not in OBSERVING)

_IMPORT_ALL = f"""
import importlib, importlib.util, sys
for name in sys.argv[1].split(","):
    importlib.import_module(name)
for number, path in enumerate(sys.argv[2].split(",")):
    spec = importlib.util.spec_from_file_location(f"conformance_{{number}}", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(",".join(name for name in {HEAVY} if name in sys.modules))
"""


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_judging_packages_and_conformance_tests_import_no_torch() -> None:
    modules = ",".join(_module(path) for path in LIGHT_MODULES)
    files = ",".join(str(path) for path in sorted(CONFORMANCE.glob("test_*.py")))
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, modules, files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize("path", LIGHT_MODULES, ids=_module)
def test_judging_module_names_no_torch_at_its_top(path: Path) -> None:
    found = {name for name in _imported_at_top(path) if name.partition(".")[0] in HEAVY}
    assert found == set()


def test_workers_and_command_line_start_without_heavy_imports() -> None:
    code = "import sys, vitgate.plugin, vitgate.cli; print({'torch', 'pandas', 'matplotlib'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_import_rule_detects_torch_import(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import os\nif os.name:\n    from torch import nn\ndef f():\n    import timm\n", encoding="utf-8")
    assert set(_imported_at_top(path)) == {"os", "torch"}


def _imported_at_top(path: Path) -> Iterator[str]:
    """Yield the modules that an import of this one imports: not those inside functions or for the type checker."""
    queue: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not _for_types(node):
            queue += list(ast.iter_child_nodes(node))


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
