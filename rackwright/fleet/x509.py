"""X.509 for the fleet: one CA, leaf certificates, and when a new one is due. No I/O; PEM in, PEM out."""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from rackwright.values.certificate import Issued
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as Key
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey as PublicKey

CA_DAYS = 3652
LONGEST_DAYS = 365
MODERN_DAYS = 90
"""How long a certificate may last in Mozilla's modern profile."""
BACKDATED = timedelta(minutes=5)
"""A host's clock may be a little behind."""
_COMMON_NAME = 64
"""Characters at most: ub-common-name of RFC 5280."""
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def certificates_in(text: str) -> tuple[str, ...]:
    """Return each certificate of the text as PEM with a line end. None is decoded."""
    return tuple(f"{found[0]}\n" for found in _CERTIFICATE.finditer(text))


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of the text's first certificate, as hex digits. Raise ValueError if there is none."""
    first = _CERTIFICATE.search(pem)
    if first is None:
        raise ValueError("contains no PEM certificate")
    return hashlib.sha256(a2b_base64("".join(first[1].split()), strict_mode=True)).hexdigest()


def issued_at(pem: str) -> datetime:
    """Return when the text's first certificate was issued by this module. Raise ValueError if it can't be read."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem.encode()).not_valid_before_utc + BACKDATED


def end_of(pem: str) -> datetime:
    """Return when the text's first certificate ends. Raise ValueError if it can't be read."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def is_signed_by(pem: str, ca: str) -> bool:
    """Return whether the first CA of `ca` signed the certificate. One that can't be read counts as signed by none."""
    from cryptography import x509

    try:
        return _is_of(x509.load_pem_x509_certificate(pem.encode()), ca)
    except ValueError:
        return False


def new_key() -> Secret:
    """Return a new EC P-256 private key (PEM, PKCS #8)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return _pem(ec.generate_private_key(ec.SECP256R1()))


def load_key(pem: Secret) -> Key:
    """Return the EC private key in a PEM text. Raise ValueError, without showing the text, if there is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("contains no PEM private key without a passphrase") from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("contains a private key that is not an elliptic-curve key")
    return key


def self_signed(key: Key, name: str, now: datetime) -> str:
    """Return the certificate (PEM) of a CA with this name, valid for ten years, that signs only leaf certificates."""
    from cryptography import x509

    subject = _subject(name)
    builder = _builder(subject, subject, key.public_key(), key, now, now - BACKDATED + timedelta(days=CA_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return _signed(builder, key)


def issue(ca: str, ca_key: Key, names: Sequence[str], *, client: bool, days: int, now: datetime) -> Issued:
    """Return a new certificate for DNS names and addresses, with its key; the first is its common name.

    It is valid for `days`, 365 at most, and never longer than the CA. Raise ValueError if the CA has expired.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    signer = x509.load_pem_x509_certificate(ca.encode())
    if signer.not_valid_after_utc <= now:
        raise ValueError(f"the CA expired on {signer.not_valid_after_utc:%Y-%m-%d}")
    end = min(now - BACKDATED + timedelta(days=min(days, LONGEST_DAYS)), signer.not_valid_after_utc)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] + ([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])
    builder = _builder(_subject(names[0]), signer.subject, key.public_key(), ca_key, now, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
    return Issued(_signed(builder, ca_key), _pem(key))


def certificate_due(
    pem: str | None,
    *,
    names: Sequence[str],
    client: bool,
    ca_certificate: str | None,
    now: datetime,
    days: int = LONGEST_DAYS,
) -> str | None:
    """Given a host's certificate, return why the host needs a new one, or None.

    A certificate is good if it is for exactly these names, signed by this CA (with None, by any), valid for clients
    as requested, for `days` at most, and not in the last third of its life. The last third doesn't matter if the
    certificate expires with its CA: so would a new one.
    """
    from cryptography import x509

    if pem is None:
        return "there is none"
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return "it can't be read"
    if _names(found) != {_shown(name) for name in names}:
        return f"it is for {', '.join(sorted(_names(found))) or 'no name'}"
    if _is_for_clients(found) != client:
        return "it is for clients" if not client else "it is not for clients"
    if ca_certificate is not None and not _is_of(found, ca_certificate):
        return "another CA signed it"
    life = found.not_valid_after_utc - found.not_valid_before_utc
    if life > timedelta(days=days):
        return f"it lasts {life.days} days, and may last {days}"
    if now >= found.not_valid_after_utc or (
        now > found.not_valid_before_utc + life * 2 / 3 and not _lasts_as_long(found, ca_certificate)
    ):
        return f"it expires on {found.not_valid_after_utc:%Y-%m-%d}"
    return None


def not_modern(certificate: x509.Certificate) -> str | None:
    """Return what Mozilla's modern profile doesn't accept in a server's certificate, or None."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import SignatureAlgorithmOID as Signature

    public = certificate.public_key()
    if not (isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1 | ec.SECP384R1)):
        return "has a key that is not ECDSA on P-256 or P-384"
    signed = (Signature.ECDSA_WITH_SHA256, Signature.ECDSA_WITH_SHA384, Signature.ECDSA_WITH_SHA512)
    if certificate.signature_algorithm_oid not in signed:
        return "is not signed with ECDSA"
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return f"lasts {life.days} days, not {MODERN_DAYS} at most" if life.days > MODERN_DAYS else None


def is_key_of(key: Key, certificate: str) -> bool:
    """Return whether the certificate (PEM) is for this private key. Raise ValueError if it can't be read."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(certificate.encode()).public_key() == key.public_key()


def public_half(certificate: str) -> str | None:
    """Return the public key (PEM) of a certificate (PEM), or None if it can't be read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, public: PublicKey, signer: Key, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: Key) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def _pem(key: Key) -> Secret:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _subject(name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _shown(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _names(certificate: x509.Certificate) -> set[str]:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in extension.value}


def _is_for_clients(certificate: x509.Certificate) -> bool:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in extension.value


def _lasts_as_long(certificate: x509.Certificate, ca: str | None) -> bool:
    from cryptography import x509

    if ca is None:
        return False
    return certificate.not_valid_after_utc >= x509.load_pem_x509_certificate(ca.encode()).not_valid_after_utc


def _is_of(certificate: x509.Certificate, ca: str) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.encode()))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
