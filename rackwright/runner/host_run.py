"""One host's part of a run: first prepared, then executed, with a step for each operation."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pyinfra.api.config import Config
from pyinfra.api.host import Host
from pyinfra.api.operation import OperationMeta
from pyinfra.api.operations import run_host_op
from pyinfra.api.state import State, StateOperationHostData, StateStage
from pyinfra.connectors.util import CommandOutput

from rackwright.errors import HostError, RackwrightError
from rackwright.run import Outcome, Step
from rackwright.runner.connector import LINK, Link, OneHost
from rackwright.runner.prediction import predict
from rackwright.runner.progress import Listener, Progress
from rackwright.runner.pyinfra_state import current

_LAST_LINES = 10
# Only root may write here, because built-in operations create files with predictable names in it.
_TEMPORARY = "/root"

log = logging.getLogger("rackwright.runner")


class _State(State):
    """Records the role of each operation, because pyinfra only makes it part of the operation's name."""

    def __init__(self, inventory: OneHost) -> None:
        self.deploys: dict[str, str] = {}
        super().__init__(inventory, Config(TEMP_DIR=_TEMPORARY, PARALLEL=1))  # type: ignore[no-untyped-call]

    def set_op_data_for_host(self, host: Host, op_hash: str, op_data: StateOperationHostData) -> None:
        self.deploys[op_hash] = host.current_deploy_name or ""
        super().set_op_data_for_host(host, op_hash, op_data)


@dataclass
class _Operation:
    key: str
    step: Step
    changes: bool


