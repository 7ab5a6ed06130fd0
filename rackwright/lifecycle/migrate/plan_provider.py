"""The management API of a plan's provider, with the keys and the route that the fleet has for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rackwright.errors import FleetError, Problem, SecretError
from rackwright.fleet.downloads import route_from_here
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.cloud_access import ca_in, cloud_key
from rackwright.fleet.secrets import resolve
from rackwright.lifecycle.migrate.provider_client import Limits, ProviderClient, provider_client
from rackwright.lifecycle.migrate.provider_turns import Turns
from rackwright.migrate.finish.state import Reached
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_file import plan_file
from rackwright.values.secrets import Secret


def reached(fleet: Fleet, plan: Plan) -> Reached:
    """Return how the plan's provider is reached. Raise FleetError if the fleet file doesn't have the cloud."""
    cloud = fleet.file.clouds.get(plan.cloud)
    if cloud is None:
        raise FleetError(
            [Problem(f"{fleet.path} clouds", f"has no {plan.cloud}", "the plan's cloud should be one of clouds")]
        )
    return Reached(cloud=plan.cloud, url=plan.provider.url or cloud.url, auth=cloud.auth, ca=cloud.ca)


@contextmanager
def plan_provider(
    fleet: Fleet, plan: Plan, *, limits: Limits | None = None, turns: Turns | None = None, connections: int = 1
) -> Iterator[ProviderClient]:
    """Yield a client of the provider's management API.

    Raise SecretError if a key doesn't resolve, FleetError if the fleet file doesn't have the cloud, or if the file
    with its CAs can't be used.
    """
    way = reached(fleet, plan)
    keys = [cloud_key(fleet, plan.cloud)]
    if plan.provider.admin_key:
        keys.append(_admin_key(plan.provider.admin_key, plan_file(fleet.path, plan.migration)))
    with _client(fleet, way, keys, limits, turns, connections) as client:
        yield client


@contextmanager
def left_provider(
    fleet: Fleet,
    plan: Plan,
    way: Reached,
    *,
    limits: Limits | None = None,
    turns: Turns | None = None,
    connections: int = 1,
) -> Iterator[ProviderClient]:
    """Yield a client with nothing but `provider.admin_key`: the fleet may have no key any more.

    Raise FleetError if the plan has no such key, and as plan_provider does.
    """
    where = plan_file(fleet.path, plan.migration)
    if plan.provider.admin_key is None:
        raise FleetError(
            [Problem(f"{where} provider.admin_key", "is missing", "should be a key that may list files")]
        )
    keys = [_admin_key(plan.provider.admin_key, where)]
    with _client(fleet, way, keys, limits, turns, connections) as client:
        yield client


@contextmanager
def _client(
    fleet: Fleet, way: Reached, keys: Sequence[Secret], limits: Limits | None, turns: Turns | None, connections: int
) -> Iterator[ProviderClient]:
    route = route_from_here(fleet).proxy_for(way.url)
    ca = ca_in(fleet, way.ca, f"{fleet.path} clouds.{way.cloud}.ca")
    with provider_client(
        way.url, way.auth, keys, ca=ca, proxy=route, limits=limits, turns=turns, connections=connections
    ) as client:
        yield client


def _admin_key(reference: str, plan: Path) -> Secret:
    where = f"{plan} provider.admin_key"
    key = resolve(reference, where=where, folder=plan.parent)
    if not re.fullmatch("[\x21-\x7e]{1,1000}", key.reveal()):
        raise SecretError("is not an API key", where=where, should="should be one line, without spaces")
    return key
