"""`rackwright access`: who can log in to the hosts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Group, common_options, pass_context
from rackwright.errors import ExitCode

if TYPE_CHECKING:
    from rackwright.lifecycle.access.procedure import Account, Review


@click.group(cls=Group)
def access() -> None:
    """Show who can log in to the hosts, and with which keys."""


@access.command()
@click.option(
    "-l", "--host", "--limit", "limit", metavar="HOST|GROUP", multiple=True, help="Only these hosts; may be repeated."
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for an auditor.")
@common_options
@pass_context
def review(context: Context, limit: tuple[str, ...], markdown: bool) -> int:
    """List who can log in to the hosts: people, keys, their last use, and what sudo lets them do.

    Reads only. Exit code 12 if a host grants access that the fleet file doesn't, 3 if a host couldn't be asked.
    """
    hosts_needed()
    from rackwright.cli.render.access_text import as_markdown, as_text
    from rackwright.fleet.naming import hosts_named
    from rackwright.lifecycle.access.procedure import review as look

    found = look(context.fleet, hosts_named(context.fleet, limit))
    lines = as_markdown(found, context.fleet.file.fleet) if markdown else as_text(found)
    context.answer(_document(found), *lines)
    if found.unreachable:
        return ExitCode.HOSTS_FAILED
    return ExitCode.NOT_PROVEN if found.findings else ExitCode.DONE


def _document(found: Review) -> dict[str, Json]:
    from rackwright.state.formats import stamp

    return {
        "when": stamp(found.when),
        "accounts": [_account(account) for account in found.accounts],
        "api_keys": [
            {"id": key.id, "owner": key.owner, "models": list(key.models), "created": stamp(key.created)}
            | {"expires": stamp(key.expires) if key.expires else None}
            for key in found.api_keys
        ],
        "journal_begins": {host: stamp(when) if when else None for host, when in found.begins.items()},
        "findings": list(found.findings),
        "unreachable": dict(found.unreachable),
    }


def _account(account: Account) -> dict[str, Json]:
    from rackwright.state.formats import stamp

    keys: list[Json] = [
        {"fingerprint": key.fingerprint, "comment": key.comment, "person": key.person}
        | {"last_use": {"when": stamp(key.use.when), "from": key.use.address} if key.use else None}
        for key in account.keys
    ]
    until = account.until.isoformat() if account.until else None
    return {**asdict(account), "until": until, "keys": keys}
