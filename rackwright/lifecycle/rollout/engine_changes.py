"""Engines under change: what the rollout does to a replica, and how it knows that it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from rackwright.errors import ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.proof.procedure import answers, prove
from rackwright.lifecycle.proof.through_gateways import through_gateways
from rackwright.lifecycle.proof.weights import whole_weights
from rackwright.lifecycle.rollout.change import (
    DOWNTIME_SECONDS,
    Act,
    Change,
    Phase,
    Revert,
    Rules,
    SystemClock,
    nothing,
)
from rackwright.lifecycle.rollout.procedure import Rollout
from rackwright.lifecycle.rollout.traffic import GatewayTraffic
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.replica_units import hosts_of, unit_of
from rackwright.lifecycle.session.session import Session
from rackwright.roles.host_proxy.now import works_command
from rackwright.roles.probe.now import look_command, state_of
from rackwright.roles.replica.state import COMMAND as REPLICAS_COMMAND
from rackwright.roles.replica.state import SERVING
from rackwright.roles.replica.state import parse as parse_replicas
from rackwright.roles.replica.switch import (
    begin_command,
    new_act,
    restart_command,
    revert_command,
    take_command,
)
from rackwright.roles.replica.unit import render, unit_digest
from rackwright.state.journal import Event, seconds_away
from rackwright.state.lease_session import LeaseSession
from rackwright.stopping import Stopping

START_SECONDS = 600
"""Longest wait for an engine that was started, in seconds: large models load for minutes."""
LOOK_SECONDS = 180
"""Longest time that two looks of a probe take on a host with too much to do."""
CRASHES = 3
"""An engine that ended so often since it was started will not come up by waiting."""
_ENDED = ".service: Main process exited"
"""systemd says so of each process of a unit that ended."""


def roll(
    session: Session,
    lease_session: LeaseSession,
    changes: Sequence[Change],
    console: Console,
    done: Callable[[Replica], None] = lambda _: None,
    *,
    stopping: Stopping,
    rollout: str | None = None,
    outages: Iterable[str] = (),
) -> None:
    """Carry out the changes, one replica at a time, under traffic. `done` hears of each.

    `rollout` is the id in the journal: this run's own where it is absent. `outages`: models of which the last healthy
    replica may be taken, too. Raise as `Rollout.run` does.
    """
    file = session.fleet.file.rollout

    def downtime(model: str) -> int:
        return seconds_away(lease_session.store.entries(), model) or DOWNTIME_SECONDS

    made = Rollout(
        traffic=GatewayTraffic(
            session.gateways,
            lease_session.lease.owner.who,
            f"{lease_session.lease.owner.why} (run {lease_session.run})",
        ),
        rules=Rules(
            file.max_unavailable, file.drain_timeout, file.soak, file.start_timeout, frozenset(outages), downtime
        ),
        size=lambda model: len(session.fleet.replicas_of(model)),
        journal=_Journal(lease_session, rollout or lease_session.run),
        say=console.say,
        clock=SystemClock(),
        stopping=stopping,
    )
    made.run(changes, lambda change: done(change.replica))


@dataclass(frozen=True)
class Engines:
    """What can happen to engines of a site, under one lease."""

    session: Session
    lease_session: LeaseSession
    console: Console
    taken: Mapping[str, str] = field(default_factory=dict)
    """HOST/MODEL@N, each member's too → sha256 of the unit that it was given; absent: as the site says."""

    def restarted(self, replica: Replica, why: str) -> Change:
        """The engine anew, as it is; that must be what fleet file and lock say."""

        def act() -> None:
            name = new_act()
            _begin(self.session, replica, replica.host, name)
            self._start(replica, name)

        change = self._proven(replica, why, act)
        return replace(change, check=lambda: self._check_unit(replica))

    def renewed(self, replica: Replica, why: str) -> Change:
        """The engine as fleet file and lock say; what ran before is kept, and put back where it isn't proven."""

        def act() -> None:
            name = new_act()
            self.session.remote.each(
                hosts_of(self.session, replica), lambda host: _take(self.session, replica, host, name)
            )
            self._start(replica, name)

        change = self._proven(replica, why, act)
        check = partial(self._check_weights, replica)
        return replace(change, check=check, revert=self._back(replica), doing="updating")

    def undrained(self, replica: Replica, why: str) -> Change:
        """The engine is what it should be already: it only has to be proven and to take requests again."""
        change = self._proven(replica, why, nothing)
        return replace(change, revert=self._back(replica), doing="already updated")

    def reverted(self, replica: Replica, why: str) -> Change:
        """The engine as it was before its last change."""
        back = self._back(replica)
        return Change(replica, why, act=back.act, prove=back.prove, serves=back.serves, doing="reverting")

    def answering(self, replica: Replica, why: str) -> Change:
        """The engine as it runs, whatever that is: it only has to answer and to take requests again."""
        back = self._back(replica)
        return Change(replica, why, act=nothing, prove=back.prove, serves=back.serves, doing="left as it runs")

    def _proven(self, replica: Replica, why: str, act: Act) -> Change:
        session, say = self.session, self._said(replica)
        return Change(
            replica,
            why,
            act=act,
            prove=lambda: _seen(session, replica, prove(session, replica, run=self.lease_session.run, say=say)),
            serves=lambda: through_gateways(session, replica),
        )

    def _back(self, replica: Replica) -> Revert:
        def act() -> None:
            name = new_act()

            def back(host: str) -> None:
                _revert(self.session, replica, host, name, self.taken.get(f"{host}/{replica.name}"))

            self.session.remote.each(hosts_of(self.session, replica), back)
            self._start(replica, name)

        return Revert(
            act,
            prove=lambda: _seen(self.session, replica, answers(self.session, replica)),
            serves=lambda: through_gateways(self.session, replica),
        )

    def _start(self, replica: Replica, act: str) -> None:
        """Of several members the others follow the first."""
        unit, connection = unit_of(self.session, replica), self.session.remote.connection(replica.host)
        seconds = unit.stop_seconds + START_SECONDS
        connection.run(restart_command(unit, act), timeout=seconds).check("starting the engine")

    def _check_unit(self, replica: Replica) -> None:
        looked = self.session.remote.connection(replica.host).run(REPLICAS_COMMAND)
        reply = looked.check("looking at the engine").stdout
        wanted = unit_digest(unit_of(self.session, replica))
        if any(state.replica == replica.name and not state.is_written(wanted) for state in parse_replicas(reply)):
            raise RackwrightError(
                "fleet file and lock ask for another unit than it has: a restart would not bring it",
                where=replica.address,
                should="what isn't applied yet changes with an apply, which restarts it",
                next="rackwright apply",
            )

    def _check_weights(self, replica: Replica) -> None:
        if wrong := whole_weights(self.session, replica):
            raise ProofError(wrong, where=replica.address)

    def _said(self, replica: Replica) -> Callable[[str], None]:
        return lambda text: self.console.say(f"{replica.address}  {text}")


