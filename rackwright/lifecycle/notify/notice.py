"""A notice: what a command did, as a webhook's JSON has it (format `notice/1`)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BeforeValidator

from rackwright.errors import Problem
from rackwright.fleet.fleet import Fleet
from rackwright.state.formats import Moment, utc_now
from rackwright.state.operator import Operator, fingerprint_of, operator
from rackwright.terminal import shown, visible, visible_lines
from rackwright.values.base import Stored

MOST_REASON = 4000
"""Characters of a reason. Hosts' own words are in it."""
_MOST_LINE = 200
_MOST_PROBLEMS = 20
_MOST_NAMES = 10

Event = Literal["started", "ended", "failed", "missed", "test"]


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def one_line(text: str) -> str:
    """Return the text as one line of bounded length, with escapes for what isn't printable."""
    return _bounded(" ".join(visible(" ".join(text.split())).split()), _MOST_LINE)


def _lines(text: str) -> str:
    return _bounded(visible_lines(text), MOST_REASON)


Said = Annotated[str, BeforeValidator(one_line)]
"""May have been said by a host: shown on one line."""
SaidLines = Annotated[str, BeforeValidator(_lines)]


class Notice(Stored):
    format: str = "notice/1"
    event: Event
    command: str
    """Without `rackwright`."""
    fleet: str
    run: str | None = None
    """The id of the patch run or drill; None if it has none yet."""
    operator: Said
    machine: Said
    """Where the command runs."""
    time: Moment
    summary: Said
    """One line: the command, the event, and what it is about."""
    reason: SaidLines | None = None
    """Why it failed, in up to MOST_REASON characters; may have several lines."""
    next: Said | None = None
    """The next command after a failure."""
    hosts: tuple[str, ...] = ()
    """Those that it will change, has changed, or failed at."""

    def document(self, text: str) -> str:
        """Return it as JSON, with this text first: chat servers show `text` and ignore the other fields."""
        return json.dumps({"text": text, **self.model_dump(mode="json")})


def notice_of(
    fleet: Fleet,
    command: str,
    event: Event,
    summary: str,
    *,
    run: str | None = None,
    hosts: tuple[str, ...] = (),
    reason: str | None = None,
    then: str | None = None,
) -> Notice:
    """Return the notice of an event that happens now, on this machine."""
    who = _operator_of(fleet)
    return Notice(
        event=event,
        command=command,
        fleet=fleet.file.fleet,
        run=run,
        operator=who.who,
        machine=who.machine,
        time=utc_now(),
        summary=summary,
        reason=reason,
        next=then,
        hosts=hosts,
    )


def _operator_of(fleet: Fleet) -> Operator:
    """Return who runs the command, as the session knows them by their key file.

    A session also resolves the password of sudo. Here that could keep a notice from being sent.
    """
    key = fleet.file.hosts[fleet.control[0]].ssh.key
    fingerprint = fingerprint_of(fleet.at(f"{key}.pub")) if key else None
    return operator(fingerprint, fleet.person_of(fingerprint) if fingerprint else None)


def names(hosts: tuple[str, ...]) -> str:
    """Return the names for a line; a large fleet's are counted."""
    listed = ", ".join(hosts[:_MOST_NAMES])
    return f"{listed} and {len(hosts) - _MOST_NAMES} more" if len(hosts) > _MOST_NAMES else listed


def reason_of(problems: Iterable[Problem]) -> str:
    """Return what is wrong, without the next commands. A newline that a host sends begins no line of our own."""
    several = tuple(problems)[:_MOST_PROBLEMS]
    return "\n".join(part for one in several for line in replace(one, next=None).lines() for part in shown(line))


def hosts_of(problems: Iterable[Problem], known: Iterable[str]) -> tuple[str, ...]:
    """Return which of the known hosts the problems name: as their place, or at the head of what they list."""
    words = [word for one in problems for word in (one.where, *one.listed)]
    named = {word.partition(":")[0].partition("/")[0] for word in words}
    return tuple(host for host in dict.fromkeys(known) if host in named)
