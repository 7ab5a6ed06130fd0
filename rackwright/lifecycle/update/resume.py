"""Resume or abort an open rollout from one lock to another, from any machine with the same fleet file."""

from __future__ import annotations

from dataclasses import replace

from rackwright.errors import HostError, LeasedError, ProofError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.lifecycle.canary.golden_answers import golden_set_of
from rackwright.lifecycle.rollout.change import Paused
from rackwright.lifecycle.rollout.opened import still_open, taken_over
from rackwright.lifecycle.rollout.outage_needs import require_outages
from rackwright.lifecycle.session.agreements import Agreements, command
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.update.procedure import files_digest
from rackwright.lifecycle.update.unfinished import Work, complete, revert_all, survey_replicas
from rackwright.state.canaries import read_trial
from rackwright.state.rollout import Rollout
from rackwright.stopping import stoppable


def resume(
    session: Session, rollout: Rollout, console: Console, *, unattended: Agreements | None = None
) -> tuple[Replica, ...]:
    """Complete the rollout as if it had not been interrupted; return the replicas that it changed.

    The session's lock is the one that the rollout leads to. Raise as `complete` does, LeasedError if the fleet file
    isn't the one that it was started with, FleetError if a canary's golden set can't be read here, RackwrightError if
    an unattended run may not take down what is left to change.
    """
    _refuse_other_files(session.fleet, rollout)
    for model in sorted(read_trial(session.store, rollout.id).untried(rollout.canaries)):
        golden_set_of(session.fleet, model)
    verb = command("resume", unattended)
    with taken_over(session, rollout, verb, console) as lease_session, stoppable(console.heard) as stopping:
        work = Work(session, lease_session, rollout, console, stopping, unattended)
        if unattended:
            left = [one.replica for one in survey_replicas(work) if not (one.whole and one.serves)]
            require_outages(session, unattended, console, replicas=left, agreed=rollout.outages)
            widened = rollout.model_copy(update={"outages": unattended.widened(rollout.outages)})
            work = replace(work, rollout=widened)
        return complete(work)


def abort(session: Session, rollout: Rollout, console: Console, reason: str) -> None:
    """Bring every replica back to the previous version and close the rollout. Raise as `revert_all` does."""
    with taken_over(session, rollout, "abort", console) as lease_session, stoppable(console.heard) as stopping:
        try:
            revert_all(Work(session, lease_session, rollout, console, stopping), reason)
        except (HostError, ProofError, Paused) as error:
            raise still_open(error, rollout) from None


def _refuse_other_files(fleet: Fleet, rollout: Rollout) -> None:
    if files_digest(fleet) == rollout.files:
        return
    commit = f"git checkout {rollout.commit[:12]}" if rollout.commit else f"use the fleet file of {rollout.who}"
    raise LeasedError(
        f"this fleet file isn't the one that {rollout.who} started the rollout with",
        where=str(fleet.path),
        should="a rollout can only be resumed with the fleet file that it was started with",
        next=f"{commit}, then rackwright rollout resume; or rackwright rollout abort",
    )
