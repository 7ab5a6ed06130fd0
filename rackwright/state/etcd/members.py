"""Ask etcd's members, each by `etcdctl` on its own control host, until one answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rackwright.errors import HostError, RackwrightError
from rackwright.roles.etcd.settings import CTL
from rackwright.state.shell import Shell, command

PATIENCE = 10.0
"""Seconds: how long members may fail to agree, because they elect a leader, until it is an error."""
LIMIT = 2.0
"""Seconds that etcdctl gets at first; the next time twice as many, for members with slow disks."""
_PAUSE = 0.1
# A command runs etcdctl three times at most, and its text may go over a slow connection.
_TIMEOUT = 60
_PASSING = ("no leader", "leader changed", "proposal dropped", "timed out", "deadline exceeded", "Unavailable")
"""Words of errors that an election or a restart causes."""


@dataclass(frozen=True)
class Reply:
    """What a command printed on a control host."""

    host: str
    text: str

    def line(self, number: int) -> str:
        """Return a line, or nothing if there are fewer."""
        return next(iter(self.text.split("\n")[number : number + 1]), "")


@dataclass
class Members:
    """The control hosts in order. The one that answered last is asked first."""

    shells: tuple[Shell, ...]
    ctl: str = CTL
    patience: float = PATIENCE
    limit: float = LIMIT
    _used: int = field(default=0, init=False)

    @property
    def names(self) -> str:
        return ", ".join(shell.name for shell in self.shells)

    def ask(self, script: str, *words: object, stdin: str | None = None, what: str) -> Reply:
        """Return the answer of the first member that gives one. The script gets the wrapper, a limit, and the words.

        A script may have run on several hosts, and on one of them later than this returns: it must be safe to repeat.
        Raise HostError, naming each host and why, if no member can answer.
        """
        until = time.monotonic() + self.patience
        limit = self.limit
        while True:
            refusals: dict[str, str] = {}
            for number in self._order():
                reply = self._reply(number, script, (limit, *words), stdin, refusals)
                if reply:
                    self._used = number
                    return reply
            if not any(word in why for why in refusals.values() for word in _PASSING) or time.monotonic() > until:
                raise _none_answered(what, refusals)
            limit = 2 * self.limit
            time.sleep(_PAUSE)

    def ask_each(self, script: str, *words: object, what: str) -> tuple[Reply, ...]:
        """Return the answers of all members that give one. Raise HostError if none does."""
        refusals: dict[str, str] = {}
        asked = (
            self._reply(number, script, (self.limit, *words), None, refusals) for number in range(len(self.shells))
        )
        found = tuple(reply for reply in asked if reply)
        if not found:
            raise _none_answered(what, refusals)
        return found

    def _order(self) -> Iterator[int]:
        first = self._used
        yield first
        yield from (number for number in range(len(self.shells)) if number != first)

    def _reply(
        self, number: int, script: str, words: tuple[object, ...], stdin: str | None, refusals: dict[str, str]
    ) -> Reply | None:
        """Return the member's answer, or note why there is none."""
        shell = self.shells[number]
        try:
            done = shell.run(command(script, self.ctl, *words), stdin=stdin, timeout=_TIMEOUT)
        except HostError as error:
            refusals[shell.name] = error.problems[0].what
            return None
        if done.ok:
            return Reply(shell.name, done.stdout)
        refusals[shell.name] = " ".join(done.last_lines(1)) or f"exit status {done.exit_status}"
        return None


def _none_answered(what: str, refusals: dict[str, str]) -> HostError:
    reasons = "; ".join(f"{host}: {why}" for host, why in refusals.items())
    return HostError(
        f"{what} failed: no member of etcd can answer ({reasons})",
        where=", ".join(refusals),
        should="more than half of the members should run and reach one another",
        next="systemctl status rackwright-etcd.service on these hosts",
    )


def unexpected(reply: Reply) -> RackwrightError:
    return RackwrightError(f"unexpected answer of etcd: {reply.text[:200]}", where=reply.host)
