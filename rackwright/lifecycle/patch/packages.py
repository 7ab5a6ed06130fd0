"""Change the packages of one host so that it can be undone, over a connection that may be lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rackwright.errors import HostError, HostKeyError, Problem
from rackwright.lifecycle.patch.step_problems import problems
from rackwright.package_set import PackageChange
from rackwright.remote import Completed, Connection
from rackwright.remote.answers import read_answer
from rackwright.roles.patch import packages as scripts
from rackwright.roles.patch.packages import PATIENCE, Look, Step
from rackwright.stopping import Stopping

LIMITS = {
    Step.STAGE: 7200,
    Step.KEEP: 3600,
    Step.HOLD_OFF: 900,
    Step.INSTALL: 3600,
    Step.REVERT: 3600,
    Step.LET_GO: 120,
    Step.FINISH: 300,
}
"""Seconds after which a step isn't waited for any longer. It goes on: dpkg isn't killed."""
LOST_SECONDS = 900
"""A host that has been unreachable for this long isn't waited for any longer."""
_FAR = "how far a patch is"
POLL_SECONDS = 1.0
"""Between two tries to reach a host."""


class StepFailed(HostError):
    """The step ended, and what it should have done isn't done. The host stays as the step left it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        first, *rest = problems
        super().__init__(first.what, where=first.where, should=first.should, next=first.next, listed=first.listed)
        self.problems = (first, *rest)
        self.args = ("\n".join(map(str, self.problems)),)


class Unfinished(HostError):
    """The step may still be under way: the host is unreachable, takes too long, or is no longer watched."""


@dataclass(frozen=True)
class KeptPackages:
    """Where the files of the versions before are from."""

    repacked: tuple[str, ...]
    """Packages, as NAME:ARCHITECTURE, whose files were made again from what was installed."""
    none: tuple[str, ...]
    """Packages without a file: they can't be reverted."""


@dataclass(frozen=True)
class HostPackages:
    """The packages that a run changes on one host. Every step may run again, from any controller."""

    shell: Connection
    run: str
    """The run's id."""
    changes: tuple[PackageChange, ...]
    stopping: Stopping = lambda: False
    check: Callable[[], None] = lambda: None
    """Raises LeasedError if this controller may change nothing more. Called before each step: one may take hours."""
    show: Callable[[Look], None] = lambda _: None
    """Gets how far a step is, about every two seconds."""
    patience: int = PATIENCE
    lost_seconds: float = LOST_SECONDS

    def stage(self) -> None:
        """Download the files of exactly these versions and verify them. Nothing is installed.

        Raise StepFailed with all problems if the host can't be patched: files that the archive no longer has, too
        little space, packages on hold, unfinished or at another version than in the plan.
        """
        self._step(Step.STAGE)

    def keep(self) -> KeptPackages:
        """Keep what `revert` needs: the files of the versions before, the marks and the conffiles."""
        kept = tuple(scripts.kept(self._step(Step.KEEP)))
        return KeptPackages(
            tuple(one.what for one in kept if one.found == "repacked"),
            tuple(one.what for one in kept if one.found == "none"),
        )

    def hold_off(self) -> None:
        """Stop apt's timers until `let_go` or `finish`, and wait for an apt that runs.

        Raise StepFailed naming the process that still has dpkg's lock after `patience` seconds.
        """
        self._step(Step.HOLD_OFF)

    def install(self) -> None:
        """Install the staged files, and nothing else: every package has its version of the plan.

        Raise StepFailed with the end of apt's output if not; then `revert` is next.
        """
        self._step(Step.INSTALL)

    def revert(self) -> None:
        """Install the kept files: every package, mark and conffile is as before. Needs no network.

        Raise StepFailed naming the packages that aren't, with the end of apt's output.
        """
        self._step(Step.REVERT)

    def let_go(self) -> None:
        """Start apt's timers again that `hold_off` stopped."""
        self._step(Step.LET_GO)

    def finish(self) -> None:
        """Start apt's timers again. Keep the files of this run and the one before it, and remove older ones."""
        self._step(Step.FINISH)

    def settle(self) -> None:
        """Wait until no step of the run is under way. Raise Unfinished if that takes too long."""
        said = self._patiently(Step.INSTALL, scripts.look_command(self.run, Step.INSTALL))
        # It fails where the run has no folder yet.
        if said.ok:
            self._ended(Step.INSTALL)

    def installed(self) -> bool:
        """Return whether `install` has ended well. Changes nothing."""
        return self._complete(Step.INSTALL)

    def finished(self) -> bool:
        """Return whether `finish` has ended well. Changes nothing."""
        return self._complete(Step.FINISH)

    def _complete(self, step: Step) -> bool:
        said = self.shell.run(scripts.look_command(self.run, step))
        # It fails where the run has no folder yet.
        return said.ok and read_answer(self.shell.name, _FAR, scripts.parse_look, said.stdout).result == "complete"

    def _step(self, step: Step) -> Look:
        """Run the step on the host, or follow it if it runs already, and return how it ended."""
        self.check()
        listing = scripts.listing(self.changes)
        preparing = f"preparing {step} of run {self.run}"
        self.shell.run(scripts.prepare_command(self.run), stdin=listing).check(preparing)
        start = scripts.start_command(self.run, step, self.patience)
        self._patiently(step, start).check(f"starting {step} of run {self.run}")
        look = self._ended(step)
        if look.result != "complete":
            raise self._failure(step, look)
        return look

    def _ended(self, step: Step) -> Look:
        asking = f"how far {step} is"
        while True:
            said = self._patiently(step, scripts.look_command(self.run, step)).check(asking).stdout
            look = read_answer(self.shell.name, asking, scripts.parse_look, said)
            if not look.busy:
                return look
            if look.seconds > LIMITS[step]:
                raise self._unfinished(step, f"has run for {look.seconds} s, should end within {LIMITS[step]} s")
            if self.stopping():
                raise self._unfinished(step, "is no longer watched")
            self.show(look)

    def _patiently(self, step: Step, command: str) -> Completed:
        """Return the command's result. If the connection is lost, wait for the host and run it again."""
        heard = time.monotonic()
        while True:
            try:
                done = self.shell.run(command)
                if not done.killed:
                    return done
                lost = "a signal ended the command"
            except HostKeyError:
                raise
            except HostError as error:
                lost = error.problems[0].what
            time.sleep(POLL_SECONDS)
            if self.stopping() or time.monotonic() - heard > self.lost_seconds:
                raise self._unfinished(step, f"can't be watched: {lost}")

    def _unfinished(self, step: Step, what: str) -> Unfinished:
        unit = scripts.unit_of(self.run)
        return Unfinished(
            f"{step} of run {self.run} {what}; {unit} goes on there",
            where=self.shell.name,
            next=f"rackwright rollout resume, which follows it; there: journalctl -u {unit}",
        )

    def _failure(self, step: Step, look: Look) -> HostError:
        if not look.result:
            return Unfinished(
                f"{step} of run {self.run} was cut off",
                where=self.shell.name,
                should="end with a result",
                next="rackwright rollout resume, which continues it",
            )
        return StepFailed(problems(self.shell.name, self.run, step, look))
