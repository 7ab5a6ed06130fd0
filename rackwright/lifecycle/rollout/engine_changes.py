"""The changes of engines: what a rollout does to a replica, and how it knows that the replica answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from rackwright.errors import HostError, ProofError, RackwrightError
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
from rackwright.remote.answers import read_answer
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
"""Longest wait for an engine to start, in seconds: large models load for minutes."""
LOOK_SECONDS = 180
"""Longest time that two checks of a probe take on an overloaded host, in seconds."""
_REACHED_SECONDS = 10
CRASHES = 3
"""An engine that has ended this often since it was started won't come up, however long one waits."""
_LOOKING = "looking at the engine"
_ENDED = ".service: Main process exited"
"""systemd logs this for each process of a unit that ends."""


def roll(
    session: Session,
    lease_session: LeaseSession,
    changes: Sequence[Change],
    console: Console,
    done: Callable[[Change], None] = lambda _: None,
    *,
    stopping: Stopping,
    rollout: str | None = None,
    outages: Iterable[str] = (),
) -> None:
    """Carry out the changes of replicas or hosts under traffic; call `done` after each.

    `rollout` is the id in the journal; None: this run's own. `outages` are the models whose last healthy replica may
    be taken down. Raise as `Rollout.run` does.
    """
    file, patch, allowed = session.fleet.file.rollout, session.fleet.file.patch, frozenset(outages)

    def downtime(model: str) -> int:
        return seconds_away(lease_session.store.entries(), model) or DOWNTIME_SECONDS

    made = Rollout(
        traffic=GatewayTraffic(
            session,
            lease_session.lease.owner.who,
            f"{lease_session.lease.owner.why} (run {lease_session.run})",
            # Without its only gateway, the fleet serves no model.
            allow_outage=allowed >= set(session.fleet.served_models),
        ),
        rules=Rules(
            file.max_unavailable,
            file.drain_timeout,
            file.soak,
            file.start_timeout,
            allowed,
            downtime,
            patch.max_unavailable if patch else 1,
        ),
        size=lambda model: len(session.fleet.replicas_of(model)),
        journal=_Journal(lease_session, rollout or lease_session.run),
        say=console.say,
        clock=SystemClock(),
        stopping=stopping,
        lost=lambda: _lost(session),
    )
    made.run(changes, done)


def _lost(session: Session) -> set[str]:
    answers = session.remote.run_on(session.fleet.hosts, "true", timeout=_REACHED_SECONDS)
    return {name for name, answer in answers.items() if isinstance(answer, HostError)}


@dataclass(frozen=True)
class Engines:
    """The changes that can be made to a fleet's engines under one lease."""

    session: Session
    lease_session: LeaseSession
    console: Console
    taken: Mapping[str, str] = field(default_factory=dict)
    """HOST/MODEL@N, for each member → sha256 of the unit that it was given; if absent, the session's unit."""

    def restarted(self, replica: Replica, why: str) -> Change:
        """Return a restart of the engine with its installed unit, which must be what fleet file and lock ask for."""

        def act() -> None:
            name = new_act()
            _begin(self.session, replica, replica.host, name)
            self._start(replica, name)

        change = self._proven(replica, why, act)
        return replace(change, check=lambda: self._check_unit(replica))

    def renewed(self, replica: Replica, why: str) -> Change:
        """Return the change to what fleet file and lock ask for. If it isn't proven, it is reverted."""

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
        """Return the change of an engine that already is what it should be: it is only proven and undrained."""
        change = self._proven(replica, why, nothing)
        return replace(change, revert=self._back(replica), doing="already updated")

    def reverted(self, replica: Replica, why: str) -> Change:
        """Return the change back to what the engine was before its last change."""
        back = self._back(replica)
        return Change((replica,), why, act=back.act, prove=back.prove, serves=back.serves, doing="reverting")

    def answering(self, replica: Replica, why: str) -> Change:
        """Return the change of an engine that stays what it is: it only has to answer, and is undrained."""
        back = self._back(replica)
        return Change((replica,), why, act=nothing, prove=back.prove, serves=back.serves, doing="left as it runs")

    def _proven(self, replica: Replica, why: str, act: Act) -> Change:
        session, say = self.session, self._said(replica)
        return Change(
            (replica,),
            why,
            series=replica.model,
            act=act,
            prove=lambda: _reason_not_ready(
                session, replica, prove(session, replica, run=self.lease_session.run, say=say)
            ),
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
            prove=lambda: _reason_not_ready(self.session, replica, answers(self.session, replica)),
            serves=lambda: through_gateways(self.session, replica),
        )

    def _start(self, replica: Replica, act: str) -> None:
        """In a replica group, the other members follow the first."""
        unit, connection = unit_of(self.session, replica), self.session.remote.connection(replica.host)
        seconds = unit.stop_seconds + START_SECONDS
        connection.run(restart_command(unit, act), timeout=seconds).check("starting the engine")

    def _check_unit(self, replica: Replica) -> None:
        looked = self.session.remote.connection(replica.host).run(REPLICAS_COMMAND).check(_LOOKING)
        states = read_answer(replica.host, _LOOKING, parse_replicas, looked.stdout)
        wanted = unit_digest(unit_of(self.session, replica))
        if any(state.replica == replica.name and not state.is_written(wanted) for state in states):
            raise RackwrightError(
                "its unit isn't the one that fleet file and lock ask for, and a restart doesn't change it",
                where=replica.address,
                should="apply the pending changes; that restarts the engine",
                next="rackwright apply",
            )

    def _check_weights(self, replica: Replica) -> None:
        if wrong := whole_weights(self.session, replica):
            raise ProofError(wrong, where=replica.address)

    def _said(self, replica: Replica) -> Callable[[str], None]:
        return lambda text: self.console.say(f"{replica.address}  {text}")


