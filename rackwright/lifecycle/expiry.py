"""API keys and certificates that expire soon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rackwright.fleet.keys_file import ApiKey

KEY_DAYS = 14
CERTIFICATE_DAYS = 30
"""How many days before its end a warning starts. Apply renews the fleet's own certificates four months before it."""
CA_DAYS = 90
"""The same for a CA: all clients must get the next one."""


@dataclass(frozen=True)
class Ending:
    """A key or certificate that ends soon or has ended."""

    where: str
    """A host, or the controller."""
    what: str
    ends: datetime | None
    """None: it can't be read."""
    next: str

    def said(self, now: datetime) -> str:
        """Return it as text, without `where` and `next`."""
        if self.ends is None:
            return f"{self.what} can't be read"
        if self.ends <= now:
            return f"{self.what} ended on {self.ends:%Y-%m-%d %H:%M} UTC"
        return f"{self.what} ends on {self.ends:%Y-%m-%d %H:%M} UTC, in {days(self.ends - now)}"


def ending_keys(keys: Iterable[ApiKey], now: datetime) -> tuple[Ending, ...]:
    """Return the keys that end within KEY_DAYS, without those that have ended: they were meant to end."""
    return tuple(
        Ending(
            "controller",
            f"API key {key.id} of {key.owner}",
            key.expires,
            f"rackwright key edit {key.id} --expires 90d",
        )
        for key in keys
        if key.expires and now < key.expires <= now + timedelta(days=KEY_DAYS)
    )


def ending_certificates(
    host: str, certificates: Mapping[str, datetime | None], now: datetime, next: str = "rackwright apply"
) -> tuple[Ending, ...]:
    """Return those of a host's certificates (by stem) that end within CERTIFICATE_DAYS or can't be read."""
    limit = now + timedelta(days=CERTIFICATE_DAYS)
    return tuple(
        Ending(host, f"certificate {stem}", ends, next)
        for stem, ends in certificates.items()
        if ends is None or ends <= limit
    )


def ending_cas(name: str, pem: str, now: datetime) -> tuple[Ending, ...]:
    """Return those of the CAs in this file that end within CA_DAYS or can't be read."""
    from rackwright.fleet.x509 import certificates_in, end_of

    found = []
    for number, one in enumerate(certificates_in(pem), 1):
        try:
            ends = end_of(one)
        except ValueError:
            ends = None
        if ends is None or ends <= now + timedelta(days=CA_DAYS):
            found.append(Ending("controller", f"CA {number} of {name}", ends, "rackwright ca rotate"))
    return tuple(found)


def days(span: timedelta) -> str:
    """Return whole days as text; less than one day in hours."""
    whole, unit = (span.days, "day") if span.days else (span.seconds // 3600, "hour")
    return f"{whole} {unit}{'' if whole == 1 else 's'}"
