"""The gates before a host is patched. All are judged, not only up to the first closed one, and at any time again.

`look` asks hosts and Prometheus; `gates` judges what was seen, and is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from rackwright.errors import HostError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.patch.alerts import Alerts, ask_alerts, names_of
from rackwright.lifecycle.patch.calendar_gates import freeze_gate, window_gate
from rackwright.lifecycle.patch.gate_state import Gate, GateState
from rackwright.lifecycle.patch.host_clocks import HostClock, ask_clocks
from rackwright.lifecycle.patch.other_hosts import others_gate
from rackwright.lifecycle.patch.prometheus import Prometheus
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey, survey
from rackwright.operations.facts.clock import Synchronized
from rackwright.report.words import counted, duration
from rackwright.roles.backup.state import SLACK, age
from rackwright.state.formats import utc_now

MOST_OFFSET = 300
"""Most seconds by which a host's clock may differ from the controller's."""
_MOST_LISTED = 8


@dataclass(frozen=True)
class Seen:
    """What gates judge, at one moment."""

    now: datetime
    survey: Survey
    """Of all hosts in service: one that wasn't asked closes the gate `others`."""
    clocks: Mapping[str, HostClock | HostError]
    alerts: Alerts | None
    """None: the fleet file names no Prometheus."""


def look(session: Session, prometheus: Prometheus | None) -> Seen:
    """Ask the session's hosts, and Prometheus. Changes nothing; what doesn't answer is part of the result."""
    said = session.fleet.file.patch.prometheus if session.fleet.file.patch else None
    alerts = ask_alerts(prometheus, said.ignore if said else ()) if prometheus else None
    clocks = ask_clocks(session.remote, session.hosts)
    return Seen(utc_now(), survey(session), clocks, alerts)


def gates(
    fleet: Fleet,
    host: str,
    seen: Seen,
    *,
    seconds: float,
    changing: Collection[str] = (),
    quarantined: Mapping[str, str] | None = None,
) -> tuple[Gate, ...]:
    """Return every gate of a host, in a fixed order.

    `seconds`: what the host's change takes, the way back included. `changing`: hosts that this run changes now.
    `quarantined`: hosts that an earlier run left drained, with the reason.
    """
    own = {host, *changing}
    return (
        window_gate(fleet, host, seen.now, seconds),
        freeze_gate(fleet, host, seen.now, seconds),
        _alerts(fleet, seen.alerts, own),
        _backup(fleet, host, seen.survey),
        _clock(seen.clocks.get(host)),
        others_gate(fleet, seen.survey, own, quarantined or {}),
    )


def _alerts(fleet: Fleet, alerts: Alerts | None, own: Collection[str]) -> Gate:
    if alerts is None:
        return Gate("alerts", GateState.OPEN, "the fleet file names no Prometheus")
    if alerts.unknown:
        return Gate("alerts", GateState.UNKNOWN, alerts.unknown, "Prometheus must say which alerts fire", alerts.next)
    against = alerts.against(names_of(fleet, own))
    if not against:
        fine = (
            f"{counted(len(alerts.firing), 'alert')}, silenced or about hosts under change" if alerts.firing else None
        )
        return Gate("alerts", GateState.OPEN, fine or "no alert fires")
    listed = tuple(str(alert) for alert in against[:_MOST_LISTED])
    more = (f"and {len(against) - _MOST_LISTED} more",) if len(against) > _MOST_LISTED else ()
    found = f"{counted(len(against), 'alert fires', 'alerts fire')}"
    if alerts.silences_unknown:
        found = f"{found}, and which are silenced isn't known: {alerts.silences_unknown}"
        return Gate("alerts", GateState.UNKNOWN, found, _QUIET, alerts.next, (*listed, *more))
    return Gate("alerts", GateState.CLOSED, found, _QUIET, _SILENCE, (*listed, *more))


_QUIET = "only silenced alerts, and those of the host under change, may fire"
_SILENCE = "solve what fires, silence it in Alertmanager, or add its name to patch.prometheus.ignore"


def _backup(fleet: Fleet, host: str, survey: Survey) -> Gate:
    backup, patch = fleet.file.backup, fleet.file.patch
    if backup is None or backup.snapshots == "no" or patch is None:
        return Gate("backup", GateState.OPEN, "the fleet file asks for no snapshots")
    should, run = f"at most {age(patch.backup_within)}", f"rackwright backup run {host}"
    surveyed = survey.hosts.get(host)
    if surveyed is None:
        return Gate("backup", GateState.UNKNOWN, _unread(survey, host), should, f"rackwright status -l {host}")
    states = (surveyed.backup.repositories.get(repository.name) for repository in backup.to)
    ages = [state.snapshot_age for state in states if state and state.snapshot_age is not None]
    # A snapshot from the future says nothing about its age: the host's clock was set back.
    usable = [one for one in ages if one >= -SLACK]
    if not usable:
        found = "its newest snapshot is dated in the future" if ages else "there is no good snapshot yet"
        return Gate("backup", GateState.CLOSED, found, should, run)
    newest = max(min(usable), 0)
    found = f"the newest good snapshot is {age(newest)} old"
    if newest > patch.backup_within:
        return Gate("backup", GateState.CLOSED, found, should, run)
    return Gate("backup", GateState.OPEN, found)


def _clock(clock: HostClock | HostError | None) -> Gate:
    should = f"should be synchronized, and at most {MOST_OFFSET // 60} min from the controller's"
    if clock is None or isinstance(clock, HostError):
        found = "wasn't asked" if clock is None else clock.problems[0].what
        return Gate("clock", GateState.UNKNOWN, f"the host's clock isn't known: {found}", should, "rackwright status")
    found = "; ".join(_clock_findings(clock))
    if found:
        state = GateState.UNKNOWN if clock.synchronized is Synchronized.UNKNOWN else GateState.CLOSED
        closed = GateState.CLOSED if abs(clock.offset) > MOST_OFFSET else state
        return Gate("clock", closed, found, should, "set up time synchronization (baseline.time_sync) on both")
    return Gate("clock", GateState.OPEN, f"{abs(clock.offset):.0f} s from the controller's")


def _clock_findings(clock: HostClock) -> Iterator[str]:
    if abs(clock.offset) > MOST_OFFSET:
        yield f"it is {duration(abs(clock.offset))} {'ahead of' if clock.offset > 0 else 'behind'} the controller's"
    if clock.synchronized is Synchronized.NO:
        yield "it isn't synchronized"
    if clock.synchronized is Synchronized.UNKNOWN:
        yield "the host doesn't say whether it is synchronized"


def _unread(survey: Survey, host: str) -> str:
    reason = survey.unreachable.get(host)
    return f"{host} can't be asked: {reason}" if reason else f"{host} wasn't asked"
