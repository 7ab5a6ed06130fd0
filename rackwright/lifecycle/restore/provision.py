"""Set up new machines for a restore: the base system and the backups' units, but no engine or gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rackwright.errors import HostsFailed, Problem
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run
from rackwright.state.lease_session import LeaseSession
from rackwright.stopping import Stopping


def provision(
    session: Session, lease_session: LeaseSession, hosts: Sequence[str], console: Console, stopping: Stopping
) -> None:
    """Set the hosts up as far as a restore needs it. The operator is asked about ports that would close.

    Raise HostsFailed if one of them couldn't be set up, and the errors of a plan.
    """
    if not hosts:
        return
    from rackwright.deploys.backup import backup
    from rackwright.lifecycle.apply.carry_out import set_up, then
    from rackwright.lifecycle.apply.plan import plan
    from rackwright.lifecycle.apply.procedure import agree_to_close
    from rackwright.lifecycle.apply.stages import Options
    from rackwright.lifecycle.apply.work import Work

    limited = replace(session, hosts={host: session.hosts[host] for host in hosts})
    planned = plan(limited)
    agree_to_close(planned, Options(), console)
    work = Work(limited, lease_session, Options(), console, stopping)
    _refuse_failed(then(work, set_up(work, planned), backup))


def _refuse_failed(run: Run) -> None:
    """Raise HostsFailed, naming each host's failed operations, if a host couldn't be set up."""
    if not run.failed_hosts and not run.interrupted:
        return
    error = HostsFailed("new machines could not be set up")
    error.problems = tuple(
        Problem(host, run.unreachable.get(host) or _failed(run, host), next=f"rackwright apply -l {host}")
        for host in run.failed_hosts
    ) or (Problem("", "interrupted before new machines were set up"),)
    raise error


def _failed(run: Run, host: str) -> str:
    failed = [step for step in run.of(host) if step.outcome == "failed"]
    said = (": ".join((step.role, step.operation, *step.output[-1:])) for step in failed)
    return "; ".join(said) or "could not be set up"
