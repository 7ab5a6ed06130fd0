"""`rackwright ca`: the fleet's CA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Group, common_options, pass_context, yes_option
from rackwright.errors import RackwrightError

if TYPE_CHECKING:
    from pathlib import Path

    from rackwright.fleet.fleet import Fleet


@click.group(cls=Group)
def ca() -> None:
    """Show, fetch or rotate the fleet's CA."""


@ca.command()
@common_options
@pass_context
def show(context: Context) -> None:
    """Show the certificates that clients must trust, as PEM, and their fingerprints.

    There are two while the CA is rotated. Only the PEM goes to standard output: rackwright ca show > acme.pem
    """
    path = trusted(context.fleet)
    pem = path.read_text(encoding="ascii")
    found = fingerprints(pem, path)
    for sha256 in found:
        context.note(f"{path}: sha256 {sha256}")
    document = {"file": str(path), "sha256": found[0], "fingerprints": list(found), "pem": pem}
    context.answer(document, *pem.rstrip("\n").split("\n"))


@ca.command()
@common_options
@pass_context
def fetch(context: Context) -> None:
    """Write NAME.ca.crt as the control host keeps it, if it is missing here."""
    hosts_needed()
    from rackwright.lifecycle.ca.fetch import fetch_ca
    from rackwright.lifecycle.session.session import open_session

    with open_session(context.fleet) as session:
        pem = fetch_ca(session)
    path = context.fleet.sibling("ca.crt")
    found = fingerprints(pem, path)
    lines = [f"sha256 {sha256}" for sha256 in found]
    context.answer({"written": str(path), "fingerprints": list(found)}, f"{path} written; commit it.", *lines)


@ca.command()
@click.option("--back", is_flag=True, help="Undo the last step.")
@yes_option
@common_options
@pass_context
def rotate(context: Context, back: bool, yes: bool) -> None:
    """Take the next step of a rotation: a new CA replaces the old one, and no client or host refuses another.

    First the new CA is trusted next to the old one, then it issues all certificates, then the old one ends. Apply
    brings each step to the hosts. A step is refused until all hosts are ready for it.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.ca.rotate import rotate as carry_out
    from rackwright.lifecycle.session.session import open_session

    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet) as session:
        done = carry_out(session, console, back=back)
    path = context.fleet.sibling("ca.crt")
    document = {"file": str(path), "stage": done.stage.name.lower(), "next": list(done.then)}
    context.answer(document, f"{path}: {done.stage}; commit it.", *(f"next: {step}" for step in done.then))


def trusted(fleet: Fleet) -> Path:
    """Return the file that clients verify the gateways with. Raise RackwrightError if it doesn't exist yet."""
    own = fleet.file.gateway.certificate
    path = fleet.at(own.certificate) if own else fleet.sibling("ca.crt")
    if not path.exists():
        should = "gateway.certificate names it" if own else "the first apply creates the fleet's CA"
        raise RackwrightError("the file doesn't exist", where=str(path), should=should, next="rackwright apply")
    return path


def fingerprints(pem: str, path: Path) -> tuple[str, ...]:
    """Return the SHA-256 of each certificate as openssl x509 -fingerprint shows it.

    Raise RackwrightError, with the file's path, if there is none.
    """
    from rackwright.fleet.x509 import certificates_in, fingerprint

    try:
        found = tuple(bytes.fromhex(fingerprint(one)).hex(":").upper() for one in certificates_in(pem))
    except ValueError:
        found = ()
    if not found:
        raise RackwrightError("contains no PEM certificate", where=str(path))
    return found
