"""Which CAs the hosts trust, and which one issued their certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rackwright.fleet.x509 import certificates_in, is_signed_by
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.roles.certificate.settings import FOLDER
from rackwright.roles.etcd.settings import CREDENTIALS

_ASKING = "asking for certificates"
_MARK = "--- "
COMMAND = f"""for file in {FOLDER}/*.ca.crt {CREDENTIALS}/*.ca.crt; do
    [ -f "$file" ] || continue
    stem=${{file%.ca.crt}}
    echo "{_MARK}${{stem##*/}}"; cat -- "$stem.crt"; echo "{_MARK}trusts"; cat -- "$file"
done
"""
"""Prints each certificate of the fleet's own CA, and the CAs that are trusted with it. A running member of etcd uses
those with which it was started, until it restarts."""


@dataclass(frozen=True)
class HostCertificate:
    name: str
    """Its file stem."""
    pem: str
    trusts: tuple[str, ...]
    """The CAs that the same service trusts (PEM)."""


def certificates_on(session: Session) -> dict[str, tuple[HostCertificate, ...]]:
    """Return each host's certificates from the fleet's own CA. Raise HostError if a host can't be asked."""

    def ask(name: str) -> tuple[HostCertificate, ...]:
        asked = session.remote.connection(name).run(COMMAND).check(_ASKING)
        return read_answer(name, _ASKING, parse_certificates, asked.stdout)

    return session.remote.each(session.hosts, ask)


def parse_certificates(text: str) -> tuple[HostCertificate, ...]:
    """Given COMMAND's output, return the host's certificates. Raise ValueError if one lacks its certificate or CA."""
    return tuple(_certificates(text))


def _certificates(text: str) -> Iterator[HostCertificate]:
    parts = [part.partition("\n") for part in f"\n{text}".split(f"\n{_MARK}")[1:]]
    for (name, _, own), (mark, _, trusted) in zip(parts[::2], parts[1::2], strict=True):
        found, trusts = certificates_in(own), certificates_in(trusted)
        if mark != "trusts" or len(found) != 1 or not trusts:
            raise ValueError(f"{name} has no certificate, or no CA")
        yield HostCertificate(name, found[0], trusts)


def without_trust(found: Mapping[str, Iterable[HostCertificate]], ca: str) -> list[str]:
    """Return the hosts that have a certificate with which they don't trust this CA (PEM)."""
    return [host for host, having in found.items() if any(ca not in one.trusts for one in having)]


def not_issued_by(found: Mapping[str, Iterable[HostCertificate]], ca: str) -> list[str]:
    """Return the hosts that have a certificate that this CA (PEM) didn't issue."""
    return [host for host, having in found.items() if any(not is_signed_by(one.pem, ca) for one in having)]
