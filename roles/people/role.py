"""Give people access, with their keys and their role; remove the access of people who left."""

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
    """Ensure that these people may log in with the rights of their role. Others immediately lose the access that
    rackwright gave them."""
    names = settings.names
    put_out(
        name="Remove the access of people who left", names=names, left_alone=settings.left_alone, login=settings.login
    )
    if not settings.people:
        # Users who are left alone keep their rights.
        absent(name="Remove the people's rights", paths=() if settings.left_alone else (SUDOERS,))
        return
    installed(name="Install sudo", packages=("sudo",))
    people_groups(name="Add the people's groups", names=names, groups=(PEOPLE, OPERATORS, AUDITORS))
    rights = (Path(__file__).parent / "templates" / "sudoers").read_text()
    checked_file(
        name="Write the people's rights", path=SUDOERS, content=rights, mode="0440", check="visudo -c -f {path}"
    )
    accounts = host.get_fact(PeopleAccounts, names=names)
    for person in settings.people:
        problem = refusal(accounts, person)
        admitted(
            name=f"Give access to {person.name} as {person.role}",
            names=names,
            person=person,
            refused=str(problem) if problem else None,
        )