def _reason_not_ready(session: Session, replica: Replica, reason: str | None) -> str | None:
    """Return why a replica isn't ready; `reason` is why it isn't proven yet.

    If it is proven (None), its probe must report it healthy, because the gateways use the probe's state. If it isn't,
    return what its host reports about it, or the reason. Raise ProofError if waiting won't help.
    """
    if reason is None:
        return _probe_now(session, replica)
    looked = session.remote.connection(replica.host).run(REPLICAS_COMMAND)
    for state in read_answer(replica.host, _LOOKING, parse_replicas, looked.stdout):
        if state.replica == replica.name and state.restarts >= CRASHES:
            raise ProofError(
                f"its engine ended {state.restarts} times before it answered: {_last_output(session, replica)}",
                where=replica.address,
            )
        if state.replica == replica.name and state.why:
            return state.said
    return reason


def _probe_now(session: Session, replica: Replica) -> str | None:
    """Make its probe check it now, and its host proxy use the result at once; return why it isn't healthy.

    The proof through the gateways shows whether the host proxy did.
    """
    spec, connection = session.hosts[replica.host], session.remote.connection(replica.host)
    (probe,) = (one for one in spec.probes if one.replica == replica.name)
    looked = connection.run(look_command(probe), timeout=LOOK_SECONDS)
    state = read_answer(replica.host, "its probe's state", state_of, looked.stdout)
    if state not in SERVING:
        return f"its probe says {state}"
    for proxied in spec.host_proxy.replicas if spec.host_proxy else ():
        if proxied.replica == replica.name:
            connection.run(works_command(proxied))
    return None


def _last_output(session: Session, replica: Replica) -> str:
    command = f"journalctl --quiet --no-pager --output=cat --lines=2000 --unit={unit_of(session, replica).unit}"
    return last_journal_lines(session.remote.connection(replica.host).run(command).stdout.splitlines())


def last_journal_lines(journal: list[str]) -> str:
    """Given the journal of an engine's unit, return the last lines that the engine printed before it last ended."""
    ends = [number for number, line in enumerate(journal) if _ENDED in line]
    # systemd may have started it again; what the new process prints doesn't show why the last one ended.
    lines = journal[: ends[-1]] if ends else journal
    # systemd's own lines show that it ended, the engine's lines show why.
    said = [line.strip() for line in lines if line.strip() and "rackwright-" not in line]
    return "; ".join(said[-3:])[:400] or "it printed nothing"


def _begin(session: Session, replica: Replica, host: str, act: str) -> None:
    """Ensure that an earlier act, which this machine has given up, changes nothing more."""
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
    session.remote.connection(host).run(command).check("restoring the engine's unit")


class _Journal:
    """The rollout's journal, on the control host, under the lease."""

    def __init__(self, lease_session: LeaseSession, rollout: str) -> None:
        self._lease_session, self._rollout = lease_session, rollout

    def append(self, phase: Phase, subject: str, detail: str) -> None:
        event = Event.OUTCOME if phase is Phase.DONE else Event.INTENT
        self._lease_session.write(event, self._rollout, subject=subject, phase=phase, detail=detail)
