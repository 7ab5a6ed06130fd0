"""A certificate of the fleet's own CA, with its key, on one host."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.text import Line

FOLDER = "/etc/rackwright/certificates"


def files(stem: str) -> tuple[str, ...]:
    """Return the paths of a certificate, of its CA's certificate, and of its key."""
    return tuple(f"{FOLDER}/{stem}.{ending}" for ending in ("crt", "ca.crt", "key.cred"))


class Settings(Frozen):
    name: Line
    """File stem under /etc/rackwright/certificates/: NAME.crt, NAME.ca.crt, and the key as an encrypted credential,
    NAME.key.cred."""
    names: tuple[Line, ...]
    """DNS names and IP addresses the certificate is valid for; the first is its common name."""
    client: bool = False
    """Whether the certificate also identifies its host as a client (gateways to host proxies)."""
    days: int = 365
