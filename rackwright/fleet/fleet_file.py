"""The whole fleet file as people write it; each section has a module in `sections/`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, Tag

from rackwright.fleet.sections.backup import Backup
from rackwright.fleet.sections.ca import Ca
from rackwright.fleet.sections.clouds import Cloud, CloudModel
from rackwright.fleet.sections.downloads import Downloads
from rackwright.fleet.sections.drill import Drill
from rackwright.fleet.sections.driver import Driver
from rackwright.fleet.sections.firewall import Firewall
from rackwright.fleet.sections.forms import MAPPING_OR_LIST
from rackwright.fleet.sections.gateway import Gateway
from rackwright.fleet.sections.hosts import Host
from rackwright.fleet.sections.licenses import License
from rackwright.fleet.sections.models import Model, Routed
from rackwright.fleet.sections.notify import Receiver
from rackwright.fleet.sections.p2p import PeerToPeer
from rackwright.fleet.sections.patch import Patch
from rackwright.fleet.sections.people import Person, PersonName
from rackwright.fleet.sections.rollout import Rollout
from rackwright.fleet.sections.teams import Team
from rackwright.fleet.sections.unattended import Unattended
from rackwright.values.base import Frozen
from rackwright.values.text import Name


def _timezone(text: str) -> str:
    import zoneinfo

    should = "should be a time zone like Europe/Berlin or UTC"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", text):
        raise ValueError(should)
    try:
        known = text == "UTC" or bool(zoneinfo.ZoneInfo(text))
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        known = not any(Path(folder).is_dir() for folder in zoneinfo.TZPATH)
    if not known:
        from difflib import get_close_matches

        near = get_close_matches(text, zoneinfo.available_timezones(), 1)
        raise ValueError(f"unknown time zone; did you mean '{near[0]}'?" if near else should)
    return text


class FleetFile(Frozen):
    """A fleet: its hosts, models and their settings."""

    fleet: Name
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    downloads: Downloads = Downloads.model_construct()
    ca: Ca = Ca.model_construct()
    hosts: Annotated[Mapping[Name, Host], Field(min_length=1)]
    groups: Mapping[Name, tuple[Name, ...]] = {}
    licenses: Annotated[tuple[License, ...], Field(min_length=1)] = ()
    """Licenses that models and adapters may have, as ids from model cards; any license if absent."""
    clouds: Mapping[Name, Cloud] = {}
    """Providers' APIs that the gateways may pass requests to."""
    routed: Annotated[Mapping[Name, Routed], Field(min_length=1, alias="models")]
    """Every model that clients may ask for."""
    driver: (
        Annotated[
            Annotated[Driver, Tag("mapping")] | Annotated[tuple[Driver, ...], Field(min_length=1), Tag("list")],
            MAPPING_OR_LIST,
        ]
        | None
    ) = None
    """The GPU driver; if absent, rackwright doesn't manage the hosts' drivers."""
    gateway: Gateway
    teams: Mapping[Name, Team] = {}
    """Owners of API keys whose tokens or priority are set; others have no quota and the usual priority."""
    firewall: Firewall
    rollout: Rollout = Rollout.model_construct()
    patch: Patch | None = None
    """How hosts are patched; if absent, they aren't."""
    backup: Backup | None = None
    """What every host backs up, where and when."""
    drill: Drill | None = None
    """Recovery drills on scratch hosts; if absent, there are none."""
    notify: (
        Annotated[
            Annotated[Receiver, Tag("mapping")] | Annotated[tuple[Receiver, ...], Field(min_length=1), Tag("list")],
            MAPPING_OR_LIST,
        ]
        | None
    ) = None
    """Who hears of patch runs and drills; no one if absent."""
    p2p: PeerToPeer | None = None
    """How weights are copied from host to host; if absent, every host downloads them itself."""
    people: Mapping[PersonName, Person] = {}
    """Who may log in to the hosts."""
    control: tuple[Name, ...] = ()
    """One, three or five hosts that store lease, journal and applied fleet; the first gateway if absent."""
    unattended: Unattended = Unattended.model_construct()
    """What runs when nobody watches, and what it may do; if absent, nothing does."""

    @property
    def models(self) -> Mapping[str, Model]:
        """The models with engines; those that only a cloud answers are in `routed` alone."""
        return {name: model for name, model in self.routed.items() if not isinstance(model, CloudModel)}

    @property
    def drivers(self) -> tuple[Driver, ...]:
        if self.driver is None:
            return ()
        return (self.driver,) if isinstance(self.driver, Driver) else self.driver

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """Those of `notify`."""
        if self.notify is None:
            return ()
        return self.notify if isinstance(self.notify, tuple) else (self.notify,)

    def named(self, on: str | tuple[str, ...]) -> tuple[str, ...]:
        """Given a group, a host or a list of them, return the hosts."""
        names = (on,) if isinstance(on, str) else on
        return tuple(dict.fromkeys(host for name in names for host in self.groups.get(name, (name,))))
