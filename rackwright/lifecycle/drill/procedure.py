"""Carry out a drill: hold the scratch hosts, recover the fleet on them, prove it, and wipe them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from rackwright.errors import ProofError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.targets import scratch_targets, targets
from rackwright.lifecycle.backup.private_folder import private_folder
from rackwright.lifecycle.client.origin import own_address
from rackwright.lifecycle.drill.client_checks import drill_keys
from rackwright.lifecycle.drill.drill_fleet import Place
from rackwright.lifecycle.drill.evidence.conclusion import WIPED
from rackwright.lifecycle.drill.evidence.facts import Check, Facts
from rackwright.lifecycle.drill.guard import Guard, Signs, guard_of
from rackwright.lifecycle.drill.prove import prove
from rackwright.lifecycle.drill.record import Record, RecordedConsole
from rackwright.lifecycle.drill.recover import Open, Recovered, Recovery
from rackwright.lifecycle.drill.scenarios import SCENARIOS
from rackwright.lifecycle.drill.scope import Scope, drill_of
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker
from rackwright.lifecycle.drill.scratch_hosts.not_production import Proven
from rackwright.lifecycle.drill.scratch_hosts.wipe import Brought
from rackwright.lifecycle.drill.statements import brought_to, keys_used, recovery_points
from rackwright.lifecycle.restore.everything import View
from rackwright.lifecycle.session.console import Console
from rackwright.remote import Remote
from rackwright.state.formats import utc_now
from rackwright.values.secrets import Secret

_ROOM = 1 << 30


@dataclass(frozen=True)
class Drill:
    """One drill that has been planned."""

    own: Fleet
    lock: Lock
    scope: Scope
    guard: Guard
    opened: Open
    console: Console
    view: View
    keys: tuple[Secret | None, Secret | None]
    """A valid and a revoked API key, to try on the restored gateways."""

    def carry_out(self, record: Record, proven: Proven) -> Facts:
        """Return the facts of the drill. Whatever fails is in them, and the scratch hosts are wiped."""
        record.add(*self.guard.as_hosts(proven.checks))
        work = Work(self, record, RecordedConsole(self.console, record))
        with _noted(record):
            # The next drill takes the marker of this one for what it is only with a record of it.
            record.keep()
            with self.guard.held(proven) as signs:
                try:
                    with _noted(record):
                        work.rehearse(proven, signs)
                finally:
                    work.clean()
        return record.end()


@contextmanager
def _noted(record: Record) -> Iterator[None]:
    """Note what ends the block, and go on: also after a bug, hosts must be wiped and a report written."""
    try:
        yield
    except RackwrightError as error:
        record.fail("; ".join(": ".join(filter(None, (one.where, one.line()))) for one in error.problems))
    except KeyboardInterrupt:
        record.fail("stopped by the operator")
    except OSError as error:
        record.fail(": ".join(filter(None, (str(error.filename or ""), error.strerror or type(error).__name__))))
        record.say(traceback.format_exc())
    except Exception as error:
        record.fail(f"unexpected {type(error).__name__}: {error}; this is a bug in rackwright")
        record.say(traceback.format_exc())


@contextmanager
def planned(
    own: Fleet, lock: Lock, scope: Scope, record: Record, opened: Open, console: Console, view: View
) -> Iterator[Drill]:
    """Yield the drill, with connections that are closed at the end of the block. Nothing has been changed.

    Raise SecretError if an API key of the fleet file doesn't resolve.
    """
    keys = drill_keys(own)
    with Remote((*targets(own), *scratch_targets(own))) as remote:
        marker = Marker(fleet=own.file.fleet, drill=record.facts.drill, who=record.facts.operator, time=utc_now())
        guard = guard_of(own, lock, scope, marker, remote)
        yield Drill(own, lock, scope, guard, opened, console, view, keys)


@dataclass
class Work:
    """A drill that is carried out."""

    drill: Drill
    record: Record
    console: RecordedConsole
    brought: Mapping[str, Brought] = field(default_factory=dict)

    def rehearse(self, proven: Proven, signs: Signs) -> None:
        """Isolate the scratch hosts, recover the scenario's hosts on them, and prove what was recovered."""
        self._clean_leftovers(proven)
        self._isolate(proven)
        signs.check()
        self.record.timeline.declare_loss()
        with private_folder(room=_ROOM) as folder:
            recovery = Recovery(self.drill.opened, self.record, self.console, self.drill.view, self.empty)
            recovered = SCENARIOS[self.drill.scope.scenario](recovery, self.place(), folder)
            signs.check()
            if recovered:
                self._prove(recovered)
        self.record.reach("probes from outside")
        self.record.add(*self._as_hosts(self.drill.guard.probe_from_outside()))

    def _isolate(self, proven: Proven) -> None:
        """Close the scratch hosts off. Raise ProofError if they aren't: then no data may arrive there."""
        self.record.reach("isolation")
        closed = self.drill.guard.isolate(proven)
        checks = self._as_hosts(self.drill.guard.probe_from_inside(closed))
        self.record.add(*checks)
        if unproven := [one for one in checks if one.outcome != "passed"]:
            raise ProofError(
                "the scratch hosts are not proven to be isolated, so nothing is restored to them",
                listed=(f"{one.host}: {one.name}: {one.outcome}: {one.found}" for one in unproven),
            )

    def empty(self) -> None:
        """Wipe the scratch hosts, and keep them. Raise ProofError if one isn't proven to be wiped."""
        self.drill.guard.clean(self.drill.guard.scratch)

    def clean(self) -> None:
        """Wipe the scratch hosts. Raise ProofError if one isn't proven to be wiped; it stays isolated."""
        # A full disk here must not keep restored data there.
        with _noted(self.record):
            self.record.reach("wipe")
        try:
            checks = self.drill.guard.wiped(self.brought)
        except ProofError as error:
            failed = tuple(Check(WIPED, "failed", one.where, one.what) for one in error.problems)
            self.record.add(*self._as_hosts(failed))
            raise
        self.record.add(*self._as_hosts(checks))

    def _as_hosts(self, checks: tuple[Check, ...]) -> tuple[Check, ...]:
        return self.drill.guard.as_hosts(checks)

    def _clean_leftovers(self, proven: Proven) -> None:
        if proven.leftovers:
            self.record.reach("leftovers")
            self.console.say(f"wiping what an earlier drill left on {', '.join(proven.leftovers)}")
            self.drill.guard.clean(proven.leftovers)

    def place(self) -> Place:
        """Return where the drill's fleet is."""
        own, scratch = self.drill.own, self.drill.scope.scratch
        gateways = (drill_of(own).hosts[scratch[name]] for name in own.gateways if name in scratch)
        here = (own_address(str(host.address)) for host in gateways)
        return Place(self.drill.scope, own, tuple(dict.fromkeys(address for address in here if address)))

    def _prove(self, recovered: Recovered) -> None:
        """Prove what was recovered, and note what an auditor asks for."""
        drill, record = self.drill, self.record
        record.reach("proofs")
        timing = record.timeline.timing
        assert timing is not None  # noqa: S101
        with drill.opened(recovered.fleet) as session:
            # First: if a proof can't be made, the hosts are wiped of this, too.
            self.brought = {host: brought_to(session, host) for host in session.hosts}
            proved = prove(session, recovered, drill.keys, timing.loss_declared)
        record.add(*proved.checks)
        record.facts = replace(
            record.facts,
            integrity=proved.data.integrity,
            negative_controls=proved.data.negative_controls,
            recovery_points=recovery_points(drill.own, recovered.plans.values(), recovered.at),
            decryption_keys=keys_used(drill.own, recovered.plans.values()),
            versions=replace(record.facts.versions, engines=proved.engines) if record.facts.versions else None,
        )
