"""One certificate of a host, as the certificate role stores it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api.facts import FactBase

from rackwright.fleet.x509 import public_half
from rackwright.roles.certificate.settings import FOLDER

_MARK, _KEY = "--- ", "key"


@dataclass(frozen=True)
class Kept:
    """The files FOLDER/STEM.*; instead of the key, whether it matches the certificate."""

    certificate: str | None = None
    """PEM of STEM.crt."""
    ca: str | None = None
    """PEM of STEM.ca.crt."""
    key_fits: bool = False
    """STEM.key.cred decrypts to the private key of STEM.crt."""


class CertificateState(FactBase[Kept]):
    """Given the stem of its files, return a certificate's state. The host prints only the public half of the key."""

    def command(self, stem: str) -> str:
        path, key = shlex.quote(f"{FOLDER}/{stem}"), shlex.quote(f"{stem}.key")
        return (
            f"p={path}; for s in .crt .ca.crt; do "
            f'if [ -f "$p$s" ]; then echo "{_MARK}$s"; cat -- "$p$s"; echo; fi; done; '
            'if [ -f "$p.crt" ] && [ -f "$p.key.cred" ]; then '
            f'echo "{_MARK}{_KEY}"; systemd-creds decrypt --name={key} -- "$p.key.cred" - 2>/dev/null | '
            "openssl pkey -pubout 2>/dev/null; fi; true"
        )

    @staticmethod
    def default() -> Kept:
        return Kept()

    def process(self, output: list[str]) -> Kept:
        parts: dict[str, list[str]] = {}
        for line in output:
            if line.startswith(_MARK):
                parts[line.removeprefix(_MARK)] = []
            elif parts and line:
                parts[next(reversed(parts))].append(line)
        certificate, key = _text(parts.get(".crt")), _text(parts.get(_KEY))
        return Kept(certificate, _text(parts.get(".ca.crt")), bool(key) and key == public_half(certificate or ""))


def _text(lines: list[str] | None) -> str | None:
    return None if lines is None else "".join(f"{line}\n" for line in lines)
