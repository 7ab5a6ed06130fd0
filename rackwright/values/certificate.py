"""Certificates, and the CA that issues them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rackwright.values.secrets import Secret


@dataclass(frozen=True)
class Issued:
    """A certificate with its chain (PEM) and its private key (PEM)."""

    certificate_pem: str
    key: Secret


class Issuer(Protocol):
    """A CA that issues certificates."""

    @property
    def ca_pem(self) -> str:
        """The CA certificate that verifies them (PEM)."""

    def issue(self, names: tuple[str, ...], *, client: bool, days: int) -> Issued:
        """Return a new certificate for these DNS names and addresses. Raise SecretError without the key."""
