"""Engines under change: what the rollout does to a replica, and how it knows that it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rackwright.engine import Stopping
from rackwright.errors import ProofError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.changes import Act, Change, Phase, PutBack, Rules, SystemClock, nothing
from rackwright.lifecycle.rollout import Rollout
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.talk import Talk
from rackwright.lifecycle.traffic import GatewayTraffic
from rackwright.roles.replica.proof import proof, proof_command
from rackwright.roles.replica.settings import Settings as ReplicaUnit
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.roles.replica.switch import put_back_command, restart_command, take_command
from rackwright.roles.replica.unit import render
from rackwright.state.holding import Held
from rackwright.state.journal import Event

START_SECONDS = 600
"""Longest wait for an engine that was started, in seconds: large models load for minutes."""
CRASHES = 3
"""An engine that ended so often since it was started will not come up by waiting."""


def roll(
    site: Site,
    held: Held,
    changes: Sequence[Change],
    talk: Talk,
    done: Callable[[Replica], None] = lambda _: None,
    *,
    stopping: Stopping,
    rollout: str | None = None,
    allow_outage: bool = False,
    gap: int = 60,
) -> None:
    """Carry out the changes, one replica at a time, under traffic. `done` hears of each.

    `rollout` is the id in the journal: this run's own where it is absent. Raise as `Rollout.run` does.
    """
    file = site.fleet.file.rollout
    made = Rollout(
        traffic=GatewayTraffic(site.gateways, held.lease.owner.who, f"{held.lease.owner.why} (run {held.run})"),
        rules=Rules(file.max_unavailable, file.drain, file.soak, file.start, allow_outage, gap),
        size=lambda model: len(site.fleet.replicas_of(model)),
        journal=_Journal(held, rollout or held.run),
        tell=lambda phase, replica, detail: talk.say(f"{replica.address}: {phase}: {detail}"),
        clock=SystemClock(),
        stopping=stopping,
    )
    made.run(changes, lambda change: done(change.replica))


def restarted(site: Site, replica: Replica, why: str) -> Change:
    """The engine anew, as it is."""
    return Change(replica, why, act=_restarting(site, replica), prove=lambda: proving(site, replica))


def renewed(site: Site, replica: Replica, why: str) -> Change:
    """The engine as fleet file and lock say; what ran before is kept, and put back where it isn't proven."""

    def act() -> None:
        site.remote.each(_hosts(site, replica), lambda host: _take(site, replica, host))
        restart()

    restart = _restarting(site, replica)
    return Change(
        replica,
        why,
        act=act,
        prove=lambda: proving(site, replica),
        put_back=PutBack(_putting_back(site, replica), lambda: answering(site, replica)),
    )


def returned(site: Site, replica: Replica, why: str) -> Change:
    """The engine is what it should be already: it only has to be proven and to take requests again."""
    before = PutBack(_putting_back(site, replica), lambda: answering(site, replica))
    return Change(replica, why, act=nothing, prove=lambda: proving(site, replica), put_back=before)


def reverted(site: Site, replica: Replica, why: str) -> Change:
    """The engine as it was before its last change."""
    return Change(replica, why, act=_putting_back(site, replica), prove=lambda: answering(site, replica))


def resumed(site: Site, replica: Replica, why: str) -> Change:
    """The engine as it runs, whatever that is: it only has to answer and to take requests again."""
    return Change(replica, why, act=nothing, prove=lambda: answering(site, replica))


def unit_of(site: Site, replica: Replica, host: str | None = None) -> ReplicaUnit:
    """Return the replica's unit on one of its hosts, on the first where none is named."""
    (unit,) = (unit for unit in site.models[host or replica.host].replicas if unit.name == replica.name)
    return unit


def proving(site: Site, replica: Replica) -> str | None:
    """Return why the replica isn't what fleet file and lock say, with an answer to prove it, or None.

    Raise ProofError where waiting won't help.
    """
    reason = prove(site, replica)
    return _refuse_crashed(site, replica, reason) if reason else None


def answering(site: Site, replica: Replica) -> str | None:
    """Return why the replica doesn't answer, or None. Raise ProofError where waiting won't help."""
    reason = prove(site, replica)
    return _refuse_crashed(site, replica, reason) if reason else None


def prove(site: Site, replica: Replica) -> str | None:
    """Ask the replica for a real token at its socket; return why it isn't proven, or None."""
    name = site.fleet.file.models[replica.model].names[0]
    answer = site.remote.connection(replica.host).run(proof_command(unit_of(site, replica), name), timeout=90)
    if proof(answer.stdout):
        return None
    return " ".join((answer.stderr or answer.stdout or "no tokens came back").split())[:200]


def _hosts(site: Site, replica: Replica) -> tuple[str, ...]:
    return tuple(host for host in replica.hosts if host in site.models)


def _take(site: Site, replica: Replica, host: str) -> None:
    unit = unit_of(site, replica, host)
    command = take_command(unit)
    site.remote.connection(host).run(command, stdin=render(unit)).check("writing the engine's unit")


def _putting_back(site: Site, replica: Replica) -> Act:
    def put_back(host: str) -> None:
        command = put_back_command(unit_of(site, replica, host))
        site.remote.connection(host).run(command).check("putting the engine's unit back")

    def act() -> None:
        site.remote.each(_hosts(site, replica), put_back)
        restart()

    restart = _restarting(site, replica)
    return act


def _restarting(site: Site, replica: Replica) -> Act:
    """Of several members the others follow the first."""

    def act() -> None:
        unit, connection = unit_of(site, replica), site.remote.connection(replica.host)
        connection.run(restart_command(unit), timeout=unit.stop_seconds + START_SECONDS).check("starting the engine")

    return act


def _refuse_crashed(site: Site, replica: Replica, reason: str) -> str:
    """Return the reason, or what its host says of an engine that doesn't answer."""
    told = site.remote.connection(replica.host).run(REPLICAS_COMMAND).stdout
    for state in parse_replicas(told):
        if state.replica == replica.name and state.restarts >= CRASHES:
            raise ProofError(
                f"its engine ended {state.restarts} times before it answered ({state.crash or 'without an error'}): "
                + _last_words(site, replica),
                where=replica.address,
            )
        if state.replica == replica.name and state.why:
            return state.said
    return reason


def _last_words(site: Site, replica: Replica) -> str:
    command = f"journalctl --quiet --no-pager --output=cat --lines=40 --unit={unit_of(site, replica).unit}"
    lines = site.remote.connection(replica.host).run(command).stdout.splitlines()
    # systemd's own lines say that it ended, the engine's say why.
    said = [line.strip() for line in lines if line.strip() and "rackwright-" not in line]
    return "; ".join(said[-3:])[:400] or "it said nothing"


class _Journal:
    """The rollout's journal, on the control host, under the lease."""

    def __init__(self, held: Held, rollout: str) -> None:
        self._held, self._rollout = held, rollout

    def append(self, phase: Phase, replica: str, detail: str) -> None:
        event = Event.OUTCOME if phase is Phase.DONE else Event.INTENT
        self._held.write(event, self._rollout, subject=replica, phase=phase, detail=detail)
