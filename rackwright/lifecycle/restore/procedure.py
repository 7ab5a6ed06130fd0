"""Restore hosts: choose a snapshot, show the plan, restore next to the present state, validate, switch in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from rackwright.errors import HostError, RackwrightError, UsageError
from rackwright.lifecycle.backup.choose import FUTURE, Chosen, choose
from rackwright.lifecycle.backup.reader import Reader, readers
from rackwright.lifecycle.key import hosts_with_keys
from rackwright.lifecycle.restore import scripts
from rackwright.lifecycle.restore.agree import agree, agree_to_serving
from rackwright.lifecycle.restore.arrived import refuse_odd
from rackwright.lifecycle.restore.asked import KEYS, MODELS, STATE, Asked
from rackwright.lifecycle.restore.in_place import Restored, discard_restored, restore_host
from rackwright.lifecycle.restore.items import ITEMS
from rackwright.lifecycle.restore.key_copies import MergedKeys, merged_keys, write_merged
from rackwright.lifecycle.restore.plan import (
    Files,
    HostPlan,
    RestorePlan,
    parts_of,
    present_files,
    snapshot_files,
)
from rackwright.lifecycle.restore.provision import provision
from rackwright.lifecycle.restore.staging import NotRestored
from rackwright.lifecycle.restore.weights import missing, saved_weights
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased
from rackwright.remote import Connection
from rackwright.remote.answers import read_answer
from rackwright.roles.backup.settings import RESTORES
from rackwright.roles.backup.state import LATE, SLACK, SNAPSHOTS_EVERY
from rackwright.state.formats import stamp, utc_now
from rackwright.state.lease_session import LeaseSession
from rackwright.state.shell import command
from rackwright.state.switch_in import changed_since, revert, settle
from rackwright.stopping import Stopping, stoppable


def restore(
    session: Session, asked: Asked, console: Console, show: Callable[[RestorePlan], None]
) -> tuple[Restored, ...]:
    """Restore the session's hosts; return what each got.

    `show` gets the plan, and the operator is asked before anything changes: for a host that serves, by its name.
    A new machine gets the base system first. What a restore replaces is kept for `undo`. Raise UsageError if no
    snapshot fits, and what `restore_host` raises.
    """
    with ExitStack() as stack, leased(session, f"restore {' '.join(session.hosts)}", console) as lease_session:
        ways = {host: _ways(stack, session, host, asked) for host in session.hosts}
        found = session.remote.each(ways, lambda host: _planned_or_not(session, host, ways[host], asked))
        plans = {host: one for host, one in found.items() if isinstance(one, HostPlan)}
        without = {host: one for host, one in found.items() if isinstance(one, str)}
        planned = RestorePlan(tuple(plans.values()), _keys(session, asked), without)
        show(planned)
        agree(planned, asked, console)
        if planned.keys:
            write_merged(session.fleet, planned.keys)
        # With nothing but keys to restore, a host is left as it is.
        plans = {host: plan for host, plan in plans.items() if not plan.empty}
        with stoppable(console.heard) as stopping:
            provision(session, lease_session, [host for host in plans if plans[host].new_machine], console, stopping)
            work = _Work(session, lease_session, asked, console, stopping, ways)
            return tuple(session.remote.each(plans, lambda host: work.restored(plans[host])).values())


def undo(session: Session, console: Console, serving: tuple[str, ...] = ()) -> Mapping[str, Sequence[str]]:
    """Revert the last restore of each host; return the names of the parts by host.

    Logs and tokens stay merged, and so does the applied fleet. The name of a host that serves must be typed, unless
    `serving` has it. Raise HostError for hosts where there is nothing to revert.
    """
    with leased(session, f"restore {' '.join(session.hosts)} --undo", console) as lease_session:
        for line in _changed_since(session):
            console.say(line)
        for host, units in session.remote.each(
            session.hosts, lambda host: _serving(session.remote.connection(host))
        ).items():
            if host not in serving:
                agree_to_serving(host, units, console)
        console.confirm(f"Revert the last restore of {', '.join(session.hosts)}?")

        def back(host: str) -> Sequence[str]:
            settle(session.remote.connection(host), RESTORES)
            names = revert(session.remote.connection(host), f"{RESTORES}/before", f"{RESTORES}/undone")
            note_leased_act(session, lease_session, (host,), f"reverted {', '.join(names)}")
            return names

        return session.remote.each(session.hosts, back)


def _changed_since(session: Session) -> Iterator[str]:
    """Yield what has changed on each host since its restore: an undo takes it out of use."""
    changed = session.remote.each(
        session.hosts, lambda host: changed_since(session.remote.connection(host), f"{RESTORES}/before")
    )
    for host, some in changed.items():
        if some:
            yield f"{host}: changed since the restore, and kept in {RESTORES}/undone: {', '.join(some)}"


def _ways(stack: ExitStack, session: Session, host: str, asked: Asked) -> tuple[Reader, ...]:
    shell = session.remote.connection(host)
    return stack.enter_context(readers(session.fleet, host, shell, only=asked.repository))


def _planned_or_not(session: Session, host: str, ways: tuple[Reader, ...], asked: Asked) -> HostPlan | str:
    """Return the host's plan. With --all, return why a host has none: it then starts without its old state."""
    try:
        return _planned(session, host, ways, asked)
    except UsageError as error:
        if not asked.everything:
            raise
        return error.problems[0].line()


