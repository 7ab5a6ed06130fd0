"""Promote the lock that a rollout has proven."""

from __future__ import annotations

from rackwright.errors import HostsFailed
from rackwright.fleet.lock_file import write_lock
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import remember
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import survey
from rackwright.lifecycle.session.under_lease import apply_leased
from rackwright.lifecycle.update.next_lock import remove_next
from rackwright.state.lease_session import LeaseSession


def promote(
    session: Session, lease_session: LeaseSession, console: Console, unattended: Agreements | None = None
) -> None:
    """Give gateways and backups the session's digests, make its lock NAME.lock, and record it on all hosts.

    An unattended run pushes it to the fleet's git repository, too; that this failed is in `unattended`. It is safe to
    repeat. Raise HostsFailed if a gateway or backup can't be changed: then the old lock stays.
    """
    from rackwright.deploys.site import publish

    hosts = [name for name, spec in session.hosts.items() if spec.gateway or spec.backup]
    run = apply_leased(session, lease_session, publish, hosts)
    if run.failed_hosts:
        raise HostsFailed(
            f"could not publish the new version to: {', '.join(run.failed_hosts)}",
            should="every engine already runs it",
            next="rackwright rollout resume",
        )
    write_lock(session.fleet.sibling("lock"), session.lock)
    remove_next(session.fleet)
    console.say(f"{session.fleet.sibling('lock')} is the new lock: commit it")
    remember(session, lease_session, run, survey(session), known=False, promotes=True)
    if unattended and session.fleet.file.unattended.repository:
        # Imports git's part of it only where it is needed.
        from rackwright.lifecycle.lock.lock_branch import publish_promoted

        unattended.unpublished = publish_promoted(session, console, lease_session.lease.owner.why)
