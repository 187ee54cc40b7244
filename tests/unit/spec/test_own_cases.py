"""A user's own file of cases: what it may say, which functions it names, and whose tolerances decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.sources import weights_source
from vitgate.judge.tolerances import read_tolerances
from vitgate.spec import cases
from vitgate.spec.cases import default_cases, name_own, OwnCase, read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.claims import read_claims
from vitgate.spec.options import OWN
from vitgate.spec.outcome import Finding

from ..conftest import Refuses

Write = Callable[..., Path]
CASE = {
    "id": '"mine"',
    "title": '"mine"',
    "build": '"mine:build"',
    "input": "[3, 8, 8]",
    "files": '"mine"',
    "picture": '[{ file = "a.png", label = 1 }]',
}
RATIO = """
[[tolerance]]
id = "mine.ratio"
claim = "size"
statistic = "size_ratio"
unit = "1"
against = "parent"
upper = 3.0
reason = "It is small."
measured = "here"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return a function that writes a file of cases and names it."""
    monkeypatch.setenv(OWN, "")

    def write(more: str = "", **fields: str) -> Path:
        path = tmp_path / "cases.toml"
        rows = "".join(f"{key} = {value}\n" for key, value in {**CASE, **fields}.items() if value)
        path.write_text(f"[[case]]\n{rows}{more}", encoding="utf-8")
        name_own([str(path)])
        return path

    yield write
    for cached in (cases.read_own, cases._all):
        cached.cache_clear()


def mine() -> OwnCase:
    found = read_cases()["mine"]
    assert isinstance(found, OwnCase)
    return found


def test_user_case_is_added_and_runs_by_default(own: Write) -> None:
    path = own()

    assert [*read_cases()][-1] == "mine" == default_cases()[-1]
    assert mine().folder == path.parent


def test_without_a_file_the_cases_are_the_committed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN, "")

    assert read_cases() == read_cases(fixtures_folder() / "cases.toml")


def test_output_says_where_the_logits_are(own: Write) -> None:
    own(output='"dict:logits"')

    assert mine().returns.key == "logits"


@pytest.mark.parametrize(
    ("output", "picture"),
    [
        ("embedding", '{ file = "a.png" }'),
        ("embedding", '{ file = "a.png", label = 3 }'),
        ("multilabel", '{ file = "a.png", labels = [] }'),
        ("multilabel", '{ file = "a.png", label = 3 }'),
    ],
)
def test_output_without_one_label_takes_no_part_in_images(own: Write, output: str, picture: str) -> None:
    own(output=f'"{output}"', picture=f"[{picture}]")

    assert mine().returns.kind == output
    assert mine().reads_files is None
    claimed = {claim.id for claim in read_claims().values() for cell in claim.cells() if cell.case == "mine"}
    assert "images" not in claimed
    assert {"label", "logits_original"} <= claimed


def test_claims_need_the_fields_of_the_case(own: Write) -> None:
    own(parameters="5")

    claimed = {claim.id for claim in read_claims().values() for cell in claim.cells() if cell.case == "mine"}

    assert {"anchor", "accuracy", "table"} & claimed == set()
    assert {"build", "label", "size", "latency", "parameters"} <= claimed


@pytest.mark.parametrize(("fields", "made"), [({}, False), ({"batch": "[1, 8]"}, True)])
def test_claims_of_a_server_need_its_batches(own: Write, fields: dict[str, str], made: bool) -> None:
    own(**fields)

    claimed = {claim.id for claim in read_claims().values() for cell in claim.cells() if cell.case == "mine"}

    assert [name in claimed for name in ("batch", "concurrent")] == [made, made]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batch": "[1]"}, "case.0.batch"),
        ({"batch": "[]"}, "case.0.batch"),
        ({"batch": "[8, 8]"}, "case.0.batch"),
        ({"batch": "[0, 8]"}, "case.0.batch.0"),
        ({"build": '"mine.build"'}, "case.0.build"),
        ({"build": '"os;system:x"'}, "case.0.build"),
        ({"picture": "[]"}, "case.0.picture"),
        ({"picture": '[{ file = "../a.png", label = 1 }]'}, "case.0.picture.0.file"),
        ({"picture": '[{ file = "a.png", label = -1 }]'}, "case.0.picture.0.label"),
        ({"weights": '"/etc/passwd"'}, "case.0.weights"),
        ({"standin": '"a.toml"'}, "standin"),
        ({"model": '"hf-hub:somebody/model"'}, "model"),
        ({"id": '"digits"'}, "'digits'"),
        ({"input": "[3, -1, -1]"}, "[3, -1, -1] is not the size of one picture: give channels, height, width"),
        ({"input": "[1, 3, 8, 8]"}, "[1, 3, 8, 8] is not the size of one picture"),
        ({"input": "[[3, 8, 8], [16]]"}, "one of several inputs a wrapper"),
        ({"input": '"any"'}, "a model that takes several sizes needs a case for each"),
        ({"output": '"logit"'}, "output 'logit' is unknown: choose from logits, "),
        ({"output": '"tuple:-1"'}, "output 'tuple:-1' is unknown"),
        ({"picture": '[{ file = "a.png" }]'}, 'a.png has no label: give label, or output = "embedding"'),
        ({"picture": '[{ file = "a.png", labels = [1] }]'}, 'labels, which are for output = "multilabel": give label'),
        (
            {"output": '"multilabel"', "picture": '[{ file = "a.png" }]'},
            "a.png has no label: give labels, or label",
        ),
        (
            {"output": '"multilabel"', "picture": '[{ file = "a.png", label = 1, labels = [1, 2] }]'},
            "a.png has label and labels: give all of them as labels, or one as label",
        ),
        ({"output": '"multilabel"', "picture": '[{ file = "a.png", labels = [-1] }]'}, "case.0.picture.0.labels.0"),
    ],
)
def test_invalid_file_gives_one_line_error(own: Write, refuses: Refuses, fields: dict[str, str], words: str) -> None:
    refuses(lambda: own(**fields), words)


def test_missing_file_gives_one_line_error(refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN, "")
    refuses(lambda: name_own(["/nowhere/cases.toml"]), "/nowhere/cases.toml")


# Tolerances


def ratio(cell: CellId) -> str:
    finding = Finding("size_ratio", 1.0, "1", against="parent")
    return read_tolerances().find("size", finding, cell, "own", "x86_64").id


def test_user_tolerance_decides_for_user_case(own: Write) -> None:
    own(RATIO)

    assert ratio(CellId("mine", "qnnpack", "optimized")) == "mine.ratio"


def test_unjudged_number_without_user_tolerance_stays_unjudged(own: Write) -> None:
    own()
    shown = Finding("size_ratio", 9.0, "1", against="parent", judged=False)
    place = CellId("mine", "qnnpack", "optimized")

    assert read_tolerances().bounded("size", shown, place, "own", "") == shown


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("upper = 3.0", ""), "bounds nothing"),
        (('reason = "It is small."', 'reason = " "'), "no reason"),
        (('claim = "size"', 'claim = "sizes"'), "'sizes'"),
        (('claim = "size"', 'claim = "size"\ncases = ["deit_base"]'), "case 'deit_base' does not exist"),
        (('id = "mine.ratio"', 'id = "size.copies"'), "duplicate name"),
    ],
)
def test_invalid_tolerance_gives_one_line_error(
    own: Write, refuses: Refuses, change: tuple[str, str], words: str
) -> None:
    own(RATIO.replace(*change))
    refuses(read_tolerances, words)


# The functions


def with_function(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (path.parent / "mine.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)


MODULE = """
from torch import nn
class Net(nn.Module):
    def forward({}): return x
