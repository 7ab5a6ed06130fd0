"""`rackwright migrate capture`: record a sample of clients' requests at the gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rackwright.lifecycle.migrate.capture import CaptureResult, GatewayCapture


@click.command(cls=Command)
@click.argument("name")
@click.option("--look", is_flag=True, help="Only show what was recorded so far.")
@click.option("--fetch", is_flag=True, help="Bring recorded requests to the folder; the capture goes on.")
@click.option("--stop", is_flag=True, help="End the capture now.")
@common_options
@pass_context
def capture(context: Context, name: str, look: bool, fetch: bool, stop: bool) -> int:
    """Record a sample of clients' requests at the gateways.

    Starts at all gateways, with the share, duration and size in the plan of the migration NAME, and ends on its own.
    Personal data in a known form is replaced, and records are encrypted. Answers aren't recorded, and no client
    waits. --stop and --fetch together end the capture and bring the rest. Exit code 3 if a gateway can't be asked:
    the others go on.
    """
    if look and (fetch or stop):
        raise UsageError("--look changes nothing", should="leave it out, or --fetch and --stop")
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.migrate import capture as procedure
    from rackwright.lifecycle.migrate.place import open_place
    from rackwright.lifecycle.session.session import open_session

    asked = ((procedure.stop, stop), (procedure.fetch, fetch), (procedure.looked, look))
    chosen = [one for one, wanted in asked if wanted]
    missed: dict[str, str] = {}
    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        place = open_place(session, name, console)
        for one in chosen or [procedure.start]:
            result = one(place)
            missed |= result.missed
    for host, problem in missed.items():
        context.note(f"{host}: {problem}")
    context.answer({**result.model_dump(mode="json"), "missed": missed}, *_text(result, name))
    return ExitCode.HOSTS_FAILED if missed else ExitCode.DONE


def _text(result: CaptureResult, name: str) -> Iterator[str]:
    from rackwright.report.words import counted

    for host, one in result.gateways.items():
        yield f"{host}: {_standing(one)}; {counted(one.recorded, 'request')} recorded"
    for title, counts in (("not recorded", result.dropped), ("personal data replaced", result.personal)):
        if text := ", ".join(f"{kind} {number:,}" for kind, number in sorted(counts.items()) if number):
            yield f"{title}: {text}"
    if result.fetched_files:
        files = counted(result.fetched_files, "file")
        yield f"{counted(result.fetched_requests, 'request')} brought to the folder, in {files}"
    if result.to_fetch:
        yield f"next: rackwright migrate capture {name} --fetch"
    elif result.fetched_files:
        yield f"next: rackwright migrate assess {name}"


def _standing(one: GatewayCapture) -> str:
    from datetime import UTC, datetime

    if one.running and one.until is not None:
        return f"records until {datetime.fromtimestamp(one.until, UTC):%Y-%m-%dT%H:%M:%SZ}"
    ended = {"duration": "its time is over", "size": "it has reached its size", "disk": "the disk is nearly full"}
    return f"ended, {ended[one.ended]}" if one.ended in ended else "records nothing now"
