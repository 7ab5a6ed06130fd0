"""`rackwright ca`: the fleet's CA."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Group, common_options, pass_context
from rackwright.errors import RackwrightError

if TYPE_CHECKING:
    from pathlib import Path

    from rackwright.fleet.fleet import Fleet


@click.group(cls=Group)
def ca() -> None:
    """Show the certificate that clients must trust."""


@ca.command()
@common_options
@pass_context
def show(context: Context) -> None:
    """Show the certificate that clients must trust, as PEM, and its fingerprint.

    Only the PEM goes to standard output: rackwright ca show > acme.pem
    """
    path = trusted(context.fleet)
    pem = path.read_text(encoding="ascii")
    sha256 = fingerprint(pem, path)
    context.note(f"{path}: sha256 {sha256}")
    context.answer({"file": str(path), "sha256": sha256, "pem": pem}, *pem.rstrip("\n").split("\n"))


def trusted(fleet: Fleet) -> Path:
    """Return the file that clients verify the gateways with. Raise RackwrightError if it doesn't exist yet."""
    own = fleet.file.gateway.certificate
    path = fleet.at(own.certificate) if own else fleet.sibling("ca.crt")
    if not path.exists():
        should = "gateway.certificate names it" if own else "the first apply creates the fleet's CA"
        raise RackwrightError("the file doesn't exist", where=str(path), should=should, next="rackwright apply")
    return path


def fingerprint(pem: str, path: Path) -> str:
    """Given a file's PEM, return the SHA-256 of its first certificate as openssl x509 -fingerprint shows it."""
    end = "-----END CERTIFICATE-----"
    try:
        der = ssl.PEM_cert_to_DER_cert(pem[: pem.index(end) + len(end)].strip())
    except ValueError:
        raise RackwrightError("contains no PEM certificate", where=str(path)) from None
    return hashlib.sha256(der).digest().hex(":").upper()
