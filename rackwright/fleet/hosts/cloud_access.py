"""What a gateway needs for the fleet's clouds: their keys, and the CAs that verify them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping

from rackwright.errors import FleetError, Problem, SecretError
from rackwright.fleet.downloads import is_no_bundle
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.secrets import resolve
from rackwright.roles.cloud.settings import Access
from rackwright.values.secrets import Secret

_KEY = re.compile(r"[\x21-\x7e]{1,1000}")


def access_to_clouds(fleet: Fleet) -> Callable[[], Mapping[str, Access]]:
    """Return a function that resolves the access to all clouds, by name, when it is first called.

    It raises SecretError if a key is unusable, and FleetError if a file with CAs is.
    """
    known: dict[str, Access] = {}
    lock = threading.Lock()

    def resolved() -> Mapping[str, Access]:
        # Several gateways may ask at the same time, and a command may ask a person for a passphrase.
        with lock:
            if not known:
                known.update(_resolved(fleet))
        return known

    return resolved


def cloud_key(fleet: Fleet, name: str) -> Secret:
    """Return the key of this cloud. Raise SecretError if it is unusable."""
    where = f"{fleet.path} clouds.{name}.key"
    key = resolve(fleet.file.clouds[name].key, where=where, folder=fleet.path.parent)
    if not _KEY.fullmatch(key.reveal()):
        raise SecretError(
            "is not an API key", where=where, should="should be one line of at most 1,000 characters, without spaces"
        )
    return key


def cloud_ca(fleet: Fleet, name: str) -> str | None:
    """Return the CAs that verify this cloud, as PEM; None: the system's. Raise FleetError if the file is unusable."""
    return ca_in(fleet, fleet.file.clouds[name].ca, f"{fleet.path} clouds.{name}.ca")


def ca_in(fleet: Fleet, written: str | None, where: str) -> str | None:
    """Return the CAs in a file that the fleet file names, as `cloud_ca` does."""
    if written is None:
        return None
    try:
        content = fleet.at(written).read_bytes()
    except OSError as error:
        raise FleetError([Problem(where, f"{fleet.at(written)} can't be read: {error.strerror}")]) from None
    if should := is_no_bundle(content):
        raise FleetError([Problem(where, f"{fleet.at(written)} can't be used", should)])
    return content.decode()


def _resolved(fleet: Fleet) -> Iterator[tuple[str, Access]]:
    for name in fleet.file.clouds:
        yield name, Access(cloud_key(fleet, name), cloud_ca(fleet, name))
