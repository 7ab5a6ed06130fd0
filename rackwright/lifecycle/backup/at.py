"""Which snapshot an operator asks for: the newest, the newest up to a time, or the one with an ID."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rackwright.errors import UsageError
from rackwright.values.amounts import parse_duration

_ID = re.compile(r"[0-9a-f]{8,64}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXAMPLES = "should be like 2026-11-25, 2026-11-25T02:31Z, 12h, or a snapshot's ID of 8 digits or more"


@dataclass(frozen=True)
class At:
    """What --at says. With neither time nor ID: the newest snapshot."""

    text: str = ""
    until: datetime | None = None
    """The newest snapshot that isn't after this."""
    id: str | None = None
    """The start of a snapshot's ID."""


NEWEST = At()


def wanted_at(text: str | None, timezone: str, now: datetime) -> At:
    """Return what --at asks for: a time, a day (its end), an age like 12h, or the start of an ID.

    A time without an offset is in the fleet's time zone. Raise UsageError if the text is none of these.
    """
    if text is None:
        return NEWEST
    if _ID.fullmatch(text):
        return At(text, id=text)
    try:
        if re.fullmatch(r"[0-9]{1,9}[smhd]", text):
            return At(text, now - timedelta(seconds=parse_duration(text)))
        return At(text, _moment(text, timezone))
    except (ValueError, OverflowError):
        raise UsageError("isn't a time or a snapshot's ID", where=f"--at {text}", should=_EXAMPLES) from None


def _moment(text: str, timezone: str) -> datetime:
    zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    found = datetime.fromisoformat(text)
    if _DATE.fullmatch(text):
        return datetime.combine(found.date(), time.max, zone).astimezone(UTC)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
