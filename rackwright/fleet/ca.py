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
from datetime import UTC, datetime, timedelta
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
        return CertificateAuthority(name, certificate, key_folder(name))
    where = f"{fleet.path} ca.key"
    return CertificateAuthority(
        *(name, certificate, key_folder(name), lambda: resolve(reference, where=where, folder=fleet.path.parent))
    )


def key_folder(fleet: str) -> Path:
    """Return the folder with the keys of all CAs of fleets with this name, on this machine."""
    configuration = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(configuration).expanduser() / "rackwright" / fleet


@dataclass(frozen=True)
class CertificateAuthority:
    """Implements values.Issuer. One object may be used by several threads.

    While a CA is rotated there are two: the file's first certificate issues, and all of them are trusted.
    """

    fleet: str
    certificate_file: Path
    """NAME.ca.crt, public, committed with the fleet file."""
    keys: Path
    """The folder of the default key files, each named after its CA's fingerprint: two fleets may have one name."""
    reference: Callable[[], Secret] | None = None
    """Resolves the operator's reference to the key: for a CA that has no key file here."""
    clock: Callable[[], datetime] = _now
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def ca_pem(self) -> str:
        """The certificates that verify the fleet's certificates (PEM); empty if there is no CA yet."""
        try:
            return self.certificate_file.read_text(encoding="ascii")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            raise RackwrightError("can't be read", where=str(self.certificate_file), should="PEM") from None

    @property
    def key_file(self) -> Path | None:
        """The default file of the key that issues; None: there is no CA yet. Raise RackwrightError if it is no CA."""
        return self.file_of(pem) if (pem := self.ca_pem) else None

    def file_of(self, pem: str) -> Path:
        """Return the default file of the key of this CA (PEM). Raise RackwrightError if it is none."""
        try:
            return self.keys / f"ca-{certificates.fingerprint(pem)[:16]}.key"
        except ValueError:
            raise RackwrightError("contains no PEM certificate", where=str(self.certificate_file)) from None

    def issue(self, names: tuple[str, ...], *, client: bool, days: int) -> Issued:
        """Return a new certificate for these DNS names and addresses; the first certificate also creates the CA.

        Raise SecretError, with the certificate that was due, if the key is missing or belongs to another CA;
        raise RackwrightError if the CA has expired.
        """
        with self._lock:
            if not self.ca_pem:
                self._create()
            pem = self.ca_pem
        place, secret = self._found_key(pem, names[0])
        key = self._loaded(place, secret)
        self._require_pair(key, pem, names[0])
        try:
            return certificates.issue(pem, key, names, client=client, days=days, now=self.clock())
        except ValueError as error:
            raise RackwrightError(
                f"{error}, and a certificate for {names[0]} is due",
                where=str(self.certificate_file),
                should="the fleet needs a new CA",
                next="rackwright ca rotate",
            ) from None

    def private_key(self) -> Secret:
        """Return the private key (PEM) of the CA that issues; create none.

        Raise SecretError if this machine doesn't have it, or if it isn't the key of the CA's certificate.
        """
        if not (pem := self.ca_pem):
            raise SecretError("the fleet has no CA yet", where=str(self.certificate_file), next="rackwright apply")
        return self.key_of(pem)

    def key_of(self, pem: str) -> Secret:
        """Return the private key (PEM) of this CA (PEM). Raise SecretError as `private_key` does."""
        path = self.file_of(pem)
        if self.reference is None and not path.exists():
            raise SecretError("the CA's key isn't on this machine", where=str(path))
        place, found = self._found_key(pem, "the kit")
        if not self._fits(self._loaded(place, found), pem):
            raise SecretError("the CA's key here belongs to another certificate", where=str(self.certificate_file))
        return found

    def new(self, name: str) -> str:
        """Return the certificate (PEM) of a new CA, whose key is in its default file. NAME.ca.crt stays as it is.

        It is always newer than the current one. Raise ValueError if that one can't be read.
        """
        key, now = certificates.new_key(), self.clock()
        if old := self.ca_pem:
            now = max(now, certificates.issued_at(old) + timedelta(seconds=1))
        pem = certificates.self_signed(certificates.load_key(key), name, now)
        install_key(self.file_of(pem), key)
        return pem

    def write(self, pem: str) -> None:
        """Make these the fleet's CAs, the first one issuing. Raise RackwrightError if the file can't be written."""
        try:
            replace_file(self.certificate_file, pem.encode(), mode=0o644)
        except OSError as error:
            raise RackwrightError(f"can't be written: {error.strerror}", where=str(self.certificate_file)) from None

    def _create(self) -> None:
        name = f"rackwright {self.fleet}"
        if self.reference is None:
            self.write(self.new(name))
        else:
            key = self._loaded("ca.key", self.reference())
            self.write(certificates.self_signed(key, name, self.clock()))

    def _found_key(self, pem: str, due: str) -> tuple[str, Secret]:
        """Return where the key of this CA is, and the key."""
        path = self.file_of(pem)
        if self.reference is not None and not path.exists():
            return "ca.key", self.reference()
        return str(path), self._from_file(path, due)

    @staticmethod
    def _loaded(place: str, pem: Secret) -> Key:
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

    def _require_pair(self, key: Key, pem: str, due: str) -> None:
        if not self._fits(key, pem):
            what = f"the CA's key belongs to another certificate, and a certificate for {due} is due"
            raise SecretError(what, where=str(self.certificate_file), should="should be the key of this certificate")

    def _fits(self, key: Key, pem: str) -> bool:
        try:
            return certificates.is_key_of(key, pem)
        except ValueError:
            raise RackwrightError("contains no PEM certificate", where=str(self.certificate_file)) from None


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