def _planned(
    session: Session, host: str, ways: tuple[Reader, ...], asked: Asked, damaged: dict[str, str] | None = None
) -> HostPlan:
    shell = session.remote.connection(host)
    shell.open()
    now = utc_now()
    chosen, files = _chosen(session, ways, now, asked, {} if damaged is None else damaged)
    _refuse_wrong_clock(shell, chosen, now)
    serving = _serving(shell)
    new_machine = _is_new(shell, chosen.reader.repository)
    parts = parts_of(files, present_files(shell, ITEMS), chosen.snapshot.time) if STATE in asked.what else ()
    weights = tuple(one for one in saved_weights(session.hosts[host]) if one.folder in chosen.snapshot.paths)
    wanted = missing(shell, weights) if MODELS in asked.what else ()
    return HostPlan(host, chosen, parts, wanted, tuple(serving), new_machine=new_machine, files=files)


def _serving(shell: Connection) -> tuple[str, ...]:
    """Return the units through which clients are served now."""
    return tuple(shell.run(scripts.SERVING).check("looking for what serves").stdout.split())


def _is_new(shell: Connection, repository: str) -> bool:
    """Return whether the host must be set up first. Raise HostError if it was set up, but not for this repository."""
    asking = "looking for the units of backups"
    said = shell.run(command(scripts.INSTALLED, repository)).check(asking).stdout.strip()
    if said == "old":
        raise HostError(
            f"isn't set up to restore from {repository}",
            where=shell.name,
            should="it works already, so apply should change it, with a plan",
            next=f"rackwright apply -l {shell.name}",
        )
    return said == "new"


def _chosen(
    session: Session, ways: tuple[Reader, ...], now: datetime, asked: Asked, damaged: dict[str, str]
) -> tuple[Chosen, Files]:
    """Return a snapshot whose files can be listed, and these files if the state is asked for.

    Repositories that can't list them are added to `damaged`. Raise ProofError if they aren't a host's state.
    """
    while True:
        chosen = choose(ways, session.fleet.file.fleet, now, asked.at, damaged=damaged)
        try:
            files = snapshot_files(chosen) if STATE in asked.what else {}
        except HostError as error:
            damaged[chosen.reader.repository] = error.problems[0].what
            continue
        if STATE in asked.what:
            refuse_odd(files, chosen.reader.host)
        return chosen, files


