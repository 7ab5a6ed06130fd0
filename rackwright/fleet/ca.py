"""The fleet's CA: its certificate is public, next to the fleet file; its private key is a secret in another place.

A checkout is enough to verify certificates; to issue them, you need the key, too. The key is read only when a
certificate must be issued. If a fleet has no CA, the first certificate creates it.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rackwright.errors import RackwrightError, SecretError
from rackwright.fleet import x509 as certificates
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.yaml_file import replace_file
from rackwright.values.certificate import Issued
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as Key


def _now() -> datetime:
    return datetime.now(UTC)


def ca_of(fleet: Fleet) -> CertificateAuthority:
    """Return the fleet's CA. This call reads and creates no files."""
    from rackwright.fleet.secrets import resolve

    name, certificate = fleet.file.fleet, fleet.sibling("ca.crt")
    reference = fleet.file.ca.key
    if reference is None:
        return CertificateAuthority(name, certificate, key_file(name))
    where = f"{fleet.path} ca.key"
    return CertificateAuthority(name, certificate, lambda: resolve(reference, where=where, folder=fleet.path.parent))


def key_file(fleet: str) -> Path:
    """Return the default path of a fleet's CA key on this machine."""
    configuration = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(configuration).expanduser() / "rackwright" / fleet / "ca.key"


@dataclass(frozen=True)
class CertificateAuthority:
    """Implements values.Issuer. One object may be used by several threads."""

    fleet: str
    certificate_file: Path
    """NAME.ca.crt, public, committed with the fleet file."""
    key_source: Path | Callable[[], Secret]
    """The default key file, created if there is no CA yet, or a function that resolves the operator's reference."""
    clock: Callable[[], datetime] = _now
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def ca_pem(self) -> str:
        """The certificate that verifies the fleet's certificates (PEM); empty if there is no CA yet."""
        try:
            return self.certificate_file.read_text(encoding="ascii")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            raise RackwrightError("can't be read", where=str(self.certificate_file), should="PEM") from None

    def issue(self, names: tuple[str, ...], *, client: bool, days: int) -> Issued:
        """Return a new certificate for these DNS names and addresses; the first certificate also creates the CA.

        Raise SecretError, with the certificate that was due, if the key is missing or belongs to another CA;
        raise RackwrightError if the CA has expired.
        """
        with self._lock:
            key = self._key(names[0])
            pem = self.ca_pem or self._certify(key)
        self._require_pair(key, pem, names[0])
        try:
            return certificates.issue(pem, key, names, client=client, days=days, now=self.clock())
        except ValueError as error:
            raise RackwrightError(
                f"{error}, and a certificate for {names[0]} is due",
                where=str(self.certificate_file),
                should="the fleet needs a new CA: docs/ca.md, A lost CA key",
                next=f"move {self.certificate_file.name} away, then run rackwright apply",
            ) from None

    def private_key(self) -> Secret:
        """Return the CA's private key (PEM); create none.

        Raise SecretError if this machine doesn't have it, or if it isn't the key of the CA's certificate.
        """
        source, pem = self.key_source, self.ca_pem
        if not pem:
            raise SecretError("the fleet has no CA yet", where=str(self.certificate_file), next="rackwright apply")
        try:
            if not callable(source) and not source.exists():
                raise SecretError("the CA's key isn't on this machine", where=str(source))
            found = source() if callable(source) else self._from_file(source, "the kit")
            fits = certificates.is_key_of(certificates.load_key(found), pem)
        except ValueError as error:
            raise SecretError(str(error), where="ca.key", should="should be the PEM of an EC key") from None
        if not fits:
            raise SecretError("the CA's key here belongs to another certificate", where=str(self.certificate_file))
        return found

    def _key(self, due: str) -> Key:
        source = self.key_source
        if callable(source):
            place, pem = "ca.key", source()
        else:
            if not source.exists() and not self.ca_pem:
                install_key(source, certificates.new_key())
            place, pem = str(source), self._from_file(source, due)
        try:
            return certificates.load_key(pem)
        except ValueError as error:
            raise SecretError(str(error), where=place, should="should be the PEM of an EC key") from None

    def _from_file(self, path: Path, due: str) -> Secret:
        try:
            if path.stat().st_mode & 0o077:
                raise SecretError("others may read it", where=str(path), next=f"chmod 600 {path}")
            return Secret(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            what = f"the CA's key isn't on this machine, and a certificate for {due} is due"
            hint = f"should be the key of {self.certificate_file}; ask the operator who ran the first apply"
            raise SecretError(what, where=str(path), should=hint, next=f"put it at {path}, or set ca.key") from None
        except (OSError, UnicodeDecodeError):
            raise SecretError("can't be read", where=str(path)) from None

    def _certify(self, key: Key) -> str:
        pem = certificates.self_signed(key, f"rackwright {self.fleet}", self.clock())
        try:
            replace_file(self.certificate_file, pem.encode(), mode=0o644)
        except OSError as error:
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(self.certificate_file)) from None
        return pem

    def _require_pair(self, key: Key, pem: str, due: str) -> None:
        try:
            fits = certificates.is_key_of(key, pem)
        except ValueError:
            raise RackwrightError("contains no PEM certificate", where=str(self.certificate_file)) from None
        if not fits:
            what = f"the CA's key belongs to another certificate, and a certificate for {due} is due"
            raise SecretError(what, where=str(self.certificate_file), should="should be the key of this certificate")


def install_key(path: Path, key: Secret) -> None:
    """Create the file with mode 0600 from the start, its folder with 0700. Leave an existing file unchanged.

    Raise RackwrightError if it can't be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(key.reveal())
                stream.flush()
                os.fsync(stream.fileno())
            # A hard link never replaces a file that another run has created since the check.
            path.hardlink_to(name)
        finally:
            Path(name).unlink()
    except FileExistsError:
        return
    except OSError as error:
        raise RackwrightError(f"can't be written: {error.strerror}", where=str(path)) from None
