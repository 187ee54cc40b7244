"""What all source has in common, which no linter checks.

Two torch versions meet only as records: the half that judges, and the test workers, never import torch. A public
function that takes much says what: its docstring names each parameter. And nothing is longer than one can read at once.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from .conformance_tests import CONFORMANCE

SOURCE = Path(__file__).parents[2] / "src" / "vitgate"
OBSERVING = ("inputs", "pipeline", "expected", "observe")  # the packages that may import torch
HEAVY = ("torch", "torchvision", "timm")
MANY = 3  # parameters, from which on a docstring names each
MOST_LINES = {ast.Module: 350, ast.ClassDef: 150, ast.FunctionDef: 45, ast.AsyncFunctionDef: 45}
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


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=_module)
def test_docstring_names_each_of_three_or_more_parameters(path: Path) -> None:
    assert list(_unexplained(ast.parse(path.read_text(encoding="utf-8")).body)) == []


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=_module)
def test_no_file_class_or_function_is_too_long(path: Path) -> None:
    assert list(_too_long(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f():\n" + "    x()\n" * 44, []),
        ("def f():\n" + "    x()\n" * 45, ["f: 46 lines"]),
        ("class C:\n    async def f():\n" + "        x()\n" * 148, ["f: 149 lines"]),
        ("class C:\n" + "    x = 1\n" * 150, ["C: 151 lines"]),
        ("x = 1\n" * 350, []),
        ("x = 1\n" * 351, ["the file: 351 lines"]),
    ],
)
def test_the_rule_sees_what_is_too_long(code: str, found: list[str]) -> None:
    assert list(_too_long(code)) == found


def _too_long(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", len(code.splitlines()))
        if (lines := last - first + 1) > MOST_LINES.get(type(node), lines):
            yield f"{getattr(node, 'name', 'the file')}: {lines} lines"


_FUNCTION = '''
def f(a, b, *, c, **d):
    """Do it.

    Args:
        a: One.
            And: more of it.
        c: Three.

    Raises:
        b: Not an argument.
    """
'''


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (_FUNCTION, ["f: b", "f: **d"]),
        ("def f(a, b): pass", []),
        ("def f(a, *b, **c): pass", []),
        ("def f(a, b, c, *d): pass", ["f: a", "f: b", "f: c", "f: *d"]),
        ("def _f(a, b, c): pass", []),
        ("class C:\n    def m(self, a, b): pass", []),
        ("class C:\n    def m(self, a, b, c): pass", ["m: a", "m: b", "m: c"]),
        ("class C:\n    @staticmethod\n    def m(a, b, c): pass", ["m: a", "m: b", "m: c"]),
        ("def f():\n    def g(a, b, c): pass", []),
    ],
)
def test_the_rule_sees_a_parameter_without_explanation(code: str, found: list[str]) -> None:
    assert list(_unexplained(ast.parse(code).body)) == found


def _unexplained(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the parameters that no docstring names, of public functions and methods; what is inside one is neither."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _unexplained(node.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            said = _explained(ast.get_docstring(node) or "")
            yield from (f"{node.name}: {name}" for name in _to_explain(node.args) if name not in said)


def _to_explain(given: ast.arguments) -> list[str]:
    plain = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    plain = [name for name in plain if name not in ("self", "cls")]
    stars = [f"{star}{each.arg}" for star, each in (("*", given.vararg), ("**", given.kwarg)) if each]
    return [*plain, *stars] if len(plain) >= MANY else []


def _explained(docstring: str) -> set[str]:
    """Return the names in the section `Args:`, which ends at the next line that is not indented."""
    section = re.search(r"^Args:\n((?: {4}.*\n|\n)*)", f"{docstring}\n", re.MULTILINE)
    return set(re.findall(r"^ {4}(\*{0,2}\w+): \S", section[1], re.MULTILINE)) if section else set()


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
