"""The secrets that a host with the tool gets: those that a run needs which nobody watches, and no others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from rackwright.errors import SecretError
from rackwright.fleet.backup_access import derives, password_delivered, passwords_to_deliver
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.public_key import fingerprint_of_private
from rackwright.fleet.references import secret_references
from rackwright.fleet.secrets import resolve
from rackwright.fleet.sections.backup import KIT
from rackwright.values.secrets import Secret
from rackwright.values.tool_mode import credential_name, in_tool_mode

ToolSecrets = Callable[[], Mapping[str, Secret]]
"""Returns name of the credential → secret. Raises SecretError if one is unusable."""


def references_of_tool(fleet: Fleet) -> Mapping[str, str]:
    """Return place in the fleet file → reference, for the hosts with the tool; empty if there are none.

    The CA's key isn't among them, nor are sudo passwords. Unless drills are due at times, neither are the secrets of
    drills and of the kit, and each host's backup password takes the place of the one that all are derived from.
    """
    if not fleet.tool_hosts:
        return {}
    found = secret_references(fleet)
    if _makes_drills(fleet):
        return {place: text for place, text in found.items() if not _is_never_there(place)}
    own = dict(passwords_to_deliver(fleet))
    instead = {place.partition(" of ")[0] for place in own}
    return own | {
        place: text
        for place, text in found.items()
        if not _is_never_there(place) and place not in instead and not _is_of_drills(place)
    }


def _makes_drills(fleet: Fleet) -> bool:
    return fleet.file.drill is not None and fleet.file.drill.at is not None


def _is_never_there(place: str) -> bool:
    return place == "ca.key" or (place.startswith("hosts.") and place.endswith(".sudo.password"))


def _is_of_drills(place: str) -> bool:
    return place.startswith("drill.") or place.endswith(f" of {KIT}")


def names_of_secrets(fleet: Fleet) -> tuple[str, ...]:
    """Return the names of the credentials that a host with the tool gets."""
    return tuple(sorted({credential_name(text) for text in references_of_tool(fleet).values()}))


def secrets_of_tool(fleet: Fleet) -> ToolSecrets:
    """Return a function that resolves the secrets of hosts with the tool when it is first called."""
    known: dict[str, Secret] = {}
    lock = threading.Lock()

    def resolved() -> Mapping[str, Secret]:
        # Several hosts may ask at the same time, and a command may ask a person for a passphrase.
        with lock:
            if not known:
                known.update(_resolved(fleet))
        return known

    return resolved


def _resolved(fleet: Fleet) -> Iterator[tuple[str, Secret]]:
    for place, text in references_of_tool(fleet).items():
        found = _secret(fleet, place, text)
        if place == "unattended.key":
            _refuse_strange_key(fleet, found)
        # Programs want a newline at the end of a key. `resolve` removes it again.
        yield credential_name(text), Secret(f"{found.reveal()}\n")


def _secret(fleet: Fleet, place: str, reference: str) -> Secret:
    if derives(reference) and not in_tool_mode():
        return password_delivered(fleet, reference)
    return resolve(reference, where=f"{fleet.path} {place}", folder=fleet.path.parent)


def _refuse_strange_key(fleet: Fleet, key: Secret) -> None:
    """Raise SecretError unless this is a private SSH key of the person whom the tool logs in as."""
    person, where = fleet.file.unattended.person or "", f"{fleet.path} unattended.key"
    fingerprint = fingerprint_of_private(key)
    if fingerprint is None:
        should = "should be a private SSH key, as ssh-keygen makes it, without a passphrase: nobody could enter it"
        raise SecretError("isn't a private SSH key that can be used", where=where, should=should)
    if fleet.person_of(fingerprint) != person:
        raise SecretError(
            f"is the key {fingerprint}, which isn't a key of {person}",
            where=where,
            should=f"its public key should be in people.{person}.keys",
        )
