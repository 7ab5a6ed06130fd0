"""Shared by the commands that change the lock: the next lock, the questions, the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import refuse_with_unattended
from rackwright.cli.render.p2p import transferred_documents
from rackwright.terminal import echo

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.fleet.lock import Lock
    from rackwright.fleet.sections.canary import Canary
    from rackwright.lifecycle.update.differences import Difference
    from rackwright.lifecycle.update.procedure import Look
    from rackwright.resolve.web import Progress

Next = Callable[["Lock", "Progress"], "Lock"]
"""Given the current lock, returns the requested one."""


@dataclass(frozen=True)
class Agreed:
    """What the operator agreed to with options of the command."""

    yes: bool
    allow_outage: bool
    not_stale: bool
    unattended: bool = False
    canary: bool = True


def change_lock(context: Context, what: str, models: tuple[str, ...], find: Next, agreed: Agreed) -> None:
    """Bring the models' replicas to the lock that `find` returns, and make it NAME.lock; or raise."""
    refuse_with_unattended(
        unattended=agreed.unattended, yes=agreed.yes, allow_outage=agreed.allow_outage, not_stale=agreed.not_stale
    )
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.fleet.lock_file import mismatches, read_lock, require_sound
    from rackwright.lifecycle.session.agreements import Agreements
    from rackwright.lifecycle.session.session import open_session
    from rackwright.lifecycle.update.after import refreshed_kit
    from rackwright.lifecycle.update.agree import agree_to_downtimes
    from rackwright.lifecycle.update.differences import difference
    from rackwright.lifecycle.update.procedure import Asked, update

    fleet = context.fleet
    before = read_lock(fleet.sibling("lock"))
    unattended = Agreements(fleet) if agreed.unattended else None
    with Console(quiet=context.json, yes=agreed.yes or agreed.unattended) as console:
        after = find(before, console.transfer)
        require_sound(fleet.sibling("lock"), after)
        found = tuple(difference(fleet, before.models[name], after.models[name], name) for name in models)

        def ask(look: Look) -> tuple[str, ...]:
            if not context.json:
                echo(*_lines(fleet, found, before, after, look))
            outages = (
                models if agreed.allow_outage else agree_to_downtimes(fleet, look.downtimes, console, unattended)
            )
            console.confirm(f"Update these replicas, {fleet.file.rollout.pace}?")
            return outages

        with open_session(fleet, progress=console.on_step, lock=after) as session:
            asked = Asked(what, before, models, agreed.canary, agreed.not_stale, unattended)
            done = update(session, asked, console, ask)
            failure = refreshed_kit(fleet, session, console)
    for problem in mismatches(fleet, after):
        context.note(f"{problem.where}: {problem.what}: change the fleet file, too, or the next apply refuses")
    names = [replica.address for replica in done.replicas]
    document = {
        "what": what,
        "changed": names,
        "models": {name: after.models[name].digest for name in models},
        "transferred": transferred_documents(done.transferred),
    }
    context.answer(
        document, f"{what}: {', '.join(names)}" if names else f"{what}: every replica already runs that version"
    )
    if error := failure or (unattended.unpublished if unattended else None):
        raise error


def _lines(fleet: Fleet, found: tuple[Difference, ...], before: Lock, after: Lock, look: Look) -> list[str]:
    from rackwright.cli.render.model_text import difference_text

    lines = [line for one in found if one.differs for line in difference_text(one)]
    lines += [f"runtime {key}, new" for key in after.runtimes if after.runtimes[key] != before.runtimes.get(key)]
    lines += look.plan.doubts or ("it fits where it is placed",)
    lines.append(f"replicas: {', '.join(replica.address for replica in look.replicas)}")
    lines += [f"canary of {name}: {_tried(canary)}" for name, canary in _canaries(fleet, look)]
    return lines


def _canaries(fleet: Fleet, look: Look) -> Iterator[tuple[str, Canary]]:
    for name in look.canaries:
        if canary := fleet.file.models[name].canary:
            yield name, canary


def _tried(canary: Canary) -> str:
    steps = ", then ".join(f"{share:g} %" for share in canary.share)
    least = f"each for at least {canary.min_duration} s and {canary.min_requests} requests"
    golden = f"first the golden set {canary.golden}; then " if canary.golden else ""
    return f"{golden}{steps} of new conversations, {least}"