def _seen(session: Session, replica: Replica, reason: str | None) -> str | None:
    """Return why its probe, by which gateways go, doesn't find an engine well that has been proven (no reason).

    Else the reason, or what its host says of it. Raise ProofError where it will not come up by waiting.
    """
    if reason is None:
        return _heard(session, replica)
    for state in parse_replicas(session.remote.connection(replica.host).run(REPLICAS_COMMAND).stdout):
        if state.replica == replica.name and state.restarts >= CRASHES:
            raise ProofError(
                f"its engine ended {state.restarts} times before it answered: {_last_words(session, replica)}",
                where=replica.address,
            )
        if state.replica == replica.name and state.why:
            return state.said
    return reason


def _heard(session: Session, replica: Replica) -> str | None:
    """Have its probe look now, and its host proxy, if there is one, go by that now and not when it next asks.

    Whether that was heard, the proof through the gateways shows.
    """
    model, connection = session.hosts[replica.host], session.remote.connection(replica.host)
    (probe,) = (one for one in model.probes if one.replica == replica.name)
    reply = state_of(connection.run(look_command(probe), timeout=LOOK_SECONDS).stdout)
    if reply not in SERVING:
        return f"its probe says {reply}"
    for proxied in model.host_proxy.replicas if model.host_proxy else ():
        if proxied.replica == replica.name:
            connection.run(works_command(proxied))
    return None


def _last_words(session: Session, replica: Replica) -> str:
    command = f"journalctl --quiet --no-pager --output=cat --lines=2000 --unit={unit_of(session, replica).unit}"
    return last_journal_lines(session.remote.connection(replica.host).run(command).stdout.splitlines())


def last_journal_lines(journal: list[str]) -> str:
    """Given the lines of an engine's unit, return what the engine said before it last ended."""
    ends = [number for number, line in enumerate(journal) if _ENDED in line]
    # systemd may have started it again, and its first words say nothing of why the last one ended.
    lines = journal[: ends[-1]] if ends else journal
    # systemd's own lines say that it ended, the engine's say why.
    said = [line.strip() for line in lines if line.strip() and "rackwright-" not in line]
    return "; ".join(said[-3:])[:400] or "it said nothing"


def _begin(session: Session, replica: Replica, host: str, act: str) -> None:
    """An act before it that this machine has given up changes nothing more."""
    command = begin_command(unit_of(session, replica, host), act)
    session.remote.connection(host).run(command).check("changing the engine")


def _take(session: Session, replica: Replica, host: str, act: str) -> None:
    _begin(session, replica, host, act)
    unit = unit_of(session, replica, host)
    command = take_command(unit, act)
    session.remote.connection(host).run(command, stdin=render(unit)).check("writing the engine's unit")


def _revert(session: Session, replica: Replica, host: str, act: str, taken: str | None) -> None:
    _begin(session, replica, host, act)
    command = revert_command(unit_of(session, replica, host), act, taken)
    session.remote.connection(host).run(command).check("putting the engine's unit back")


class _Journal:
    """The rollout's journal, on the control host, under the lease."""

    def __init__(self, lease_session: LeaseSession, rollout: str) -> None:
        self._held, self._rollout = lease_session, rollout

    def append(self, phase: Phase, replica: str, detail: str) -> None:
        event = Event.OUTCOME if phase is Phase.DONE else Event.INTENT
        self._held.write(event, self._rollout, subject=replica, phase=phase, detail=detail)
