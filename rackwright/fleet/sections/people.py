"""`people`: who may log in to the hosts, with which keys, and until when."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from rackwright.fleet.public_key import parse_public_key
from rackwright.fleet.sections.forms import Hosts
from rackwright.values.base import Frozen
from rackwright.values.text import Manage, Name, Shape

_TAKEN = frozenset(
    """_apt adm audio backup bin cdrom chrony daemon dialout dip disk dnsmasq docker floppy fwupd-refresh games gnats
    haproxy input irc keepalived kmem kvm landscape list lp lxd mail man messagebus news nobody nogroup
    nvidia-persistenced operator plugdev pollinate polkitd postfix postgres proxy redis render root rtkit sasl
    sgx shadow src sshd staff sudo sync sys syslog tape tcpdump tss tty usbmux users utmp uucp uuidd video voice
    wheel www-data""".split()
)
"""Users and groups of Debian, Ubuntu and common services; a person's user has a group with its name, too."""


def _person_name(text: str) -> str:
    if text in _TAKEN or text.startswith("systemd-"):
        raise ValueError(f"'{text}' is a user or group of the system; choose a person's name")
    if text.startswith(("rw-", "rackwright")):
        raise ValueError(
            "names that start with rw- or rackwright are reserved for rackwright; choose a person's name"
        )
    return text


def _public_key(text: str) -> str:
    return parse_public_key(text).line


def _day(value: object) -> object:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("should be a day like 2027-03-31") from None


PersonName = Annotated[Name, AfterValidator(_person_name)]
"""Also the name of the person's user on the hosts."""
PublicKeyLine = Annotated[str, AfterValidator(_public_key)]
"""An SSH public key, as in the one line of a .pub file."""
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
FullName = Annotated[str, Shape(r"[\w .'-]{1,64}", "should be a name: letters, spaces and . ' - only, 64 at most")]


class Person(Frozen):
    """One person, with a user of this name on the hosts."""

    role: Literal["operator", "auditor"]
    """An operator may do everything (sudo without a password); an auditor may read logs and the journal."""
    keys: Annotated[tuple[PublicKeyLine, ...], Field(min_length=1)]
    """SSH public keys; the user's authorized_keys contains exactly these."""
    on: Hosts | None = None
    """A group, a host or a list of them; every host if absent."""
    until: Day | None = None
    """The last day (UTC) on which the person may log in."""
    full_name: FullName | None = None
    existing: Literal["adopt"] | None = None
    """What to do with an existing user of this name; if absent, apply refuses."""
    manage: Manage = "yes"
    """`no` leaves the user on the hosts unchanged."""

    def ended(self, today: date) -> bool:
        """Given the day in UTC, return whether the person's access has ended."""
        return self.until is not None and self.until < today
