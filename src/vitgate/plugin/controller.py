"""The one process that sees every report: header, record, table, the sentence at the end, and the exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitgate.compare.pairing import rank
from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.files.locks import MachineLock
from vitgate.files.outputs import write_text
from vitgate.observe.environment import environment
from vitgate.observe.remote import RemoteObserver
from vitgate.observe.store import Store
from vitgate.plugin.expected_failures import ends_run, ROW
from vitgate.plugin.options import INTERRUPTED, place_of
from vitgate.records.assemble import assemble
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.report import github, junit
from vitgate.report.field_export import export
from vitgate.report.picture_accuracy import write_list
from vitgate.report.terminal import render
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import EVERY_ENGINE
from vitgate.spec.run_config import RunConfig
from vitgate.spec.versions import packages

_STATUS = {
    **{error.__name__: error.exit_status for error in (UsageError, MachineError)},
    KeyboardInterrupt.__name__: int(pytest.ExitCode.INTERRUPTED),
}

_NOTHING_EXPORTED = "no file was built and run; a run narrowed to --claim=build and --claim=label makes some"


class Controller:
    """Collects the rows of a run. Under xdist it lives in the controller, otherwise in the only process."""

    def __init__(self, config: pytest.Config, plan: RunConfig, notes: list[str]) -> None:
        """Start with no rows.

        Args:
            config: pytest's, of the process that makes the report.
            plan: What the run is asked.
            notes: The header's lines about the inputs.
        """
        self._config, self._plan, self._notes = config, plan, notes
        self._rows: dict[str, ClaimRow] = {}
        self._properties: dict[str, list[tuple[str, object]]] = {}
        self._record: Record | None = None
        self._stopped = ""
        self._stopped_by = ""
        self._unusable: tuple[str, ...] = ()
        self._written = {"record": "not written"}

    @property
    def record(self) -> Record | None:
        """The record that the run has written; None before its end, and where it was stopped."""
        return None if self._stopped_by else self._record

    def pytest_sessionstart(self) -> None:
        """Describe the run in the XML that pytest writes, if it does."""
        junit.describe_suite(self._config, self._plan)

    def pytest_report_header(self) -> list[str]:
        """Say what is tested."""
        plan, versions = self._plan, packages()
        return [
            f"vitgate {versions.get('vitgate', '?')}: torch {versions.get('torch', 'missing')}, "
            f"torchvision {versions.get('torchvision', 'missing')}, timm {versions.get('timm', 'missing')}",
            f"cases: {', '.join(plan.cases)}; engines: {', '.join(plan.engines)}",
            *self._notes,
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the row of each claim, a claim of each name once; the last report of a test gets its properties."""
        if report.when == "teardown":
            report.user_properties += self._properties.pop(report.nodeid, [])
        if ROW not in report.__dict__:
            return
        row = ClaimRow.model_validate_json(report.__dict__[ROW])
        self._properties[report.nodeid] = junit.properties(row)
        self._rows[row.name] = _one_row(self._rows.get(row.name, row), row)
        if ends_run(row, self._plan) and not self._stopped_by:
            self._stop(row)

    def _stop(self, row: ClaimRow) -> None:
        """End the run: what stands in one check's way stands in all others' too."""
        self._stopped, self._stopped_by = row.message, row.error
        for name in ("session", "dsession"):  # pytest's own loop, and xdist's in the controller
            plugin = self._config.pluginmanager.getplugin(name)
            if plugin is not None:
                plugin.shouldstop = row.message

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Leave an earlier record as it is: half a run says less. What ends a run at a failure is a subclass."""
        if excinfo.type is KeyboardInterrupt and not self._stopped_by:
            self._stopped, self._stopped_by = INTERRUPTED, excinfo.type.__name__

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the record; an impossible run ends with the status of its reason.

        Last of all plugins: syrupy adds its own bits to the exit status.
        """
        if not self._rows and not self._is_empty_part(session):
            return
        if self._plan.shard and not self._stopped_by:
            self._see_environment()
        if self._stopped_by:
            session.exitstatus = _STATUS.get(self._stopped_by, 1)
            return
        store = Store(Path(self._plan.session) / "evidence")
        rows = sorted(self._rows.values(), key=_place)
        self._record = assemble(self._plan, store, rows, narrowed=self._narrowed())
        path = place_of(self._config, self._plan.record)
        try:
            self._record.write(path)
            self._written["record"] = self._plan.record
            if self._plan.images:
                self._written["changed labels"] = str(write_list(self._plan, store, path))
            self._export(store)
            self._write_page()
        except VitgateError as error:
            self._stopped, self._stopped_by = str(error), type(error).__name__
            session.exitstatus = error.exit_status
            return
        if not self._rows:
            session.exitstatus = pytest.ExitCode.OK
        self._unusable = tuple(dict.fromkeys(row.message for row in rows if row.status == "environment error"))
        if self._unusable:
            session.exitstatus = UsageError.exit_status
        red = self._record.missing or any(row.status == "failed" for row in rows)
        if red and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_empty_part(self, session: pytest.Session) -> bool:
        """Whether nothing was left to this part of a run that was split up: no mistake, and its record says so."""
        ended = session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        return bool(self._plan.shard) and ended and not self._config.option.collectonly and not self._selected()

    def _see_environment(self) -> None:
        """Observe the environment even if no test has: parts are merged only where theirs are the same."""
        folder = Path(self._plan.session)
        observer = RemoteObserver(self._plan, MachineLock(folder))
        try:
            observer.get(environment)
        except (UsageError, MachineError) as error:
            self._stopped, self._stopped_by = str(error), type(error).__name__
        finally:
            observer.close()

    def _export(self, store: Store) -> None:
        if self._plan.export:
            place = place_of(self._config, self._plan.export)
            files = export(self._plan, store, place, packed=self._plan.export_packed)
            self._written["export"] = f"{place}, {files} files" if files else _NOTHING_EXPORTED

    def _write_page(self) -> None:
        if (name := self._plan.report) and self._record is not None:
            from vitgate.report.page.html import render as render_page  # with matplotlib, for this alone

            records = (self._record,)
            write_text(str(place_of(self._config, name)), lambda: render_page(records), "--report")
            self._written["report"] = name

    def _narrowed(self) -> bool:
        return bool(self._plan.claim) or self._selected()

    def _selected(self) -> bool:
        """Whether pytest's own options or paths choose among the tests."""
        option = self._config.getoption
        paths = [argument for argument in self._config.args if "::" in argument or argument.endswith(".py")]
        chosen = option("keyword") or option("markexpr") or option("deselect") or option("lf", False)
        return bool(chosen or paths)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table of each case and engine, then the answer in words."""
        if self._record is not None:  # even where it could not be written: the run may have taken half an hour
            for line in github.of_record(self._record) if github.wanted() else ():
                terminalreporter.write_line(line)
            render(self._record, terminalreporter, self._written)
        for line in (self._stopped,) if self._stopped_by else self._unusable:
            terminalreporter.write_line(f"ERROR: {line}", red=True, bold=True)


def _one_row(kept: ClaimRow, row: ClaimRow) -> ClaimRow:
    """Return the row of a claim that was checked again: the worse one, for a claim that holds at times does not hold.

    Two tests of one claim and subject are a mistake: one of them would hide the other.
    """
    if kept.test != row.test:
        message = f"two tests check it: {kept.test} and {row.test}; remove one"
        fields = {
            "status": "failed",
            "outcome": "failed",
            "at": "",
            "error": "DuplicateTest",
            "deviation": "",
            "findings": (),
        }
        return row.model_copy(update={**fields, "findings": (), "message": message})
    return max(row, kept, key=rank)


def _place(row: ClaimRow) -> tuple[int, str, int, str]:
    claims = list(read_claims())
    engine = EVERY_ENGINE.index(row.engine) if row.engine in EVERY_ENGINE else -1  # type: ignore[arg-type]  # just checked
    return claims.index(row.claim), row.case, engine, row.subject
