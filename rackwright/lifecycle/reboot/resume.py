"""Resume or abort an open rollout over hosts, from any machine with the fleet file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rackwright.errors import HostError, LeasedError, ProofError
from rackwright.fleet.lock_file import require_match
from rackwright.lifecycle.reboot.procedure import ChangesOf, Work, complete, look, reboots_of, serve_as_they_run
from rackwright.lifecycle.rollout.change import Paused
from rackwright.lifecycle.rollout.opened import still_open, taken_over
from rackwright.lifecycle.rollout.outage_needs import require_outages
from rackwright.lifecycle.session.agreements import Agreements, command
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.own_copy import compared_under_lease
from rackwright.lifecycle.session.remember import note_changes, refuse_stale_checkout
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run
from rackwright.state.rollout import HostRollout
from rackwright.stopping import stoppable


def resume(
    session: Session,
    rollout: HostRollout,
    console: Console,
    changes_of: ChangesOf = reboots_of,
    unattended: Agreements | None = None,
    *,
    not_stale: bool = False,
    started: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """Complete the rollout as if it had not been interrupted; return the hosts that it changed now.

    A host that has rebooted is not rebooted again. The session's lock is the one that the rollout leads to, if it
    leads to one. `started` is called once, when only the work itself is left. Raise as `complete` does, LeasedError
    if the fleet file lacks one of its hosts, or if these files are older than the applied ones, FleetError if the
    fleet file doesn't match that lock, RackwrightError if an unattended run may not take down what is left to change.
    """
    _refuse_other_hosts(session, rollout)
    if rollout.after:
        require_match(session.fleet, rollout.after)
    with (
        taken_over(session, rollout, command("resume", unattended), console) as lease_session,
        stoppable(console.heard) as stopping,
    ):

        def ran(run: Run) -> None:
            note_changes(session, lease_session, run, session.hosts)

        if rollout.after:
            # It ends with these files as the applied ones.
            refuse_stale_checkout(compared_under_lease(session), console, not_stale=not_stale, unattended=unattended)
        work = Work(
            session, lease_session, rollout, console, stopping, ran, changes_of=changes_of, unattended=unattended
        )
        if unattended:
            left = [one.part.name for one in look(work) if not one.done]
            require_outages(session, unattended, console, hosts=left, agreed=rollout.outages)
            widened = rollout.model_copy(update={"outages": unattended.widened(rollout.outages)})
            work = replace(work, rollout=widened)
        started()
        return complete(work)


def abort(
    session: Session, rollout: HostRollout, console: Console, reason: str, changes_of: ChangesOf = reboots_of
) -> None:
    """Let every host serve as it runs now, and close the rollout. Raise as `serve_as_they_run` does."""
    _refuse_other_hosts(session, rollout)
    with taken_over(session, rollout, "abort", console) as lease_session, stoppable(console.heard) as stopping:
        try:
            serve_as_they_run(Work(session, lease_session, rollout, console, stopping, changes_of=changes_of), reason)
        except (HostError, ProofError, Paused) as error:
            raise still_open(error, rollout) from None


def _refuse_other_hosts(session: Session, rollout: HostRollout) -> None:
    if gone := [part.name for part in rollout.hosts if part.name not in session.hosts]:
        raise LeasedError(
            f"not in service in this fleet file: {', '.join(gone)}",
            where=str(session.fleet.path),
            should=f"{rollout.what}, started by {rollout.who}, is about them",
            next="use the fleet file of the rollout; or rackwright rollout abort --leave",
        )
