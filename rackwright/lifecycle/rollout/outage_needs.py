"""Which models lose their last healthy replica by changes that are about to start. Only unattended runs ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.gateway import ServerState
from rackwright.lifecycle.session.agreements import Agreements, Need, away
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session


def require_outages(
    session: Session,
    unattended: Agreements | None,
    console: Console,
    *,
    replicas: Iterable[Replica] = (),
    hosts: Iterable[str] = (),
    agreed: Collection[str] = (),
) -> None:
    """Raise RackwrightError unless the fleet file allows every outage by a change of these replicas and hosts.

    `agreed`: models for which a person has allowed it. A run of a person isn't checked here: it is asked, or pauses
    before the replica.
    """
    if unattended is None:
        return
    changed = tuple(hosts)
    changes = (*((one,) for one in replicas), *map(session.fleet.parts_on, changed))
    if not changes:
        return
    found = outage_needs(session.fleet, session.gateways.servers(), changes, changed)
    if needs := [need for need in found if need.model not in agreed]:
        models = ", ".join(dict.fromkeys(need.model for need in needs if need.model))
        refusal = RackwrightError(f"no replica of these models serves for a while: {models}")
        unattended.require(needs, refusal, console)


def outage_needs(
    fleet: Fleet, states: dict[str, ServerState], changes: Sequence[Sequence[Replica]], hosts: Collection[str]
) -> tuple[Need, ...]:
    """Return what must allow these changes, each of replicas that are unavailable at the same time.

    `states`: every replica at the gateways. `hosts`: those that change as a whole.
    """
    return tuple(dict.fromkeys(_needs(fleet, states, changes, hosts)))


def _needs(
    fleet: Fleet, states: dict[str, ServerState], changes: Sequence[Sequence[Replica]], hosts: Collection[str]
) -> Iterator[Need]:
    healthy = {address for address, state in states.items() if state.takes_requests}
    for change in changes:
        gone = {one.address for one in change}
        for model in dict.fromkeys(one.model for one in change):
            serve = {address for address in healthy if states[address].model == model}
            if serve & gone and not serve - gone:
                yield away(fleet, model)
    if set(fleet.gateways) <= set(hosts) and len(fleet.gateways) == 1:
        # Without its only gateway, the fleet serves no model.
        yield from (away(fleet, model) for model in fleet.served_models)
