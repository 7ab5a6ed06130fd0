"""The operator's own certificate for clients, if the fleet file names one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rackwright.errors import FleetError, Problem
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.x509 import not_modern
from rackwright.values.certificate import Issued
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from cryptography import x509


def own_certificate_of(fleet: Fleet, now: datetime | None = None) -> Issued | None:
    """Return the certificate of gateway.certificate with its chain and key; None if the fleet's CA issues it.

    Raise FleetError if it can't be read, has expired, isn't for the gateway's domain, doesn't match its key,
    or isn't what gateway.tls asks for;
    raise SecretError if the key can't be resolved.
    """
    from rackwright.fleet.secrets import resolve

    asked, place = fleet.file.gateway.certificate, f"{fleet.path} gateway.certificate"
    if asked is None:
        return None
    path = fleet.at(asked.certificate)
    pem, certificate = _read(path, f"{place}.certificate")
    if what := _unfit(certificate, fleet.file.gateway.domain, now or datetime.now(UTC)):
        raise FleetError([Problem(f"{place}.certificate", f"{path} {what}")])
    if fleet.file.gateway.tls == "modern" and (what := not_modern(certificate)):
        should = "gateway.tls: modern needs an ECDSA certificate that lasts 90 days at most: docs/gateways.md, TLS"
        raise FleetError([Problem(f"{place}.certificate", f"{path} {what}", should)])
    key = resolve(asked.key, where=f"{place}.key", folder=fleet.path.parent)
    if not _is_pair(certificate, key):
        should = "should be its private key as PEM, without a passphrase"
        raise FleetError([Problem(f"{place}.key", f"is not the private key of {path}", should)])
    return Issued(pem, key)


def own_certificate_end(fleet: Fleet) -> tuple[Path, datetime] | None:
    """Return the file of gateway.certificate and its expiry time; None if the fleet's CA issues it.

    Raise FleetError if it can't be read. The key is not checked.
    """
    asked = fleet.file.gateway.certificate
    if asked is None:
        return None
    path = fleet.at(asked.certificate)
    return path, _read(path, f"{fleet.path} gateway.certificate.certificate")[1].not_valid_after_utc


def _read(path: Path, where: str) -> tuple[str, x509.Certificate]:
    from cryptography import x509

    try:
        pem = path.read_text(encoding="ascii")
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except OSError as error:
        raise FleetError([Problem(where, f"{path} can't be read: {error.strerror}")]) from None
    except ValueError:
        raise FleetError(
            [Problem(where, f"{path} is not a PEM certificate", "should be the certificate, then its chain")]
        ) from None
    if "PRIVATE KEY" in pem:
        raise FleetError(
            [Problem(where, f"{path} contains a private key", "should be the certificate and its chain only")]
        )
    return pem, certificate


def _unfit(certificate: x509.Certificate, domain: str, now: datetime) -> str | None:
    from cryptography import x509

    if certificate.not_valid_after_utc <= now:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    wildcard = f"*.{domain.partition('.')[2]}"
    if not {domain, wildcard} & {name.lower() for name in names}:
        return f"is for {', '.join(names) or 'no DNS name'}, not for {domain}"
    return None


def _is_pair(certificate: x509.Certificate, key: Secret) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return private.public_key() == certificate.public_key()
