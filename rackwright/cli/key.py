"""`rackwright key`: API keys, given out and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.context import Context, Json, hosts_needed
from rackwright.cli.options import Group, common_options, confirm, pass_context, yes_option
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rackwright.fleet.keys import ApiKey


@click.group(cls=Group)
def key() -> None:
    """Add, list and revoke API keys.

    NAME.keys.yml beside the fleet file keeps each key's owner and SHA-256, never the key. Commit it.
    """


later_option = click.option(
    "--later", is_flag=True, help="Only write the keys file; the next apply tells the gateways."
)


@key.command()
@click.argument("id")
@click.option("--owner", required=True, help="Who answers for it: a person or a team.")
@click.option(
    "--model", "models", multiple=True, metavar="MODEL", help="Only this model; may be given several times."
)
@click.option(
    "--expires", metavar="90d|DATE", help="After this time, or at the end of this day (UTC); never when absent."
)
@later_option
@common_options
@pass_context
def add(context: Context, id: str, owner: str, models: tuple[str, ...], expires: str | None, later: bool) -> None:
    """Make an API key and show it, this once."""
    hosts_needed()
    from rackwright.lifecycle.keys import add_key, tell_gateways

    added, text = add_key(context.fleet, id, owner=owner, models=models, expires=expires)
    told = {} if later else tell_gateways(context.fleet, added)
    _tell(context, told, later=later)
    shown = text.reveal()
    context.answer({**_document(added), "key": shown, "gateways": told}, shown)


@key.command(name="list")
@common_options
@pass_context
def list_(context: Context) -> None:
    """List the keys: id, owner, models, when each was made and expires."""
    from rackwright.fleet.keys import read_keys

    keys = read_keys(context.fleet.beside("keys.yml"))
    rows = [("ID", "OWNER", "MODELS", "CREATED", "EXPIRES"), *(_row(one) for one in keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    context.answer({"keys": [_document(one) for one in keys]}, "\n".join(lines) if keys else "no keys yet")


@key.command()
@click.argument("id")
@later_option
@yes_option
@common_options
@pass_context
def revoke(context: Context, id: str, later: bool, yes: bool) -> int:
    """Take a key back. Requests with it are refused from now on.

    Exit code 3 when a gateway could not be told and still lets the key in.
    """
    hosts_needed()
    from rackwright.lifecycle.keys import find_key, revoke_key, tell_gateways

    found = find_key(context.fleet, id)
    confirm(f"Revoke {found.id} of {found.owner}?", yes=yes)
    revoke_key(context.fleet, id)
    told = {} if later else tell_gateways(context.fleet, found, revoked=True)
    _tell(context, told, later=later)
    context.answer({"revoked": _document(found), "gateways": told}, f"{found.id} of {found.owner} is revoked")
    return ExitCode.HOSTS_FAILED if any(told.values()) else ExitCode.DONE


def _tell(context: Context, told: Mapping[str, str | None], *, later: bool) -> None:
    """Say on standard error what the gateways don't know; with --json the document says it."""
    missed = {host: problem for host, problem in told.items() if problem}
    for host, problem in missed.items():
        context.note(f"{host} was not told: {problem}")
    if later or missed:
        context.note("next: rackwright apply")


def _document(one: ApiKey) -> dict[str, Json]:
    from rackwright.state.formats import stamp

    return {
        "id": one.id,
        "owner": one.owner,
        "models": list(one.models),
        "created": stamp(one.created),
        "expires": stamp(one.expires) if one.expires else None,
        "sha256": one.sha256,
    }


def _row(one: ApiKey) -> tuple[str, ...]:
    expires = f"{one.expires:%Y-%m-%d}" if one.expires else "never"
    return one.id, one.owner, ", ".join(one.models) or "all", f"{one.created:%Y-%m-%d}", expires
