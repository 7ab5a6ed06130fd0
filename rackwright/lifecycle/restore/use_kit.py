"""Use a fetched kit: show it, ask, and put in place what a command needs on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from rackwright.errors import FleetError, Problem, SecretError
from rackwright.fleet.ca import ca_of, install_key
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.references import secret_references
from rackwright.fleet.secrets import resolve
from rackwright.lifecycle.backup.kit_content import CA_KEY
from rackwright.lifecycle.restore.fetch_kit import FetchedKit
from rackwright.lifecycle.session.console import Console
from rackwright.state.formats import stamp
from rackwright.values.secrets import Secret

_MOST_LINES = 20
_MOST_CHARACTERS = 300


def confirm_kit(kit: FetchedKit, fleet: Fleet, console: Console) -> None:
    """Show the kit with every command that its fleet file runs on this machine, and ask. Nothing of it has run yet.

    Raise RackwrightError if the operator doesn't agree; the kit stays in its folder.
    """
    commands = _commands(fleet)
    for line in (*_about(kit), *(f"  runs on this machine, for {where}: {text}" for where, text in commands.items())):
        console.say(line)
    console.confirm(f"Use this kit{' and run these commands' if commands else ''}?")


def _about(kit: FetchedKit) -> Iterator[str]:
    contents = kit.contents
    yield f"the fleet file is {kit.fleet_file}"
    yield (
        f"kit {kit.snapshot.id[:8]} of the fleet {contents.fleet}: saved at {stamp(contents.when)} by "
        f"{_short(contents.who)} with rackwright {_short(contents.rackwright)}, {contents.files} files"
    )
    yield f"  commit: {_short(contents.commit) if contents.commit else 'none, it was not in git'}"
    yield from (f"  not in it: {_short(name)}" for name in contents.left_out[:_MOST_LINES])
    if more := len(contents.left_out) - _MOST_LINES:
        yield from [f"  not in it: {more} more"] if more > 0 else []


def _short(text: str) -> str:
    return " ".join(text.split())[:_MOST_CHARACTERS]


def _commands(fleet: Fleet) -> dict[str, str]:
    """Return place → command. From the fleet file itself: the kit's list may lack some."""
    found = secret_references(fleet).items()
    return {where: text.removeprefix("cmd:") for where, text in found if text.startswith("cmd:")}


def use_ca_key(kit: FetchedKit, fleet: Fleet, console: Console) -> None:
    """Put the CA's key where the fleet looks for it. If the fleet file refers to another place, say where it is.

    Raise SecretError if it isn't the key of the kit's CA, or if another file is in its place.
    """
    found, authority = kit.folder / CA_KEY, ca_of(fleet)
    path = authority.key_file
    if kit.key_of is None:
        if fleet.file.ca.key is None and not (path and path.exists()):
            console.say(
                "no kit has the CA's key; without it, certificates can't be renewed: ask the operators for it"
            )
    elif fleet.file.ca.key is not None:
        console.say(f"{found}: the CA's key, for {fleet.file.ca.key}")
    elif path is None:
        console.say(f"{found}: the CA's key isn't used, because the kit lacks {authority.certificate_file.name}")
    else:
        install_key(path, Secret(found.read_text(encoding="ascii")))
        authority.private_key()


def refuse_missing_secrets(kit: FetchedKit, fleet: Fleet) -> None:
    """Raise FleetError with every reference of the fleet file that doesn't resolve on this machine."""
    folder, problems = kit.fleet_file.parent, list[Problem]()
    for where, reference in secret_references(fleet).items():
        try:
            resolve(reference, where=where, folder=folder)
        except SecretError as error:
            problems += error.problems
    if problems:
        raise FleetError([*problems, Problem("", "put these secrets in place", next=following(kit))])


def following(kit: FetchedKit) -> str:
    """Return the command that goes on with the kit."""
    return f"rackwright -f {quote(str(kit.fleet_file))} restore --all"
