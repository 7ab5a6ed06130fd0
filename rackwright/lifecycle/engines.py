"""Engines under change: restart them through the rollout, and wait for new ones until they answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from shlex import quote

from rackwright.engine import Stopping
from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.gateway import Gateways
from rackwright.lifecycle.plan import Restart
from rackwright.lifecycle.proof import prove
from rackwright.lifecycle.rollout import Change, Phase, Rollout, Rules, SystemClock
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.talk import Talk
from rackwright.lifecycle.traffic import GatewayTraffic
from rackwright.lifecycle.units import unit_of
from rackwright.remote import Remote
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.state.holding import Held
from rackwright.state.journal import Event

START_SECONDS = 600
"""Longest wait for an engine that was started, in seconds: large models load for minutes."""


def roll(
    site: Site,
    held: Held,
    restarts: Sequence[Restart],
    talk: Talk,
    done: Callable[[Replica], None] = lambda _: None,
    *,
    stopping: Stopping,
    allow_outage: bool = False,
) -> None:
    """Restart each engine in turn: drained, restarted, proven by a real token, returned. `done` hears of each.

    Raise RackwrightError or ProofError at the first that fails, or where it was stopped; what went before stays done.
    """
    file = site.fleet.file.rollout
    rollout = Rollout(
        traffic=GatewayTraffic(site.gateways, held.lease.owner.who, f"{held.lease.owner.why} (run {held.run})"),
        rules=Rules(file.max_unavailable, file.drain, file.soak, START_SECONDS, allow_outage),
        size=lambda model: len(site.fleet.replicas_of(model)),
        journal=_Journal(held),
        tell=lambda phase, replica, detail: talk.say(f"{replica.address}: {phase}: {detail}"),
        clock=SystemClock(),
        stopping=stopping,
    )
    rollout.run([_restart(site, restart, held.run) for restart in restarts], lambda change: done(change.replica))


def _restart(site: Site, restart: Restart, run: str) -> Change:
    replica = restart.replica
    unit = unit_of(site, replica)
    connection = site.remote.connection(replica.host)
    command = f"systemctl restart -- {quote(unit.unit)}"

    def act() -> None:
        connection.run(command, timeout=unit.stop_seconds + START_SECONDS).check("restarting the engine")

    return Change(
        replica=replica,
        act=act,
        prove=lambda: prove(site, replica, run=run),
        why=restart.why,
    )


def settle(
    site: Site,
    gateways: Gateways,
    talk: Talk,
    replicas: Sequence[Replica],
    stopping: Stopping,
    returned: Callable[[str], None] = lambda _: None,
) -> None:
    """Return when each of these replicas has answered at its socket and every one of these gateways sends to it.

    Those that somebody drained by hand need only answer; those that a run drained and never returned are returned,
    and `returned` hears of each.
    Raise ProofError naming all that don't in time, RackwrightError naming all that haven't when it was stopped.
    """
    waiting = {replica.address: replica for replica in replicas}
    proven: set[str] = set()
    deadline = time.monotonic() + START_SECONDS
    while reasons := _unsettled(site, gateways, talk, waiting, proven, returned):
        if stopping():
            waited = ", ".join(reasons)
            raise RackwrightError(f"interrupted; not seen to answer yet: {waited}", next="rackwright status")
        if time.monotonic() > deadline:
            reasons |= told_by_probes(site.remote, waiting.values())
            raise ProofError(
                "\n  ".join(f"{address}: {reason}" for address, reason in reasons.items()),
                should=f"every engine should answer within {START_SECONDS} s",
                next=f"rackwright logs {next(iter(reasons))}",
            )
        time.sleep(0.5)


def _unsettled(
    site: Site,
    gateways: Gateways,
    talk: Talk,
    waiting: dict[str, Replica],
    proven: set[str],
    returned: Callable[[str], None],
) -> dict[str, str]:
    """Return why each replica isn't settled, without those that are; `proven` grows by those that answer now."""
    unproven = [address for address in waiting if address not in proven]
    proofs = site.remote.each(unproven, lambda address: prove(site, waiting[address]))
    reasons = {address: reason for address, reason in proofs.items() if reason is not None}
    proven |= set(unproven) - set(reasons)
    states = gateways.servers()
    for address in [address for address in waiting if address in proven and address in states]:
        if states[address].drained and not states[address].held:
            gateways.ready(address)
            returned(address)
            talk.say(f"{address}: answers; it goes back to the gateways, whose run ended before that")
    served = {address for address, state in states.items() if state.takes_requests or state.held}
    served |= set() if gateways.hosts else proven
    for address in [address for address in waiting if address in proven & served]:
        talk.say(f"{address}: answers")
        del waiting[address]
    return {address: reasons.get(address, "no gateway sends to it yet") for address in waiting}


def told_by_probes(remote: Remote, replicas: Iterable[Replica]) -> dict[str, str]:
    """Return what the probes of those that don't serve say of them, by address."""
    answers = remote.run_on(tuple({replica.host for replica in replicas}), REPLICAS_COMMAND)
    states = {
        f"{host}/{state.replica}": state
        for host, answer in answers.items()
        if not isinstance(answer, HostError)
        for state in parse_replicas(answer.stdout)
    }
    return {
        replica.address: states[replica.address].said
        for replica in replicas
        if replica.address in states and not states[replica.address].serves
    }


class _Journal:
    """The rollout's journal, on the control host, under the lease."""

    def __init__(self, held: Held) -> None:
        self._held = held

    def append(self, phase: Phase, replica: str, detail: str) -> None:
        event = Event.OUTCOME if phase is Phase.DONE else Event.INTENT
        self._held.write(event, self._held.run, subject=replica, phase=phase, detail=detail)
