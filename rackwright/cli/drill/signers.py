"""`rackwright drill signers`: who may sign reports and reviews."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, Group, common_options, pass_context
from rackwright.errors import UsageError

if TYPE_CHECKING:
    from rackwright.lifecycle.drill.evidence.signers import Signer

_MOST = 64 << 10


@click.group(cls=Group)
def signers() -> None:
    """Show and add those who may sign reports and reviews.

    They are the people of the fleet file: operators sign both, auditors only reviews.
    """


@signers.command(cls=Command)
@common_options
@pass_context
def show(context: Context) -> None:
    """Bring NAME.signers up to date with `people`, and list the signers."""
    from rackwright.lifecycle.drill.evidence.signers import keep_signers, signers_path
    from rackwright.state.formats import utc_now

    found = keep_signers(context.fleet, utc_now())
    _answer(context, found, signers_path(context.fleet.path))


@signers.command(cls=Command)
@click.argument("name")
@click.argument("key", metavar="KEYFILE", type=click.Path(path_type=Path))
@common_options
@pass_context
def add(context: Context, name: str, key: Path) -> None:
    """Let someone sign who isn't in `people`, like an external auditor. KEYFILE is their .pub file."""
    from rackwright.lifecycle.drill.evidence.folder import read
    from rackwright.lifecycle.drill.evidence.signers import add_signer, signers_path
    from rackwright.state.formats import utc_now

    try:
        text = read(key.expanduser().resolve(), _MOST).decode()
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8 text", where=str(key), should="should be a .pub file") from None
    found = add_signer(context.fleet, name, text, utc_now())
    _answer(context, found, signers_path(context.fleet.path))


def _answer(context: Context, found: tuple[Signer, ...], path: Path) -> None:
    from rackwright.cli.render.table import table
    from rackwright.state.formats import stamp

    rows = [("SIGNER", "SIGNS", "FROM", "UNTIL", "KEY")]
    for one in found:
        signs = "reports, reviews" if len(one.purposes) > 1 else one.purposes[0]
        after, before = (stamp(moment) if moment else "-" for moment in (one.after, one.before))
        rows.append(
            (one.name, signs.replace("rackwright-drill-review", "reviews"), after, before, one.key.fingerprint)
        )
    document = [
        {
            "name": one.name,
            "purposes": list(one.purposes),
            "after": stamp(one.after) if one.after else None,
            "before": stamp(one.before) if one.before else None,
            "key": one.key.line,
            "fingerprint": one.key.fingerprint,
        }
        for one in found
    ]
    context.answer({"file": str(path), "signers": document}, *(table(rows) if found else ["no signers"]))
