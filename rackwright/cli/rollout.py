"""`rackwright rollout`: show the open rollout, resume it or abort it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import (
    Group,
    allow_outage_option,
    common_options,
    confirm,
    no_canary_option,
    not_stale_option,
    pass_context,
    refuse_with_unattended,
    unattended_option,
    yes_option,
)

if TYPE_CHECKING:
    from rackwright.cli.common.console import Console
    from rackwright.fleet.lock import Lock
    from rackwright.lifecycle.reboot.procedure import ChangesOf
    from rackwright.lifecycle.rollout.opened import OpenRollout
    from rackwright.lifecycle.session.agreements import Agreements
    from rackwright.lifecycle.session.session import Session
    from rackwright.state.journal import Entry
    from rackwright.state.rollout import AnyRollout, HostRollout


@click.group(cls=Group)
def rollout() -> None:
    """Show, resume or abort the open rollout.

    A rollout changes replicas (`model update`) or hosts (`patch run`, `apply --reboot`). It stays open until all of
    them are changed, or as before again. Any operator can resume or abort it, from any machine. While it is open,
    nothing else can change the fleet.
    """


@rollout.command()
@common_options
@pass_context
def status(context: Context) -> None:
    """Show the open rollout and its journal. Asks only the control host."""
    hosts_needed()
    from rackwright.lifecycle.rollout.opened import opened

    found = opened(context.fleet)
    context.answer({"rollout": _document(found)}, *_lines(found))


@rollout.command()
@no_canary_option
@allow_outage_option
@not_stale_option
@yes_option
@unattended_option
@common_options
@pass_context
def resume(context: Context, canary: bool, allow_outage: bool, not_stale: bool, yes: bool, unattended: bool) -> None:
    """Continue the open rollout. It goes by what the hosts run now, not by the journal.

    An update needs the fleet file that it was started with. A canary continues with the step that it had reached.
    With --no-canary, you accept the new version without a verdict. A host that has rebooted is not rebooted again.
    """
    refuse_with_unattended(unattended=unattended, yes=yes, allow_outage=allow_outage, not_stale=not_stale)
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.undelivered_document import undelivered_documents
    from rackwright.lifecycle.notify.notified import notified
    from rackwright.lifecycle.rollout.opened import required
    from rackwright.lifecycle.session.agreements import Agreements
    from rackwright.lifecycle.session.session import open_session
    from rackwright.lifecycle.update.after import refreshed_kit

    agreements = Agreements(context.fleet) if unattended else None
    found = _agreed(context, required(context.fleet).rollout, allow_outage)
    patched, agreed = _patched(found), yes or unattended
    with (
        Console(quiet=context.json, yes=agreed) as console,
        notified(context.fleet, "rollout resume", console, agreed=agreed, wanted=bool(patched)) as notices,
        open_session(context.fleet, progress=console.on_step, lock=_leads_to(found)) as session,
    ):
        console.confirm(f"Resume {found.what}, started by {found.who}?")
        notices.started(patched, found.id, found.what)
        done = _resumed(session, found, console, agreements, canary=canary, not_stale=not_stale)
        said = f"{found.what}: {', '.join(done) or 'nothing was left to change'}"
        notices.ends(said, done)
        unpublished = agreements.unpublished if agreements else None
        if unpublished:
            notices.fails(unpublished.problems)
        failure = refreshed_kit(context.fleet, session, console)
    document = {"rollout": found.id, "what": found.what, "changed": done}
    context.answer({**document, "not_notified": undelivered_documents(notices.undelivered)}, said)
    if error := failure or unpublished:
        raise error


def _leads_to(found: AnyRollout) -> Lock | None:
    """Return the lock that the rollout leads to, None if it is the fleet's."""
    return found.after


def _patched(found: AnyRollout) -> tuple[str, ...]:
    """Return the hosts of a patch run; none if the rollout is something else."""
    from rackwright.state.rollout import HostRollout

    if isinstance(found, HostRollout) and found.procedure == "patch":
        return tuple(part.name for part in found.hosts)
    return ()


def _resumed(
    session: Session,
    found: AnyRollout,
    console: Console,
    unattended: Agreements | None,
    *,
    canary: bool,
    not_stale: bool,
) -> list[str]:
    """Return what was changed: hosts, or replicas as HOST/MODEL@N."""
    from rackwright.lifecycle.reboot.resume import resume as resume_hosts
    from rackwright.lifecycle.update.resume import resume as resume_update
    from rackwright.state.rollout import HostRollout

    if isinstance(found, HostRollout):
        changes_of = _changes_of(found)
        hosts = resume_hosts(session, found, console, changes_of, unattended=unattended, not_stale=not_stale)
        return list(hosts)
    wanted = found if canary else found.model_copy(update={"canaries": ()})
    return [replica.address for replica in resume_update(session, wanted, console, unattended=unattended)]


