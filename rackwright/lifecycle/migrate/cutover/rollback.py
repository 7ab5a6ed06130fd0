"""`migrate rollback` and `migrate pause`: they need no lease, and no plan on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rackwright.errors import HostError, RackwrightError, UsageError
from rackwright.gateway.cutover_states import CutoverRecord
from rackwright.lifecycle.migrate.cutover.shares import cutovers_of, still_given
from rackwright.lifecycle.migrate.cutover.standing import cutting
from rackwright.lifecycle.migrate.cutover.unleased import note_unleased
from rackwright.lifecycle.migrate.finish.standing import finished
from rackwright.lifecycle.rollout.change import Clock
from rackwright.lifecycle.session.session import Session
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.plan.plan_file import NAME
from rackwright.report.words import counted
from rackwright.state.migrations import read_log


@dataclass(frozen=True)
class RolledBack:
    gateways: tuple[str, ...]
    """All their requests go to the cloud."""
    missed: Mapping[str, str]
    """Gateway → why it can't be said of it."""
    not_noted: str = ""
    """Why the migration's log doesn't say so; "": it does."""


def rollback(session: Session, migration: str, clock: Clock) -> RolledBack:
    """Send all requests of the migration to the cloud, at every gateway that can be reached, and note it.

    Answers that run go on where they are. A cutover under way ends. It is the same if it is repeated. If the
    migration has ended, there is no cloud: raise UsageError afterwards.
    """
    require_name(migration)
    cutovers = cutovers_of(session, migration)
    record = CutoverRecord(migration=migration, share=0, back=True, who=session.operator.who)
    answers = cutovers.roll_back(record)
    missed = {host: one.problems[0].what for host, one in answers.items() if isinstance(one, HostError)}
    missed |= still_given(cutovers, clock, frozenset(answers) - missed.keys())
    back = tuple(host for host in answers if host not in missed)
    return RolledBack(back, missed, _noted(session, migration, back, missed))


def pause(session: Session, migration: str, why: str) -> None:
    """Keep the share as it is until `migrate resume`: a run that is under way ends. Raise UsageError if no cutover is
    under way, HostError if no control host answers."""
    require_name(migration)
    now = cutting(session.store, read_log(session.store, migration))
    if not now.state.under_way:
        raise UsageError("no cutover is under way", where=migration, next=f"rackwright migrate status {migration}")
    note_unleased(session, migration, "pause", why)


def require_name(migration: str) -> None:
    """Raise UsageError if this can't be the name of a migration."""
    if not re.fullmatch(NAME, migration):
        raise UsageError("is no name of a migration", where=migration)


def _noted(session: Session, migration: str, back: tuple[str, ...], missed: Mapping[str, str]) -> str:
    """Note it; return why that wasn't possible, "" if it was. Clients are served by the cloud in any case."""
    try:
        log = read_log(session.store, migration)
        if finished(session.store, log).done:
            what = "the migration has ended: the gateways have no key of the cloud, and the fleet answers"
            raise UsageError(what, where=migration, next=f"rackwright migrate certificate {migration}")
        before = cutting(session.store, log).state
        state = CutoverState(
            phase="back",
            share=0,
            before=before.share,
            earlier=before.since if before.under_way else before.earlier,
            earlier_share=before.share if before.under_way else before.earlier_share,
            passed=before.passed,
            tried_back=before.tried_back or not missed,
            missed=missed,
        )
        what = f"all requests go to the cloud, at {counted(len(back), 'gateway')}"
        note_unleased(
            session, migration, "rollback", f"{what}; not reached: {', '.join(missed)}" if missed else what, state
        )
    except UsageError:
        raise
    except RackwrightError as error:
        return str(error.problems[0])
    return ""
