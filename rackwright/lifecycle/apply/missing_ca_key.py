"""Certificates that are due, and a machine that can't issue them: refuse before anything changes."""

from __future__ import annotations

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.ca import ca_of
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.check.ca import KEY, due_on_hosts, judge_ca, kept, questions
from rackwright.lifecycle.check.requirements import parse
from rackwright.lifecycle.check.result import State
from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_each
from rackwright.roles.certificate.settings import FOLDER
from rackwright.run import Outcome, Run

_ROLE = "certificate"
_ISSUED = "issued"
_LOOK = f'for path in {FOLDER}/*.ca.crt; do [ ! -f "$path" ] || echo {_ISSUED} "$path"; done'
"""Prints a line for each certificate from the fleet's CA, whether or not the fleet file still asks for it."""


def refuse_missing_ca_key(session: Session, planned: Run) -> None:
    """Raise RackwrightError naming the certificates that are due on hosts if this machine can't issue them.

    The same if NAME.ca.crt is missing and any host of the fleet has a certificate: a new CA would not be trusted by
    the fleet's clients. Hosts are asked only if a certificate changes and the CA or its key is missing.
    """
    if not _changes(planned) or _issues(session.fleet):
        return
    scripts = {
        name: "\n".join([_LOOK, *(questions(session.hosts[name]) if name in session.hosts else ())])
        for name in session.remote.names
    }
    answers = read_each(session.remote.run_on(scripts, scripts), "looking at its certificates", parse)
    read = {name: answer for name, answer in answers.items() if not isinstance(answer, HostError)}
    having = {name: kept(read[name].values.get(KEY, ())) for name in session.hosts if name in read}
    judged = judge_ca(
        session.fleet,
        due_on_hosts(session.fleet, session.hosts, having),
        certified=any(_ISSUED in answer.values for answer in read.values()),
    )
    if judged.state is State.FAILED:
        raise RackwrightError(judged.found, next=judged.next)


def _changes(planned: Run) -> bool:
    return any(step.role == _ROLE and step.outcome is Outcome.WOULD_CHANGE for step in planned.steps)


def _issues(fleet: Fleet) -> bool:
    """Return whether the CA and its key are on this machine."""
    try:
        ca_of(fleet).private_key()
    except RackwrightError:
        return False
    return True