def _changes_of(found: HostRollout) -> ChangesOf:
    """Return what the rollout's procedure does to a host."""
    from rackwright.lifecycle.patch.run import patches_of
    from rackwright.lifecycle.reboot.procedure import reboots_of

    return patches_of if found.procedure == "patch" else reboots_of


@rollout.command()
@click.option("--reason", default="asked for", help="Why; written into the journal.")
@click.option("--leave", is_flag=True, help="Close the rollout and leave every replica and host as it is now.")
@allow_outage_option
@yes_option
@common_options
@pass_context
def abort(context: Context, reason: str, leave: bool, allow_outage: bool, yes: bool) -> None:
    """Restore the previous version, replica by replica, and close the rollout.

    Hosts that were rebooted stay as they are: those whose engines answer get requests again.
    """
    hosts_needed()
    rollout, what = _left(context, reason, yes) if leave else _reverted(context, reason, allow_outage, yes)
    context.answer({"rollout": rollout, "what": what, "aborted": reason}, f"{what}: aborted")


def _reverted(context: Context, reason: str, allow_outage: bool, yes: bool) -> tuple[str, str]:
    """Revert the open rollout. Return its id and its command."""
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.reboot.resume import abort as abort_hosts
    from rackwright.lifecycle.rollout.opened import required
    from rackwright.lifecycle.session.session import open_session
    from rackwright.lifecycle.update.resume import abort as abort_update
    from rackwright.state.rollout import HostRollout

    found = _agreed(context, required(context.fleet).rollout, allow_outage)
    becomes = (
        "let every host serve as it runs now" if isinstance(found, HostRollout) else "restore the previous version"
    )
    with (
        Console(quiet=context.json, yes=yes) as console,
        open_session(context.fleet, progress=console.on_step, lock=_leads_to(found)) as session,
    ):
        console.confirm(f"Abort {found.what}, started by {found.who}, and {becomes}?")
        if isinstance(found, HostRollout):
            abort_hosts(session, found, console, reason, _changes_of(found))
        else:
            abort_update(session, found, console, reason)
    return found.id, found.what


def _left(context: Context, reason: str, yes: bool) -> tuple[str, str]:
    """Close the open rollout without a change. Return its id and its command."""
    from rackwright.lifecycle.rollout.opened import leave, open_entry

    found = open_entry(context.fleet)
    confirm(
        f"Abort {found.detail}, started by {found.operator}, and leave every replica and host as it is now?", yes=yes
    )
    leave(context.fleet, found, reason)
    return found.rollout, found.detail


def _agreed(context: Context, found: AnyRollout, allow_outage: bool) -> AnyRollout:
    """Return the rollout with the planned downtime that was accepted at its start, or is accepted now."""
    if not allow_outage:
        return found
    return found.model_copy(update={"outages": getattr(found, "models", tuple(context.fleet.file.models))})


def _lines(found: OpenRollout | None) -> list[str]:
    from rackwright.state.formats import stamp

    if found is None:
        return ["no rollout is open"]
    about = found.rollout
    live = found.lease and found.lease.live
    how = "" if about.unattended is None else ", unattended"
    lines = [
        f"{about.what}{how}, started by {about.who} at {stamp(about.when)} (rollout {about.id})",
        f"{found.lease.owner.who} is working on it now" if found.lease and live else "no one is working on it now",
        *map(_line, found.entries),
    ]
    return [*lines, *([] if live else ["next: rackwright rollout resume, or rackwright rollout abort"])]


def _line(entry: Entry) -> str:
    from rackwright.state.formats import stamp

    return f"{stamp(entry.time)}  {entry.subject or '-'}  {entry.phase or entry.event}: {entry.detail}"


def _document(found: OpenRollout | None) -> Json:
    from rackwright.state.formats import stamp
    from rackwright.state.rollout import Rollout

    if found is None:
        return None
    about = found.rollout
    return {
        "id": about.id,
        "what": about.what,
        "who": about.who,
        "when": stamp(about.when),
        "unattended": None if about.unattended is None else list(about.unattended),
        "procedure": "update" if isinstance(about, Rollout) else about.procedure,
        "models": list(about.models) if isinstance(about, Rollout) else [],
        "hosts": [] if isinstance(about, Rollout) else [part.name for part in about.hosts],
        "lease": str(found.lease) if found.lease and found.lease.live else None,
        "journal": [
            {
                "time": stamp(entry.time),
                "operator": entry.operator,
                "run": entry.run,
                "event": str(entry.event),
                "subject": entry.subject or None,
                "phase": entry.phase or None,
                "detail": entry.detail,
            }
            for entry in found.entries
        ],
    }