def _refuse_wrong_clock(shell: Connection, chosen: Chosen, now: datetime) -> None:
    """Raise RackwrightError if snapshots only seem to be of the future, because a clock is wrong.

    Without this, a machine whose clock is a day behind would restore the state of the day before.
    """
    if not any(one.why == FUTURE for one in chosen.passed_over):
        return
    there = read_answer(shell.name, "its clock", int, shell.run("date +%s").check("asking for its clock").stdout)
    apart = abs(there - int(now.timestamp()))
    if apart > SLACK:
        raise RackwrightError(
            f"its clock and this machine's are {apart} s apart, and snapshots are dated in the future",
            where=shell.name,
            should="both clocks should be right, or the newest snapshot isn't known",
            listed=(str(one) for one in chosen.passed_over if one.why == FUTURE),
        )


def _keys(session: Session, asked: Asked) -> MergedKeys | None:
    """Return the keys of all places if a host that has keys is restored."""
    wanted = KEYS in asked.what and set(hosts_with_keys(session.fleet)) & set(session.hosts)
    return merged_keys(session, asked.at) if wanted else None


@dataclass(frozen=True)
class _Work:
    session: Session
    lease_session: LeaseSession
    asked: Asked
    console: Console
    stopping: Stopping
    ways: Mapping[str, tuple[Reader, ...]]

    def restored(self, plan: HostPlan) -> Restored:
        """Restore one host; if a repository fails, from the next one."""
        damaged: dict[str, str] = {}
        while True:
            try:
                done = restore_host(self.session, self.lease_session, plan, self.console, self.stopping)
            except RackwrightError as error:
                what = error.problems[0].what
                self._note(plan, f"failed: {what}")
                if not isinstance(error, NotRestored):
                    raise
                self.console.say(f"{plan.host}: {plan.chosen.reader.repository}: {what}")
                damaged[plan.chosen.reader.repository] = what
            else:
                self._note(plan, "done")
                return done
            failed, plan = plan, self._instead(plan, damaged)
            discard_restored(self.session, failed)
            _refuse_less(failed, plan)
            self.console.say(f"{plan.host}: restoring {_from(plan.chosen)} instead")

    def _instead(self, plan: HostPlan, damaged: dict[str, str]) -> HostPlan:
        """Return the plan for the next repository. Raise HostError if the operator has agreed to something newer."""
        other = _planned(self.session, plan.host, self.ways[plan.host], self.asked, damaged)
        agreed = plan.chosen.snapshot.time
        if agreed - other.chosen.snapshot.time > timedelta(seconds=LATE * SNAPSHOTS_EVERY):
            name = other.chosen.reader.repository
            raise HostError(
                f"{name} only has {_from(other.chosen)}, which is older than the snapshot of {stamp(agreed)}",
                where=plan.host,
                should="an operator should agree to an older one",
                next=f"rackwright restore {plan.host} --from {name}",
            )
        return other

    def _note(self, plan: HostPlan, outcome: str) -> None:
        note_leased_act(self.session, self.lease_session, (plan.host,), f"restored {_from(plan.chosen)}", outcome)


def _refuse_less(agreed: HostPlan, plan: HostPlan) -> None:
    """Raise HostError if the next repository's snapshot has less than the operator agreed to."""
    lacking = {one.model.name for one in agreed.weights} - {one.model.name for one in plan.weights}
    what = [*(["state"] if agreed.parts and not plan.parts else []), *(f"weights of {name}" for name in lacking)]
    if what:
        raise HostError(
            f"{_from(plan.chosen)} has no {' and no '.join(sorted(what))}",
            where=plan.host,
            should="nothing was changed: no other repository has what was agreed to",
            next=f"rackwright backup list {plan.host}",
        )


def _from(chosen: Chosen) -> str:
    return f"{chosen.snapshot.id[:8]} of {stamp(chosen.snapshot.time)} at {chosen.reader.repository}"
