"""Who may log in to this host."""

from __future__ import annotations

from datetime import date

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.people import Person as Asked
from rackwright.roles.people.settings import Person, Settings


def people_of(fleet: Fleet, host: str, today: date) -> Settings:
    """Given the day in UTC, return the people who may log in to this host, and the users that are left alone."""
    here = {name: person for name, person in fleet.file.people.items() if fleet.admits(person, host)}
    managed = {name: person for name, person in here.items() if person.manage == "yes"}
    return Settings(
        people=tuple(_person(name, asked) for name, asked in managed.items() if not asked.ended(today)),
        left_alone=tuple(name for name in here if name not in managed),
        login=None if fleet.is_local(host) else fleet.file.hosts[host].ssh.user,
    )


def _person(name: str, asked: Asked) -> Person:
    return Person(
        name=name,
        role=asked.role,
        keys=asked.keys,
        full_name=asked.full_name,
        until=asked.until,
        adopt=asked.existing == "adopt",
    )
