"""Let people in, with their keys and their role; put out who left."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.deploy import deploy
from pyinfra.context import host

from rackwright.operations.facts.account import PeopleAccounts
from rackwright.operations.filesystem.absent import absent
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.packages import installed
from rackwright.operations.people import admitted, people_groups, put_out
from rackwright.roles.people.refusals import refusal
from rackwright.roles.people.settings import AUDITORS, OPERATORS, PEOPLE, SUDOERS, Settings


@deploy("people")
def people(*, settings: Settings) -> None:
    """Afterwards these people may log in and do what their role may; whom we let in before is out at once."""
    names = settings.names
    put_out(name="Put out who has left", names=names, left_alone=settings.left_alone, login=settings.login)
    if not settings.people:
        # Whoever is left alone keeps what they may.
        absent(name="Remove the people's rights", paths=() if settings.left_alone else (SUDOERS,))
        return
    installed(name="Install sudo", packages=("sudo",))
    people_groups(name="Add the groups of people", names=names, groups=(PEOPLE, OPERATORS, AUDITORS))
    rights = (Path(__file__).parent / "templates" / "sudoers").read_text()
    checked_file(
        name="Write the people's rights", path=SUDOERS, content=rights, mode="0440", check="visudo -c -f {path}"
    )
    accounts = host.get_fact(PeopleAccounts, names=names)
    for person in settings.people:
        problem = refusal(accounts, person)
        admitted(
            name=f"Let in {person.name} as {person.role}",
            names=names,
            person=person,
            refused=str(problem) if problem else None,
        )
