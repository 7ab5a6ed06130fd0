"""Plans and applies a deploy on many hosts at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rackwright.remote import Background, Remote, import_gently
from rackwright.run import Run
from rackwright.runner.progress import Listener
from rackwright.runner.questions import QuestionMemory, Questions
from rackwright.stopping import Stopping

if TYPE_CHECKING:
    from rackwright.runner.host_run import HostRun

QUESTION_SECONDS = 60
OPERATION_SECONDS = 1800
"""For operations that set no `_timeout`."""

Deploy = Callable[[], object]


class Runner:
    """Runs deploys over the connections of a Remote, which stay open for the next run."""

    def __init__(
        self,
        remote: Remote,
        *,
        memory: QuestionMemory | None = None,
        on_step: Listener | None = None,
        question_seconds: float = QUESTION_SECONDS,
        operation_seconds: float = OPERATION_SECONDS,
    ) -> None:
        self._remote = remote
        self._memory = memory
        self._on_step = on_step
        self._question_seconds = question_seconds
        self._operation_seconds = operation_seconds

    def plan(
        self, deploy: Deploy, hosts: Mapping[str, object], *, name: str | None = None, only: tuple[str, ...] = ()
    ) -> Run:
        """Return what the deploy would change on each host, given each host's spec. Change nothing.

        `name` distinguishes deploys that ask different questions; the default is the function's name. `only` names
        roles; the steps of all other roles are skipped.
        """
        return _run(self._prepare(deploy, hosts, name, only))

    def apply(
        self,
        deploy: Deploy,
        hosts: Mapping[str, object],
        *,
        name: str | None = None,
        only: tuple[str, ...] = (),
        stopping: Stopping = lambda: False,
    ) -> Run:
        """Make the deploy's changes on each host and return the result of every operation.

        A host that fails or becomes unreachable doesn't stop the others. Once `stopping` returns True, the running
        operations finish, the rest is not run, and the Run is `interrupted`.
        """
        prepared = self._prepare(deploy, hosts, name, only)
        ready = {host: part for host, part in prepared.items() if part.prepared and part.changes}
        for host, part in prepared.items():
            if host not in ready:
                part.withhold()
        self._remote.each(ready, lambda host: ready[host].execute(stopping))
        return _run(prepared)

    def _prepare(
        self, deploy: Deploy, hosts: Mapping[str, object], name: str | None, only: tuple[str, ...]
    ) -> dict[str, HostRun]:
        title = name or f"{getattr(deploy, '__module__', '')}.{getattr(deploy, '__qualname__', repr(deploy))}"
        questions = {host: self._questions(title, host, spec) for host, spec in hosts.items()}
        asking = {host: Background(of_host.ask_ahead) for host, of_host in questions.items()}
        # The imports take a while; during that time the hosts answer.
        import_gently("rackwright.runner._pyinfra", "pyinfra.api", "rackwright.runner.host_run")
        from rackwright.runner.connector import Link
        from rackwright.runner.host_run import HostRun
        from rackwright.runner.prefetch import Prefetch

        def prepare(host: str) -> HostRun:
            connection, spec = self._remote.connection(host), hosts[host]
            prefetch = Prefetch(connection, self._question_seconds)
            link = Link(connection, questions[host], self._question_seconds, self._operation_seconds, prefetch)
            part = HostRun(link, spec, self._on_step, only=only)
            part.prepare(deploy, connect=asking[host].result)
            if self._memory and part.prepared:
                self._memory.remember(title, host, spec, questions[host].asked)
            return part

        return self._remote.each(hosts, prepare)

    def _questions(self, title: str, host: str, spec: object) -> Questions:
        foreseen = self._memory.recall(title, host, spec) if self._memory else ()
        return Questions(self._remote.connection(host), foreseen)


def _run(parts: Mapping[str, HostRun]) -> Run:
    return Run(
        tuple(step for part in parts.values() for step in part.steps),
        {host: part.unreachable for host, part in parts.items() if part.unreachable is not None},
        interrupted=any(part.interrupted for part in parts.values()),
    )