class HostRun:
    """Prepares a deploy on one host, given an open link to it and its spec, and then executes it."""

    def __init__(self, link: Link, spec: object, listener: Listener | None, *, only: tuple[str, ...] = ()) -> None:
        name = link.connection.name
        inventory = OneHost(([name], {}))  # type: ignore[no-untyped-call]
        inventory.host_data[name] = {"spec": spec}
        self._state = _State(inventory)
        self._host = inventory.get_host(name)
        self._host.connector_data[LINK] = link
        self._link = link
        self._listener = listener
        self._only = only
        self._operations: list[_Operation] = []
        self._failure: Step | None = None
        self.unreachable: str | None = None
        self.interrupted = False

    @property
    def steps(self) -> tuple[Step, ...]:
        ends = (self._failure,) if self._failure else ()
        return (*(operation.step for operation in self._operations), *ends)

    @property
    def prepared(self) -> bool:
        """Return whether the deploy was read to its end."""
        return self.unreachable is None and self._failure is None

    @property
    def changes(self) -> bool:
        """Return whether anything would change."""
        return any(operation.changes for operation in self._operations)

    def prepare(self, deploy: Callable[[], object], connect: Callable[[], None]) -> None:
        """Compare the deploy with the host. After this call, `steps` contains what would change, or what failed.

        `connect` raises HostError if the host is unreachable.
        """
        try:
            connect()
        except HostError as error:
            self.unreachable = error.problems[0].line()
            return
        self._state.set_stage(StateStage.Connect)
        self._host.connected = True
        self._state.activate_host(self._host)
        self._state.set_stage(StateStage.Prepare)
        with current(self._state, self._host):
            try:
                deploy()
            except Exception as error:
                self._failure = self._failed_to_prepare(error)
            self._operations = [self._planned(key, changes) for key, changes in self._predicted().items()]

    def execute(self, stopped: Callable[[], bool]) -> None:
        """Run the operations in order until one fails or `stopped` returns True. `steps` contains the results."""
        self._state.set_stage(StateStage.Execute)
        self._state.is_executing = True
        self._link.live = True
        goes_on, touched = True, False
        with current(self._state, self._host):
            for number, operation in enumerate(self._operations, 1):
                if goes_on and stopped():
                    self.interrupted, goes_on = True, False
                if not goes_on:
                    operation.step = replace(operation.step, outcome=Outcome.NOT_RUN)
                elif operation.step.outcome is Outcome.SKIPPED or (not touched and not operation.changes):
                    # Its role was not selected, or the plan found it satisfied and nothing has changed since.
                    self._meta(operation).set_complete(True, [], CommandOutput([]))
                else:
                    touched = True
                    goes_on = self._run(operation, number)

    def _until_next_change(self, place: int) -> Iterator[str]:
        """Yield the operations after the one at `place` whose answers it doesn't make stale."""
        for at, operation in enumerate(self._operations[place:]):
            if at:
                yield operation.key
            if operation.changes:
                return

    def withhold(self) -> None:
        """Mark the operations that would change something as not run."""
        for operation in self._operations:
            if operation.changes:
                operation.step = replace(operation.step, outcome=Outcome.NOT_RUN)

    def _run(self, operation: _Operation, number: int) -> bool:
        started = time.monotonic()
        self._report(operation, number)
        self._host.connector_data.get("notes", {}).pop(operation.key, None)
        self._link.failed_lines = ()
        self._link.on_bytes = lambda sent, total: self._report(operation, number, sent=sent, total=total)
        error: Exception | None = None
        try:
            self._link.prefetch.begin(operation.key, self._until_next_change(number - 1))
            goes_on = run_host_op(self._state, self._host, operation.key)
        except Exception as raised:
            # Uncaught, it would end the run on every host.
            error, goes_on = raised, False
        operation.step = replace(
            operation.step,
            outcome=self._outcome(operation, goes_on),
            seconds=round(time.monotonic() - started, 3),
            diff=self._diff(operation.key) or operation.step.diff,
            output=() if goes_on and self._meta(operation).did_succeed() else self._last_lines(operation, error),
            note=self._note(operation.key),
        )
        if operation.step.outcome is Outcome.UNCHANGED:
            operation.step = replace(operation.step, diff=None)
        self._report(operation, number, step=operation.step)
        return goes_on

    def _outcome(self, operation: _Operation, goes_on: bool) -> Outcome:
        if not goes_on:
            return Outcome.FAILED
        meta = self._meta(operation)
        if not meta.did_succeed():
            # Its author has set that its errors are ignored.
            return Outcome.SKIPPED
        return Outcome.CHANGED if meta.did_change() else Outcome.UNCHANGED

    def _last_lines(self, operation: _Operation, error: Exception | None) -> tuple[str, ...]:
        if error:
            return _explained(error)
        printed = self._meta(operation)._combined_output
        lines = tuple(line for line in printed.output_lines if line.strip()) if printed else ()
        return (lines or self._link.failed_lines)[-_LAST_LINES:]

    def _meta(self, operation: _Operation) -> OperationMeta:
        return self._state.ops[self._host][operation.key].operation_meta

    def _diff(self, key: str) -> str | None:
        diff: str | None = self._host.connector_data.get("diffs", {}).get(key)
        return diff

    def _note(self, key: str) -> str | None:
        text: str | None = self._host.connector_data.get("notes", {}).get(key)
        return text

    def _predicted(self) -> dict[str, bool]:
        return predict(self._state, self._host)

    def _planned(self, key: str, changes: bool) -> _Operation:
        role, name = self._named(key)
        if self._only and role not in self._only:
            return _Operation(key, Step(self._host.name, role, name, Outcome.SKIPPED), changes=False)
        outcome = Outcome.WOULD_CHANGE if changes else Outcome.UNCHANGED
        diff = self._diff(key) if changes else None
        step = Step(self._host.name, role, name, outcome, diff=diff, note=self._note(key))
        return _Operation(key, step, changes)

    def _named(self, key: str) -> tuple[str, str]:
        """Return the innermost role around the operation, and the operation's name without it."""
        (name, *_) = self._state.op_meta[key].names
        deploy = self._state.deploys.get(key, name.rpartition(" | ")[0])
        roles = [part for part in deploy.split(" | ") if part]
        return roles[-1] if roles else "", name.removeprefix(f"{deploy} | ")

    def _failed_to_prepare(self, error: Exception) -> Step:
        """Return a failed step for the operation that pyinfra has numbered but not finished."""
        open_ones = [key for key in self._host.op_hash_order if key not in self._state.ops[self._host]]
        role, name = self._named(open_ones[-1]) if open_ones else ("", "prepare")
        lines = self._link.failed_lines if "No hosts remaining" in str(error) else ()
        return Step(self._host.name, role, name, Outcome.FAILED, output=lines or _explained(error))

    def _report(
        self, operation: _Operation, number: int, *, step: Step | None = None, sent: int = 0, total: int = 0
    ) -> None:
        if self._listener:
            role, name = operation.step.role, operation.step.operation
            self._listener(Progress(self._host.name, role, name, number, len(self._operations), step, sent, total))


def _explained(error: Exception) -> tuple[str, ...]:
    if isinstance(error, HostError):
        return tuple(str(replace(error.problems[0], where="")).splitlines())
    if isinstance(error, RackwrightError):
        return tuple(str(error).splitlines())
    log.debug("an operation raised", exc_info=error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return (f"{type(error).__name__}: {error}{where}",)
