"""The management API of a plan's provider, with the keys and the route that the fleet has for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rackwright.errors import SecretError
from rackwright.fleet.downloads import route_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.cloud_access import cloud_ca, cloud_key
from rackwright.fleet.secrets import resolve
from rackwright.lifecycle.migrate.provider_client import Limits, ProviderClient, provider_client
from rackwright.lifecycle.migrate.provider_turns import Turns
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_file import plan_file
from rackwright.values.secrets import Secret


@contextmanager
def plan_provider(
    fleet: Fleet, plan: Plan, *, limits: Limits | None = None, turns: Turns | None = None, connections: int = 1
) -> Iterator[ProviderClient]:
    """Yield a client of the provider's management API.

    Raise SecretError if a key doesn't resolve, FleetError if the file with its CAs can't be used.
    """
    cloud = fleet.file.clouds[plan.cloud]
    base = plan.provider.url or cloud.url
    keys = [cloud_key(fleet, plan.cloud)]
    if plan.provider.admin_key:
        keys.append(_admin_key(plan.provider.admin_key, plan_file(fleet.path, plan.migration)))
    route, ca = route_from_here(fleet).proxy_for(base), cloud_ca(fleet, plan.cloud)
    with provider_client(
        base, cloud.auth, keys, ca=ca, proxy=route, limits=limits, turns=turns, connections=connections
    ) as client:
        yield client


def _admin_key(reference: str, plan: Path) -> Secret:
    where = f"{plan} provider.admin_key"
    key = resolve(reference, where=where, folder=plan.parent)
    if not re.fullmatch("[\x21-\x7e]{1,1000}", key.reveal()):
        raise SecretError("is not an API key", where=where, should="should be one line, without spaces")
    return key