build = Net
"""


@pytest.mark.parametrize("parameters", ["self, x", "self, x, mask=None", "self, *inputs", "self, x, **rest"])
def test_module_that_takes_the_picture_alone_is_built(
    own: Write, monkeypatch: pytest.MonkeyPatch, parameters: str
) -> None:
    nn = pytest.importorskip("torch.nn")
    from vitgate.inputs.user_model import own_model

    with_function(own(), MODULE.format(parameters), monkeypatch)
    assert isinstance(own_model(mine()), nn.Module)


@pytest.mark.refuses("model", "a function without a module, or a module of several inputs: what it takes, what to do")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "AttributeError"),
        ("import no_such_package", "ModuleNotFoundError"),
        ("build = 5", "is a int, no function"),
        ("def build(): raise KeyError('weights')", "raised KeyError: 'weights'"),
        ("def build(): return 5", "returned a int instead of a torch.nn.Module"),
        (MODULE.format("self, x, mask"), "mine:build returned a Net whose forward takes x and mask, not one picture"),
        (MODULE.format("self, x, *, scale"), "whose forward takes x and scale, not one picture"),
        (MODULE.format("self"), "whose forward takes no input, not one picture"),
    ],
)
def test_function_without_model_gives_one_line_error(
    own: Write, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    pytest.importorskip("torch")
    from vitgate.inputs.user_model import own_model

    with_function(own(), text, monkeypatch)
    refuses(lambda: own_model(mine()), "mine:build", words)


def test_user_transform_makes_the_tensor(own: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitgate.inputs.user_model import own_pictures

    path = own(transform='"mine:tensor"')
    (path.parent / "a.png").touch()
    with_function(path, "import numpy\ndef tensor(path): return numpy.full((3, 8, 8), 0.5, 'f4')", monkeypatch)

    found = own_pictures(mine())

    assert (found.shape, found.dtype, float(found.max())) == ((1, 3, 8, 8), np.float32, 0.5)


@pytest.mark.parametrize("array", ["numpy.zeros((3, 8, 9), 'f4')", "numpy.zeros((3, 8, 8))", "None"])
def test_transform_without_tensor_gives_one_line_error(
    own: Write, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, array: str
) -> None:
    from vitgate.inputs.user_model import own_pictures

    path = own(transform='"mine:tensor"')
    (path.parent / "a.png").touch()
    with_function(path, f"import numpy\ndef tensor(path): return {array}", monkeypatch)
    refuses(lambda: own_pictures(mine()), "mine:tensor returned", "not float32 [3, 8, 8]")


def test_tensor_requiring_gradients_is_accepted(own: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from vitgate.inputs.user_model import own_pictures

    path = own(transform='"mine:tensor"')
    (path.parent / "a.png").touch()
    with_function(path, "import torch\ndef tensor(path): return torch.ones(3, 8, 8, requires_grad=True)", monkeypatch)
    assert own_pictures(mine()).shape == (1, 3, 8, 8)


def test_missing_weights_give_one_line_error(own: Write, refuses: Refuses) -> None:
    own(weights='"none.pth"')
    refuses(lambda: weights_source(mine(), "own"), "the weights of mine are not a file", "none.pth")


def test_missing_picture_gives_one_line_error(own: Write, refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitgate.inputs.user_model import own_pictures

    path = own(transform='"mine:tensor"')
    with_function(path, "def tensor(path): pass", monkeypatch)
    refuses(lambda: own_pictures(mine()), "a.png", "no such picture")


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('"size_ratio"', '"size_ration"', "tolerance mine.ratio: statistic 'size_ration' does not exist"),
        ('"parent"', '"scripted"', "tolerance mine.ratio: against 'scripted' does not exist"),
    ],
    ids=["statistic", "against"],
)
def test_bound_of_unknown_statistic_is_refused(
    right: str, wrong: str, words: str, own: Write, refuses: Refuses
) -> None:
    own(RATIO.replace(right, wrong))

    refuses(read_tolerances, words)
