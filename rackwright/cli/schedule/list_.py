"""`rackwright schedule list`: what runs when, and what ran."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context

if TYPE_CHECKING:
    from rackwright.lifecycle.schedule.look import Looked
    from rackwright.state.calendar.schedule import Try

_SHOWN = 10


@click.command(cls=Command, name="list")
@common_options
@pass_context
def list_(context: Context) -> None:
    """Show what runs next, what ran, and what was missed. Asks only the control hosts."""
    hosts_needed()
    from rackwright.lifecycle.schedule.look import looked

    found = looked(context.fleet)
    context.answer({"schedules": [_document(one) for one in found]}, *_lines(found))


def _lines(found: tuple[Looked, ...]) -> Iterator[str]:
    from rackwright.cli.render.table import table
    from rackwright.lifecycle.schedule.look import warnings_of

    if not found:
        yield "nothing runs on a schedule; that needs unattended.on, and patch.window or drill.at"
        return
    rows = [(one.schedule.name, one.schedule.said, _next(one), _state(one)) for one in found]
    yield from table([("SCHEDULE", "WHEN", "NEXT", "STATE"), *rows])
    tries = [(one, last) for one in found for last in one.last[-_SHOWN:]]
    if tries:
        yield ""
        yield from table([("RAN", "AT", "STATE", "ON", "SUMMARY"), *(_row(*one) for one in tries)])
    for one in found:
        yield from (f"warning: {text}" for text in warnings_of(one))


def _row(found: Looked, one: Try) -> tuple[str, ...]:
    again = f" (try {one.number})" if one.number > 1 else ""
    where = one.process.machine if one.state not in ("missed", "skipped") else "-"
    return (one.schedule, _shown(found, one.start), f"{one.state}{again}", where, one.summary or "-")


def _next(found: Looked) -> str:
    return _shown(found, found.next.start) if found.next else "-"


def _state(found: Looked) -> str:
    if found.running:
        return f"running on {found.running.process.machine}"
    return f"paused until {_shown(found, found.paused_until)}" if found.paused_until else "waiting"


def _shown(found: Looked, moment: datetime) -> str:
    return f"{moment.astimezone(found.schedule.zone):%a %Y-%m-%d %H:%M %Z}"


def _document(found: Looked) -> Json:
    from rackwright.lifecycle.schedule.look import warnings_of
    from rackwright.state.formats import stamp

    return {
        "name": found.schedule.name,
        "when": found.schedule.said,
        "next": stamp(found.next.start) if found.next else None,
        "paused_until": stamp(found.paused_until) if found.paused_until else None,
        "running_on": found.running.process.machine if found.running else None,
        "runs": [_run(one) for one in found.last],
        "missed": [stamp(one.start) for one in found.missed],
        "warnings": list(warnings_of(found)),
    }


def _run(one: Try) -> Json:
    from rackwright.state.formats import stamp

    return {
        "start": stamp(one.start),
        "state": one.state,
        "tries": one.number,
        "asked": one.asked,
        "machine": one.process.machine,
        "who": one.who,
        "run": one.run,
        "ended": stamp(one.ended) if one.ended else None,
        "summary": one.summary,
    }
