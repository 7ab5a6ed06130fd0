"""The next entry of a migration's log, as this operator at this machine adds it."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.lifecycle.session.session import Session
from rackwright.state.formats import utc_now
from rackwright.state.migrations import Entry, Log, Step, digest_of


def entry_after(
    session: Session,
    log: Log,
    step: Step,
    what: str,
    result: str | None,
    *,
    plan: str,
    keys: Mapping[str, str],
    manifest: str | None = None,
) -> Entry:
    """Return the entry that follows the log, with the time of now.

    `result`: the text of its result; `plan`, `keys` and `manifest`: as in an Entry. What can't be printed becomes
    spaces, and more than 1,000 characters are left out.
    """
    return Entry(
        migration=log.migration,
        number=len(log.entries) + 1,
        time=utc_now(),
        who=session.operator.who,
        machine=session.operator.machine,
        step=step,
        what="".join(one if one.isprintable() else " " for one in what)[:1000],
        plan=plan,
        keys=keys,
        manifest=manifest,
        result=digest_of(result) if result is not None else None,
        previous=log.last,
    )
