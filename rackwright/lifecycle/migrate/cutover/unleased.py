"""Entries of a migration's log that need no lease: a way back must not wait for another operator."""

from __future__ import annotations

from rackwright.errors import LeasedError
from rackwright.lifecycle.migrate.log_entry import entry_after
from rackwright.lifecycle.session.remember import note_act
from rackwright.lifecycle.session.session import Session
from rackwright.run import new_run_id
from rackwright.state.migrations import Log, Step, add, read_log
from rackwright.values.base import Stored

_TRIES = 10
_NO_PLAN = "0" * 64
"""There was no entry yet that says what the plan was."""


def note_unleased(session: Session, migration: str, step: Step, what: str, result: Stored | None = None) -> Log:
    """Add an entry to the migration's log, whether or not another operator has the lease; return the log.

    Write an audit line on the control hosts. The entry has the plan of the one before. Raise HostError if no control
    host answers, LeasedError if others add entries all the time.
    """
    text = result.model_dump_json(indent=1) + "\n" if result else None
    for _ in range(_TRIES):
        log = read_log(session.store, migration)
        before = log.entries[-1] if log.entries else None
        plan, keys = (before.plan, before.keys) if before else (_NO_PLAN, {})
        entry = entry_after(session, log, step, what, text, plan=plan, keys=keys)
        found = add(session.store, log, entry, text)
        if found.entries[-1] == entry:
            _audit(session, migration, step, what)
            return found
    raise LeasedError("others add entries to the log all the time", where=migration)


def _audit(session: Session, migration: str, step: Step, what: str) -> None:
    run, command = new_run_id(), f"migrate {step} {migration}"
    session.remote.each(
        session.fleet.control,
        lambda host: note_act(session, host, run=run, command=command, what=what, outcome="done"),
    )
