"""A certificate and its key on a host: the certificate as public files, the key as an encrypted systemd credential.

In /etc/rackwright/certificates/: STEM.crt and STEM.ca.crt (0644), STEM.key.cred (0600).
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from datetime import UTC, datetime

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.errors import RackwrightError
from rackwright.fleet.x509 import certificate_due
from rackwright.operations.diff import show
from rackwright.operations.facts.certificate import CertificateState, Kept
from rackwright.operations.filesystem.file import SUFFIX, write
from rackwright.roles.certificate.settings import FOLDER
from rackwright.values.certificate import Issued, Issuer

_BEGIN = StringCommand(f"install -d -m 0755 -o root -g root -- {FOLDER}")


@operation()
def issued_certificate(
    *, stem: str, names: tuple[str, ...], client: bool, days: int, issuer: Issuer | None
) -> Generator[PyinfraCommand]:
    """Ensure that the host has a certificate from the fleet's CA for these names, with its key.

    A new one is issued only if it is due, and only when the run executes, so a plan doesn't need the CA's key.
    If none can be issued, the operation fails with the reason, and the host keeps its files.
    """
    found = host.get_fact(CertificateState, stem=stem)
    ca = issuer.ca_pem if issuer else None
    reason = _due(found, names, client, days, ca)
    if reason is None:
        if ca:
            yield from write(path=f"{FOLDER}/{stem}.ca.crt", content=ca)
        return
    show(f"{FOLDER}/{stem}.crt: {reason}; a new one for {', '.join(names)} is issued\n")
    # The plan stops at an operation's first command, so nothing is issued before it.
    yield _BEGIN
    if ca == "" and found.certificate and found.ca:
        yield _failing(_no_ca(stem))
    elif issuer is None:
        yield _failing(f"a certificate for {names[0]} is due, and there is no CA to issue it")
    else:
        yield _issued(stem, names, client, days, issuer)


@operation()
def own_certificate(*, stem: str, certificate: Issued) -> Generator[PyinfraCommand]:
    """Ensure that the host has this certificate, which the operator provides, with its key."""
    found = host.get_fact(CertificateState, stem=stem)
    if found.key_fits and _lines(found.certificate) == _lines(certificate.certificate_pem):
        return
    show(f"{FOLDER}/{stem}.crt: {'differs from the one of the operator' if found.certificate else 'missing'}\n")
    yield _BEGIN
    yield _installing(stem, certificate, None)


def _due(found: Kept, names: tuple[str, ...], client: bool, days: int, ca: str | None) -> str | None:
    now = datetime.now(UTC)
    due = certificate_due(found.certificate, names=names, client=client, ca_certificate=ca, now=now, days=days)
    return due or (None if found.key_fits else "its key is missing or doesn't match")


def _issued(stem: str, names: tuple[str, ...], client: bool, days: int, issuer: Issuer) -> StringCommand:
    try:
        issued = issuer.issue(names, client=client, days=days)
        return _installing(stem, issued, issuer.ca_pem)
    except RackwrightError as error:
        # An exception here would end the run on every host.
        return _failing(str(error))


def _installing(stem: str, issued: Issued, ca: str | None) -> StringCommand:
    """Install all files at once. The key is sent over standard input, and stored on the host only encrypted."""
    public = {".crt": issued.certificate_pem} | ({".ca.crt": ca} if ca else {})
    new = {suffix: shlex.quote(f"{stem}{suffix}{SUFFIX}") for suffix in (".key.cred", *public)}
    steps = [f"set -e; umask 077; cd {FOLDER}", f"trap 'rm -f -- {' '.join(new.values())}' EXIT"]
    # Not bound to a TPM: a firmware update changes its measurements, and the key would be lost.
    steps += [f"systemd-creds encrypt --with-key=host --name={shlex.quote(f'{stem}.key')} - {new['.key.cred']}"]
    for suffix, text in public.items():
        steps += [f"printf %s {shlex.quote(text)} >{new[suffix]}", f"chmod 0644 -- {new[suffix]}"]
    steps += [f"chmod 0600 -- {new['.key.cred']}"]
    # unit.running compares the files' times with the time when a unit last read them.
    steps += [f"mv -fT -- {name} {shlex.quote(stem + suffix)}" for suffix, name in new.items()]
    steps += ["trap - EXIT"]
    return StringCommand(f"( {'; '.join(steps)} )", _stdin=issued.key.reveal())


def _no_ca(stem: str) -> str:
    return (
        "this host has a certificate from the fleet's CA, but the CA's certificate, NAME.ca.crt, is not next to "
        "the fleet file; it should be in your colleagues' checkout\n"
        f"  next: get it from there; or, to start a new CA: rm {FOLDER}/{stem}.*"
    )


def _failing(message: str) -> StringCommand:
    return StringCommand(f"printf '%s\\n' {shlex.quote(message)} >&2; false")


def _lines(pem: str | None) -> list[str]:
    return [line.strip() for line in (pem or "").splitlines() if line.strip()]
