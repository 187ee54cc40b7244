"""What an observation comes to when the code that it runs raises: an outcome that says so, and never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.files.errors import MachineError
from vitgate.observe.environment import environment
from vitgate.observe.inputs import image_processor
from vitgate.observe.observer import LocalObserver
from vitgate.observe.outputs import outputs
from vitgate.spec import cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence, NO_TOOLS
from vitgate.spec.run_config import RunConfig

CELL = CellId("digits", "fbgemm", "lite")


def raising(error: Exception) -> Callable[..., Evidence]:
    def make(*_: object) -> Evidence:
        raise error

    return make


@pytest.fixture
def observer(plan: Callable[..., RunConfig], tmp_path: Path) -> Callable[[Exception], LocalObserver]:
    def call(error: Exception) -> LocalObserver:
        config = plan(session=str(tmp_path), artifact_cache=str(tmp_path / "artifacts"))
        return LocalObserver(config, instead={"outputs": raising(error), "environment": raising(error)})

    return call


def test_exception_of_model_is_reported_with_its_stage(observer: Callable[[Exception], LocalObserver]) -> None:
    outcome = observer(AttributeError("'tuple' object has no attribute 'numpy'")).get(outputs, CELL).outcome

    assert outcome is not None
    assert (outcome.kind, outcome.at, outcome.error) == ("failed at", "run", "AttributeError")
    assert outcome.message == "'tuple' object has no attribute 'numpy'"


def test_exception_of_shared_observation_gives_one_line_error(observer: Callable[[Exception], LocalObserver]) -> None:
    with pytest.raises(MachineError, match="environment cannot be observed: ZeroDivisionError: division by zero"):
        observer(ZeroDivisionError("division by zero")).get(environment)


@pytest.mark.parametrize("error", [MemoryError(), MachineError("no room", do="make room")])
def test_machine_error_is_not_recorded_as_outcome(
    error: Exception, observer: Callable[[Exception], LocalObserver]
) -> None:
    with pytest.raises(type(error)):
        observer(error).get(outputs, CELL)


def test_image_processors_are_unsupported_without_transformers(
    observer: Callable[[Exception], LocalObserver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "find_spec", lambda name: None)
    outcome = observer(AssertionError("no picture is read")).get(image_processor, "vit_base_hf").outcome

    assert outcome is not None
    assert (outcome.kind, outcome.error) == ("unsupported", NO_TOOLS)
    assert "transformers is not installed" in outcome.message
