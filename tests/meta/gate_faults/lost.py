"""Conformance tests that no longer check what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vitgate.spec.claims import read_claims


@dataclass(frozen=True)
class Lost:
    """A change of the tests of one claim in a made-up suite: `text` is the file instead.

    `failed`: its rows must be there and have failed. Otherwise they must be missing.
    """

    id: str
    claim: str
    text: Callable[[str], str | None]
    failed: bool


LOST: list[Lost] = []


def lost(claim: str, *, failed: bool = False) -> Callable[[Any], Any]:
    """Add the decorated function, which gets the text of a sound test, to the catalogue."""

    def add(text: Callable[[str], str | None]) -> Callable[[str], str | None]:
        LOST.append(Lost(text.__name__, claim, text, failed))
        return text

    return add


def sound(claim: str) -> str:
    """Return a test without any work that carries the claim's marker."""
    subject = {"cell": "cell", "engine": "cell", "case": "cell", "file": "item"}.get(read_claims()[claim].per, "")
    return f"import pytest\n\n@pytest.mark.claim({claim!r})\ndef test_{claim}({subject}):\n    pass\n"


def _marked(text: str, mark: str) -> str:
    return text.replace("@pytest.mark.claim", f"@pytest.mark.{mark}\n@pytest.mark.claim")


def _with_body(text: str, body: str) -> str:
    return text.replace("    pass", f"    {body}")


@lost("label", failed=True)
def skipped_by_a_mark(text: str) -> str:
    return _marked(text, "skip(reason='not today')")


@lost("build", failed=True)
def skipped_on_a_condition(text: str) -> str:
    return _marked(text, "skipif(True, reason='not here')")


@lost("size", failed=True)
def skipped_inside(text: str) -> str:
    return _with_body(text, "pytest.skip('not today')")


@lost("weights", failed=True)
def skipped_for_a_package(text: str) -> str:
    return _with_body(text, "pytest.importorskip('no_such_package')")


@lost("accuracy", failed=True)
def skipped_by_a_fixture(text: str) -> str:
    own = _marked(text, "usefixtures('none')")
    return f"{own}\n@pytest.fixture\ndef none():\n    pytest.skip('no data')\n"


@lost("repeatable", failed=True)
def expected_to_fail_by_a_mark(text: str) -> str:
    return _with_body(_marked(text, "xfail(reason='known')"), "assert 0")


@lost("logits_original", failed=True)
def expected_to_fail_and_not_run(text: str) -> str:
    return _marked(text, "xfail(run=False, reason='known')")


@lost("logits_parent", failed=True)
def expected_to_fail_inside(text: str) -> str:
    return _with_body(text, "pytest.xfail('known')")


@lost("calls", failed=True)
def parametrization_emptied(text: str) -> str:
    return _marked(text, "parametrize('call', [])").replace("test_calls()", "test_calls(call)")


@lost("table", failed=True)
def failing_after_it_passed(text: str) -> str:
    own = _marked(text, "usefixtures('late')")
    return f"{own}\n@pytest.fixture\ndef late():\n    yield\n    assert 0\n"


@lost("lite_bytecode", failed=True)
def collected_twice(text: str) -> str:
    return text + _with_body(text, "assert 0").partition("\n\n")[2].replace("def test_", "def test_again_")


@lost("anchor", failed=True)
def skipped_as_unittest_does(text: str) -> str:
    return _with_body(text, "import unittest; raise unittest.SkipTest('not today')")


@lost("parameters")
def put_into_a_class_that_is_not_collected(text: str) -> str:
    head, _, test = text.partition("\n\n")
    return f"{head}\n\nclass Parameters:\n" + "".join(f"    {line}\n" for line in test.splitlines())


@lost("arithmetic")
def left_out_on_a_condition(text: str) -> str:
    head, _, test = text.partition("\n\n")
    indented = "".join(f"    {line}\n" for line in test.splitlines())
    return f"{head}\n\nif pytest.__version__ < '1':\n{indented}"


@lost("latency")
def file_removed(text: str) -> None:
    return None


@lost("lite_operators")
def renamed_to_no_test(text: str) -> str:
    return text.replace("def test_", "def check_")


@lost("field")
def file_skipped_for_a_package(text: str) -> str:
    return text.replace("import pytest\n", "import pytest\npytest.importorskip('no_such_package')\n")


@lost("warnings")
def marker_removed(text: str) -> str:
    return text.replace("@pytest.mark.claim('warnings')\n", "")


@lost("preprocessing")
def taken_out_by_another_plugin(text: str) -> str:
    return text


@lost("native", failed=True)
def skipped_on_a_condition_inside(text: str) -> str:
    return _with_body(text, "import shutil; shutil.which('no-such-c++') or pytest.skip('no compiler')")


@lost("native_program")
def made_an_inner_function(text: str) -> str:
    head, _, test = text.partition("\n\n")
    return f"{head}\n\ndef outer():\n" + "".join(f"    {line}\n" for line in test.splitlines())


@lost("kernels")
def hidden_by_a_later_function_of_its_name(text: str) -> str:
    return f"{text}\n\ndef test_kernels():\n    pass\n"


@lost("layers")
def file_skipped_on_a_condition(text: str) -> str:
    return text.replace("import pytest\n", "import pytest\npytest.skip('not here', allow_module_level=True)\n")


@lost("batch")
def made_a_function_without_a_name(text: str) -> str:
    return "import pytest\n\ntest_batch = lambda cell: None\n"


@lost("concurrent")
def file_that_defines_no_test(text: str) -> str:
    return "import pytest\n"


@lost("threads")
def deleted_by_its_own_file(text: str) -> str:
    return text + "\ndel test_threads\n"


@lost("native_concurrent")
def said_to_be_no_test(text: str) -> str:
    return text + "\ntest_native_concurrent.__test__ = False\n"


OTHER_PLUGIN = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "preprocessing" not in item.nodeid]
"""


def names_of(claim: str, rows: Sequence[str]) -> set[str]:
    """Return those of the names that are rows of the claim, or the claim itself."""
    return {name for name in rows if name.partition("[")[0] == claim}
