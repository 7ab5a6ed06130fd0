"""Certificates that are due, and a machine without the CA's key: refuse before anything changes."""

from __future__ import annotations

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.ca import ca_of
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.check.ca import KEY, due_on_hosts, judge_ca, kept, questions
from rackwright.lifecycle.check.requirements import parse
from rackwright.lifecycle.check.result import State
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_each
from rackwright.run import Outcome, Run

_ROLE = "certificate"


def refuse_missing_ca_key(session: Session, planned: Run) -> None:
    """Raise RackwrightError naming the certificates that are due on hosts if this machine doesn't have the CA's key.

    Hosts are asked only if a certificate changes and the key is missing. A fleet without a CA gets one: if it had one
    before, `refuse_stale_checkout` has refused.
    """
    if not _changes(planned) or _issues(session.fleet):
        return
    scripts = {name: "\n".join(questions(spec)) for name, spec in session.hosts.items() if spec.certificates}
    answers = read_each(session.remote.run_on(scripts, scripts), "looking at its certificates", parse)
    having = {
        name: kept(answer.values.get(KEY, ()))
        for name, answer in answers.items()
        if not isinstance(answer, HostError)
    }
    judged = judge_ca(session.fleet, due_on_hosts(session.fleet, session.hosts, having), certified=False)
    if judged.state is State.FAILED:
        raise RackwrightError(judged.found, next=judged.next)


def _changes(planned: Run) -> bool:
    return any(step.role == _ROLE and step.outcome is Outcome.WOULD_CHANGE for step in planned.steps)


def _issues(fleet: Fleet) -> bool:
    """Return whether certificates can be issued here: with the key, or for the first time."""
    authority = ca_of(fleet)
    if not authority.ca_pem:
        return True
    try:
        authority.private_key()
    except RackwrightError:
        return False
    return True
