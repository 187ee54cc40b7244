"""The options of a run, checked once and handed to the workers as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.inputs.run_options import expected_claims, make_run_config
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.engines import ENGINES
from vitgate.spec.options import RunRequest
from vitgate.spec.run_config import RunConfig

from ..conftest import Refuses


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., RunConfig]:
    def make(**options: Any) -> RunConfig:
        return make_run_config(RunRequest.of(options), tmp_path / "session")

    return make


def test_without_options_a_run_is_about_the_default_cases_and_every_engine(
    made: Callable[..., RunConfig], tmp_path: Path
) -> None:
    plan = made()

    assert (plan.cases, plan.engines, plan.explicit_engines) == (("deit_base", "digits"), ENGINES, False)
    assert Path(plan.artifacts) == tmp_path / "session" / "artifacts"


def test_all_stands_for_every_case(made: Callable[..., RunConfig]) -> None:
    assert made(case=["digits", "all"]).cases == ("digits", *(case for case in read_cases() if case != "digits"))


def test_named_cases_and_engines_are_taken_once_each(made: Callable[..., RunConfig]) -> None:
    plan = made(case=["digits", "digits"], engine=["x86", "qnnpack", "x86"])

    assert (plan.cases, plan.engines, plan.explicit_engines) == (("digits",), ("x86", "qnnpack"), True)


def test_a_plan_survives_the_way_to_a_worker(made: Callable[..., RunConfig], tmp_path: Path) -> None:
    plan = made(case=["digits"], engine=["x86"], assets=str(tmp_path), artifact_cache="kept")

    assert RunConfig.from_json(plan.to_json()) == plan


def test_paths_are_absolute_so_that_workers_agree_on_them(
    made: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.pth").touch()

    plan = made(weights="w.pth", assets=".", artifact_cache="kept")

    expected = [str(path) for path in (tmp_path / "w.pth", tmp_path, tmp_path / "kept")]
    assert [plan.weights, plan.assets, plan.artifacts] == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"case": ["digit"]}, ["--case", "'digit'"]),
        ({"engine": ["qnn"]}, ["--engine", "'qnn'"]),
        ({"weights": "standing"}, ["--weights", "'standing'", "auto, pretrained, hub, standin"]),
        ({"weights": "."}, ["--weights"]),
        ({"assets": "no/such/folder"}, ["no/such/folder", "--assets"]),
    ],
    ids=["case", "engine", "weights", "weights-folder", "assets"],
)
def test_an_option_that_cannot_be_is_one_line(
    options: dict[str, Any], words: list[str], made: Callable[..., RunConfig], refuses: Refuses
) -> None:
    refuses(lambda: made(**options), *words)


@pytest.mark.parametrize(("types", "there"), [(False, ["exported"]), (True, ["exported", "exported_bf16"])])
def test_further_number_types_are_checked_only_on_request(
    types: bool,  # parametrized
    there: list[str],
    made: Callable[..., RunConfig],
) -> None:
    plan = made(successors=True, types=types)
    cells = [CellId("digits", "none", name) for name in ("exported", "exported_bf16")]
    expected = expected_claims(plan.cases, plan.engines, left_out=plan.left_out())

    assert [cell.variant for cell in cells if plan.selects(cell)] == there
    assert [cell.variant for cell in cells if f"build[{cell}]" in expected] == there


def test_types_give_the_successors(made: Callable[..., RunConfig]) -> None:
    assert "none" in made(types=True).engines


def test_row_of_a_number_type_takes_its_option(made: Callable[..., RunConfig], refuses: Refuses) -> None:
    row = "build[digits-none-onnx_static]"

    refuses(lambda: made(claim=[row]), "the options leave", row, "give --types too")
    assert made(claim=[row], types=True).claim == (row,)


def test_a_plan_selects_the_cells_of_its_cases_and_engines(plan: Callable[..., RunConfig]) -> None:
    cells = [CellId(case, engine, "lite") for case in ("digits", "deit_base") for engine in ("qnnpack", "x86")]

    assert [str(cell) for cell in cells if plan().selects(cell)] == ["digits-qnnpack-lite"]


@pytest.mark.parametrize(
    ("case", "options", "request_"),
    [
        ("deit_base", {"weights": "standin"}, "standin"),
        ("deit_base", {"weights": "/w.pth", "cases": ("deit_base", "digits")}, "/w.pth"),
        ("digits", {"weights": "standin"}, "trained"),
        ("digits", {"weights": "auto"}, "trained"),
        ("digits", {"weights": "/w.pth", "cases": ("deit_base", "digits")}, "trained"),
        ("digits", {"weights": "/w.pth", "cases": ("digits",)}, "/w.pth"),
    ],
    ids=["word", "file", "trained-word", "trained-auto", "trained-beside-others", "file-for-the-only-case"],
)
def test_committed_weights_are_used_unless_a_file_is_named_for_that_case_alone(
    case: str, options: dict[str, Any], request_: str, plan: Callable[..., RunConfig]
) -> None:
    assert plan(**options).request_for(case) == request_


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """Return a folder of one labelled picture, of which only the name is looked at."""
    (tmp_path / "pictures" / "3").mkdir(parents=True)
    (tmp_path / "pictures" / "3" / "a.png").touch()
    return str(tmp_path / "pictures")


def test_pictures_are_for_the_cases_that_take_files(made: Callable[..., RunConfig], pictures: str) -> None:
    plan = made(images=pictures, images_accuracy=0.8)

    assert (plan.images, plan.images_accuracy) == (pictures, 0.8)
    assert [case.id for case in plan.cases_of_files()] == ["deit_base"]
    assert RunConfig.from_json(plan.to_json()) == plan


def test_pictures_are_an_absolute_path(
    made: Callable[..., RunConfig], pictures: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert made(images="pictures").images == pictures


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"images": "nowhere"}, ("cannot read this folder of pictures", "nowhere", "--images")),
        ({"case": ["digits"], "images": "."}, ("no case of this run takes pictures of files: digits", "--images")),
        ({"images_accuracy": 0.8}, ("--images-accuracy without --images",)),
        ({"claim": ["images"]}, ("the options leave images out", "--claim", "give --images too")),
        ({"claim": ["memory"]}, ("the options leave memory out", "--claim", "give --memory too")),
        ({"claim": ["processors"]}, ("the options leave processors out", "--claim", "give --processors too")),
        (
            {"claim": ["latency"], "no_latency": True},
            ("the options leave latency out", "leave --no-latency and --processor out"),
        ),
        ({"processors": "some"}, ("unknown word 'some'", "--processors", "give all or valgrind")),
        ({"ships_to": "z80"}, ("unknown processor 'z80'", "--ships-to", "choose from host")),
        ({"processor": "z80"}, ("unknown processor 'z80'", "--processor", "choose from host")),
        (
            {"claim": ["calls"], "engine": ["none"]},
            ("the options leave calls out", "name one of its engines too: --engine fbgemm or x86 or onednn or qnnpack"),
        ),
        (
            {"claim": ["native_concurrent"], "engine": ["onednn"], "case": ["digits"]},
            (
                "--case and --engine leave native_concurrent out",
                "--claim",
                "choose from its engines (fbgemm, x86, qnnpack) and cases (",
            ),
        ),
        (
            {"claim": ["label[digits-qnnpack-lite]"], "engine": ["fbgemm"], "case": ["digits"]},
            ("--case and --engine leave label[digits-qnnpack-lite] out",),
        ),
        ({"claim": ["images[deit_tiny-x86-lite]"]}, ("the options leave images[deit_tiny-x86-lite] out",)),
    ],
    ids=lambda value: str(value)[:50],
)
def test_options_that_cannot_be_are_one_line(
    made: Callable[..., RunConfig], refuses: Refuses, options: dict[str, Any], words: tuple[str, ...]
) -> None:
    refuses(lambda: made(**options), *words)


@pytest.mark.parametrize("share", [-0.1, 81.0, float("nan")])
def test_an_accuracy_is_a_share(made: Callable[..., RunConfig], refuses: Refuses, pictures: str, share: float) -> None:
    refuses(lambda: made(images=pictures, images_accuracy=share), "--images-accuracy", "give 0 to 1")
