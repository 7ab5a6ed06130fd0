"""People hear when a command starts, ends and fails, whatever the reason. Without receivers, nothing is imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from rackwright.errors import Problem, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.session.console import Console

if TYPE_CHECKING:
    from rackwright.lifecycle.notify.deliver import Channel
    from rackwright.lifecycle.notify.undelivered import Undelivered

_Event = Literal["started", "ended", "failed", "missed"]
_within: ContextVar[bool] = ContextVar("notified", default=False)
_reported: ContextVar[tuple[BaseException, ...]] = ContextVar("reported", default=())


@dataclass
class Notices:
    """What a command reports of itself."""

    fleet: Fleet
    command: str
    console: Console
    silent: bool
    """Whether nobody hears of this command, or a command around it reports."""
    agreed: bool
    """Whether the operator has agreed to the command. Before that, they are at the terminal and see what happens."""
    undelivered: list[Undelivered] = field(default_factory=list)
    """Each notice that a receiver didn't get."""
    reached: bool = True
    """Whether a receiver got the last notice, or none wants such ones."""
    _run: str | None = None
    _hosts: tuple[str, ...] = ()
    _summary: str = ""
    _problems: tuple[Problem, ...] = ()
    _missed: tuple[str, str] | None = None

    def started(self, hosts: Iterable[str], run: str, what: str = "") -> None:
        """Report that the operator agreed, and which hosts will be changed. Return when that is sent."""
        self.agreed, self._run, self._hosts = True, run, tuple(hosts)
        with self._harmless("started"):
            self._send("started", what, self._hosts)

    def ends(self, summary: str, hosts: Iterable[str] | None = None) -> None:
        """Note how the command ends, and which hosts were changed; None: all that it started with."""
        self._summary, self._hosts = summary, self._hosts if hosts is None else tuple(hosts)

    def fails(self, problems: Iterable[Problem]) -> None:
        """Note that the command fails, although it raises nothing."""
        self._problems = tuple(problems)

    def withdraw(self) -> None:
        """Report nothing more: a later command goes on with this one, and reports its end."""
        self.silent = True

    def misses(self, reason: str, then: str) -> None:
        """Note that nobody started the command in time, and the next command."""
        self._missed = (reason, then)

    def close(self, problems: Sequence[Problem] = ()) -> None:
        """Report the end: a failure if there are problems. Nothing that goes wrong here changes the command's end."""
        if not self.agreed or self.silent:
            return
        failed = tuple(problems) or self._problems
        event: _Event = "failed" if failed else "missed" if self._missed else "ended"
        with self._harmless(event):
            try:
                self._send_end(event, failed)
            except KeyboardInterrupt:
                self._say(event, "interrupted")

    def _send_end(self, event: _Event, failed: Sequence[Problem]) -> None:
        if failed:
            self._send_failure(failed)
        elif self._missed:
            reason, then = self._missed
            self._send(event, reason, (), reason=reason, then=then)
        else:
            self._send(event, self._summary, self._hosts)

    @cached_property
    def _channels(self) -> Sequence[Channel]:
        """The receivers, with their secrets, which are resolved when the first notice is sent."""
        from rackwright.lifecycle.notify.channels import channels_of

        return channels_of(self.fleet)

    @contextmanager
    def _harmless(self, event: str) -> Iterator[None]:
        """Report a bug in the block, and go on: a notice must not stop the command."""
        try:
            yield
        except Exception as error:
            self._say(event, _bug(error))

    def _say(self, event: str, why: str) -> None:
        self.console.say(f"{self.command} {event}, but not everyone knows: {why}")

    def _send_failure(self, problems: Sequence[Problem]) -> None:
        from rackwright.lifecycle.notify.notice import hosts_of, reason_of

        first = problems[0]
        what = ": ".join(filter(None, (first.where, first.what)))
        hosts = hosts_of(problems, (*self.fleet.file.hosts, *self._hosts))
        then = next((one.next for one in problems if one.next), None)
        self._send("failed", what, hosts, reason=reason_of(problems), then=then)

    def _send(
        self,
        event: _Event,
        what: str,
        hosts: tuple[str, ...],
        *,
        reason: str | None = None,
        then: str | None = None,
    ) -> None:
        if self.silent:
            return
        # Nobody is reached if the receivers' secrets can't be read.
        self.reached = False
        asked = [channel for channel in self._channels if event in channel.events]
        if not asked:
            self.reached = True
            return
        from rackwright.lifecycle.notify.deliver import deliver
        from rackwright.lifecycle.notify.notice import names, notice_of

        if event == "started":
            what = ", ".join(filter(None, (what, names(hosts))))
        summary = ": ".join(filter(None, (f"{self.command} {event}", what)))
        notice = notice_of(
            self.fleet, self.command, event, summary, run=self._run, hosts=hosts, reason=reason, then=then
        )
        failures = [one.failure for one in deliver(notice, asked) if one.failure]
        self.reached = len(failures) < len(asked)
        for failure in failures:
            self.undelivered.append(failure)
            self._say(event, failure.said)


@contextmanager
def notified(fleet: Fleet, command: str, console: Console, *, agreed: bool, wanted: bool = True) -> Iterator[Notices]:
    """Report the start, the end and any failure of the block to the receivers of `notify`.

    The block says when it started and how it ends. `agreed`: the operator passed --yes, so that failures before the
    start are reported, too. A block within another one, or that isn't `wanted`, reports nothing of its own.
    """
    silent = _within.get() or not wanted or not fleet.file.receivers
    notices = Notices(fleet, command, console, silent, agreed and not silent)
    if silent:
        yield notices
        return
    token = _within.set(True)
    try:
        yield notices
    except (Exception, KeyboardInterrupt) as error:
        if notices.agreed:
            _reported.set((*_reported.get(), error))
        notices.close(_problems_of(error))
        raise
    else:
        notices.close()
    finally:
        _within.reset(token)


def reported(error: BaseException) -> bool:
    """Return whether a block within `notified` ended with this error, so that its failure was reported."""
    return any(one is error for one in _reported.get())


def _problems_of(error: Exception | KeyboardInterrupt) -> tuple[Problem, ...]:
    if isinstance(error, RackwrightError):
        return tuple(error.problems)
    if isinstance(error, KeyboardInterrupt):
        return (Problem("", "interrupted"),)
    if isinstance(error, OSError):
        return (Problem(str(error.filename or ""), error.strerror or type(error).__name__),)
    return (Problem("", _bug(error)),)


def _bug(error: Exception) -> str:
    """Return what a notice says about it: its text may have anything in it, and the command itself shows it."""
    return f"unexpected {type(error).__name__}; this is a bug in rackwright"
