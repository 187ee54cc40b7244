"""The pytest plugin: options, fixtures, the order of tests, and the settling of each test's outcome.

The hooks are short and hand over to the modules beside this one. Nothing here imports torch; a worker does so when
its first check needs an observation.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from vitgate.files import outputs
from vitgate.files.errors import MachineError, NO_ROOM, UsageError
from vitgate.files.locks import MachineLock
from vitgate.files.text import some
from vitgate.inputs import field_files
from vitgate.observe.inputs import reference, source
from vitgate.observe.observer import LocalObserver, Observer
from vitgate.observe.remote import start_server
from vitgate.observe.session_directory import apply_settings, SessionDirectory
from vitgate.pipeline.artifact_cache import ArtifactCache
from vitgate.plugin import expected_failures, options, scheduling
from vitgate.plugin.expected_failures import ends_run, ROW
from vitgate.plugin.fixtures import (
    check,
    claim_of,
    field_check,
    MACHINE_LOCK,
    observer,
    PLAN,
    session_check,
)
from vitgate.report.picture_accuracy import check_list
from vitgate.spec.cases import LIBRARY_ADVICE, missing_library, read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.claims import Claim
from vitgate.spec.run_config import RunConfig

__all__ = ["check", "field_check", "observer", "session_check"]  # pytest finds the fixtures here

_FOLDER = pytest.StashKey[SessionDirectory]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check options and data files, make the session's folder, and stop with one line where that cannot be."""
    config.addinivalue_line("markers", "claim(id): the claim of fixtures/claims.toml that this test checks")
    config.addinivalue_line("markers", "alone: runs while no other test of the session runs, on any worker")
    try:
        config.stash[PLAN] = plan = _received_plan(config) or _own_plan(config)
        config.stash[MACHINE_LOCK] = MachineLock(Path(plan.session))
        expected_failures.read_data()
        _leave_package_alone(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    except MachineError as error:
        pytest.exit(f"ERROR: {error}", returncode=error.exit_status)
    except KeyboardInterrupt:
        pytest.exit(f"ERROR: {options.INTERRUPTED}", returncode=pytest.ExitCode.INTERRUPTED)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        do = "free disk space, or name another folder with TMPDIR"
        full = MachineError(f"cannot keep the session's files: {error.strerror}", where=error.filename or "", do=do)
        pytest.exit(f"ERROR: {full}", returncode=full.exit_status)


def _leave_package_alone(config: pytest.Config) -> None:
    """Let pytest write no bytecode of its own beside the tests of an installed package: it would outlive the package.

    Of this plugin's own modules it has written it by now, as of every plugin. The server, a process of its own, keeps
    Python's usual ways, without which each run would compile torch's files.
    """
    if config.rootpath.is_relative_to(Path(__file__).parents[1]):
        sys.dont_write_bytecode = True


def _received_plan(config: pytest.Config) -> RunConfig | None:
    received = getattr(config, "workerinput", {}).get("vitgate")
    return RunConfig.from_json(received) if received else None


def _own_plan(config: pytest.Config) -> RunConfig:
    apply_settings()
    _end_in_order(config)
    folder = config.stash[_FOLDER] = SessionDirectory()
    config.add_cleanup(folder.remove)
    plan, notes = options.plan_from(config, folder.path), [f"weights: {config.getoption('--weights')}"]
    (folder.path / "plan.json").write_text(plan.to_json(), encoding="utf-8")
    if _wants_conformance(config):
        outputs.check_target(str(options.place_of(config, plan.record)), "--record", what="record")
        if plan.images:
            check_list(options.place_of(config, plan.record))
        if plan.report:
            outputs.check_target(str(options.place_of(config, plan.report)), "--report")
        start_server(folder.path, plan.processor)  # its imports take longest, and go on while all else is looked for
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():  # for progress bars
            notes = look_for_inputs(plan)
        ArtifactCache(Path(plan.artifacts)).clear_leftovers()
        if config.option.verbose >= 0:
            _show_progress(config, plan)
    from vitgate.plugin.controller import Controller  # whose report a worker never makes

    config.pluginmanager.register(Controller(config, plan, notes), "vitgate-controller")
    return plan


def _show_progress(config: pytest.Config, plan: RunConfig) -> None:
    """Show on a terminal what the run is busy with."""
    from vitgate.plugin.progress import Progress

    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        progress = Progress.on_terminal(Path(plan.session), lambda: config.get_terminal_writer().width_of_current_line)
    if progress is not None:
        config.pluginmanager.register(progress, "vitgate-progress")
        config.add_cleanup(progress.end)


def _end_in_order(config: pytest.Config) -> None:
    """Let SIGTERM, by which schedulers and CI end a run, do what Ctrl-C does: clean up, and say so in one line."""
    if threading.current_thread() is not threading.main_thread():  # where alone Python sets handlers
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def restore() -> None:
        signal.signal(signal.SIGTERM, before)

    config.add_cleanup(restore)


def look_for_inputs(plan: RunConfig) -> list[str]:
    """Find, and where need be download, weights and pictures of all cases; return what the header says of them."""
    observer = LocalObserver(plan)
    notes = [_inputs_note(observer, case) for case in plan.own_cases()]
    for folder, names in ((folder, field_files.passed_over(Path(folder))) for folder in plan.field):
        if names:
            notes.append(f"{folder}: {len(names)} other files are not looked at: {some(names, 100)}")
    return notes


def _inputs_note(observer: Observer, case: str) -> str:
    if missing := missing_library(read_cases()[case]):
        return f"{case}: left out, since {missing} is not installed: {LIBRARY_ADVICE}"
    notes = (observer.get(each, case).values["note"] for each in (source, reference))
    return f"{case}: {'; '.join(notes)}"


def _wants_conformance(config: pytest.Config) -> bool:
    """Whether the arguments can select conformance tests, so that the imports may begin before the collection."""
    if config.option.collectonly:
        return False
    suite = config.rootpath / "tests" / "conformance"
    paths = [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]
    return any(path == suite or suite in path.parents or path in suite.parents for path in paths)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the plan to an xdist worker; a command to one that has just died is lost, as its death is reported."""
    node.workerinput["vitgate"] = node.config.stash[PLAN].to_json()
    send = node.sendcommand

    def sendcommand(name: str, **kwargs: object) -> None:
        with suppress(OSError):
            send(name, **kwargs)

    node.sendcommand = sendcommand


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of one case and engine on one worker, unless the user chose another distribution."""
    if config.getoption("dist") not in ("load", "loadscope"):
        return None
    config.option.loadscopereorder = False
    return scheduling.CellScheduling(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each conformance test the cells, or the case and engine pairs, of its claim."""
    marker = metafunc.definition.get_closest_marker("claim")
    if marker is None:
        return
    claim = claim_of(marker)
    if "cell" in metafunc.fixturenames:
        plan = metafunc.config.stash[PLAN]
        cells = _cells_of(claim, plan)
        cells = [cell for cell in cells if plan.offers(cell)] or cells  # what is left is deselected by and by
        if claim.id in plan.left_out():
            cells = []
        metafunc.parametrize("cell", cells, ids=[_subject(claim, cell) for cell in cells])
    elif "item" in metafunc.fixturenames:
        plan = metafunc.config.stash[PLAN]
        items = list(field_files.selected(field_items(claim, plan), plan.cases, plan.engines))
        metafunc.parametrize("item", items, ids=[item.row.id for item in items], indirect=False)


def _cells_of(claim: Claim, plan: RunConfig) -> list[CellId]:
    """Return the cells of a claim; where it is about more, one stands for all."""
    if claim.per == "case":
        return [CellId(case, plan.engines[0], "original") for case in claim.case_ids()]
    return claim.cells() if claim.per == "cell" else [group.original for group in claim.groups()]


def _subject(claim: Claim, cell: CellId) -> str:
    if claim.per == "case":
        return cell.case
    return str(cell) if claim.per == "cell" else str(cell.group)


def field_items(claim: Claim, plan: RunConfig) -> list[field_files.FieldItem]:
    """Return the files that a claim about files is made of: the committed ones, or those of the user's folders."""
    return field_files.committed() if claim.id == "field" else field_files.given(plan.field)


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that have the machine alone, as their claims say, so that -m can choose by it."""
    claim = scheduling.claim_of_test(item.nodeid)
    if claim is not None and claim.runs == "alone":
        item.add_marker("alone")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the options exclude, and put the rest into the order of the scopes."""
    plan = config.stash[PLAN]
    chosen = [item for item in items if _is_chosen(item, plan)]
    left_out = [item for item in items if not _is_chosen(item, plan)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = scheduling.ordered(item for item in chosen if not _is_about_nothing(item))


def _is_chosen(item: pytest.Item, plan: RunConfig) -> bool:
    """Whether the run includes this test. One without a claim is in every part of a run, and in none of some claims."""
    cell, marker = scheduling.cell_of(item), item.get_closest_marker("claim")
    if cell is not None and not plan.selects(cell):
        return False
    return plan.checks(marker.args[0], expected_failures.subject_of(item)) if marker else not plan.claim


_SUBJECTS = {"item": field_files.FieldItem, "cell": CellId}


def _is_about_nothing(item: pytest.Item) -> bool:
    """Whether this is what pytest collects in the place of tests of files or pictures where the user named none."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    claimed = item.get_closest_marker("claim") is not None  # other tests may call a parameter as they like
    return claimed and any(name in params and not isinstance(params[name], kind) for name, kind in _SUBJECTS.items())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Share the machine with other tests; one that measures time takes it alone, but only while it samples."""
    measures = item.get_closest_marker("alone") is not None
    with nullcontext() if measures else item.config.stash[MACHINE_LOCK].shared():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn what happened into an outcome, settle it against the declared deviations, and attach its row."""
    report = yield
    marker = item.get_closest_marker("claim")
    if marker is not None and (report.when == "call" or call.excinfo is not None):
        row = expected_failures.settle(item, call, report, claim_of(marker))
        report.__dict__[ROW] = row.model_dump_json()
        if ends_run(row, item.config.stash[PLAN]):  # it stands in the way of this worker's other checks too
            item.session.shouldstop = row.message
    elif call.excinfo is not None:
        expected_failures.shorten(call, report)
    return report
