"""Every error that rackwright raises on purpose, with its exit code.

RackwrightError
├── UsageError        2   the command line asks for something impossible
├── HostError         3   one host: unreachable, unknown host key, a command failed
│   ├── HostKeyError  3   the host's key is not the pinned one
│   └── NotListening  3   no program listens on the host's SSH port
├── HostsFailed       3   some hosts failed; the others completed
├── ChangesPending    4   `plan --check` found something to change
├── FleetError       10   fleet file, lock or keys file not valid; lists every problem
├── SecretError      10   a secret reference doesn't resolve
├── LeasedError      11   another operator holds the lease, or a rollout is open
└── ProofError       12   a proof, check or drill didn't pass
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """The meanings of a command's exit status; every help text lists them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    HOSTS_FAILED = 3
    CHANGES_PENDING = 4
    FLEET_INVALID = 10
    LEASED = 11
    NOT_PROVEN = 12


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it is, what it is, what it should be, and the next command."""

    where: str
    what: str
    should: str | None = None
    next: str | None = None
    listed: tuple[str, ...] = ()
    """What it is about, if that is several things: ports, replicas, hosts with the reason."""

    def lines(self, before: str = "") -> Iterator[str]:
        """Yield the text after `before`, then a line for each thing listed and one for the next command."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        yield f"{before}{text}; {self.should}" if self.should else f"{before}{text}"
        # The dash: a listed text may begin with what a host said, which must not look like the line below.
        yield from (f"  - {text}" for text in self.listed)
        if self.next:
            yield f"  next: {self.next}"

    def line(self) -> str:
        """Return all of it but `where` as one line, for a list that names the host itself."""
        then = f"next: {self.next}" if self.next else None
        return "; ".join(part for part in (self.what, *self.listed, self.should, then) if part)

    def __str__(self) -> str:
        return "\n".join(self.lines())


class RackwrightError(Exception):
    """An expected failure, shown to the operator without a traceback."""

    exit_code = ExitCode.FAILED

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        should: str | None = None,
        next: str | None = None,
        listed: Iterable[str] = (),
    ) -> None:
        self.problems: tuple[Problem, ...] = (Problem(where, what, should, next, tuple(listed)),)
        super().__init__(str(self.problems[0]))

    def but(self, *, should: str, where: str = "", next: str | None = None) -> Self:
        """Return the same error with this `should`; `where` counts only if it has none, `next` replaces its own."""
        first, *rest = self.problems
        known = replace(first, where=first.where or where, should=should, next=next or first.next)
        return self._of((known, *rest))

    def with_problems(self, others: Iterable[Problem]) -> Self:
        """Return the same error with these problems after its own, without duplicates."""
        return self._of(tuple(dict.fromkeys((*self.problems, *others))))

    def _of(self, problems: tuple[Problem, ...]) -> Self:
        # Not copy(): it calls the constructor, and those of some errors take other arguments.
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.problems = problems
        other.args = ("\n".join(map(str, problems)),)
        return other


class UsageError(RackwrightError):
    exit_code = ExitCode.USAGE


class HostError(RackwrightError):
    """`where` names the host."""

    exit_code = ExitCode.HOSTS_FAILED


class HostKeyError(HostError):
    pass


class NotListening(HostError):
    pass


class HostsFailed(RackwrightError):
    exit_code = ExitCode.HOSTS_FAILED


class ChangesPending(RackwrightError):
    exit_code = ExitCode.CHANGES_PENDING


class FleetError(RackwrightError):
    """All problems of the fleet's files at once."""

    exit_code = ExitCode.FLEET_INVALID

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        Exception.__init__(self, "\n".join(str(problem) for problem in self.problems))


class SecretError(RackwrightError):
    exit_code = ExitCode.FLEET_INVALID


class LeasedError(RackwrightError):
    exit_code = ExitCode.LEASED


class ProofError(RackwrightError):
    exit_code = ExitCode.NOT_PROVEN


def together(errors: Sequence[Exception]) -> Exception:
    """Combine the errors raised for several hosts into one error with all their problems, without duplicates.

    It is a LeasedError if any of them is, else it has the type of the first. If any is not a RackwrightError,
    return that one instead.
    """
    ours = [error for error in errors if isinstance(error, RackwrightError)]
    if len(ours) < len(errors):
        return next(error for error in errors if not isinstance(error, RackwrightError))
    first = next((error for error in ours if isinstance(error, LeasedError)), ours[0])
    others = (problem for error in ours for problem in error.problems)
    return first.with_problems(others) if len(ours) > 1 else first
