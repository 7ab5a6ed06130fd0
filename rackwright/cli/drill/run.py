"""`rackwright drill run`: restore the fleet to scratch hosts, prove it, wipe it, and sign what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import (
    Command,
    common_options,
    pass_context,
    refuse_with_unattended,
    unattended_option,
    yes_option,
)
from rackwright.cli.drill.options import sign_with_option
from rackwright.errors import ExitCode, Problem

if TYPE_CHECKING:
    from rackwright.cli.common.console import Console
    from rackwright.fleet.lock import Lock
    from rackwright.lifecycle.drill.evidence.facts import Facts
    from rackwright.lifecycle.drill.evidence.seal import Sealed
    from rackwright.lifecycle.drill.record import Record
    from rackwright.lifecycle.drill.scope import Scope

SCENARIOS = ("gateway", "serving-host", "everything", "poisoned", "repository-lost", "wrong-password")


@dataclass(frozen=True)
class Asked:
    """What is asked of a drill, and who hears that it begins."""

    context: Context
    scenario: str
    host: str | None
    take_over: bool
    sign_with: Path | None
    console: Console
    started: Callable[[Iterable[str], str, str], None]
    """Hears of the scratch hosts, the drill's id and its scenario, when the drill begins."""
    drills: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Drills of other machines, by id, with their scratch hosts: what they left is known, as that of drills here."""


@click.command(cls=Command)
@click.option(
    "--scenario", type=click.Choice(SCENARIOS), default="everything", show_default=True, help="What is lost."
)
@click.option("--host", metavar="HOST", help="The gateway or serving host that is lost; the first one if absent.")
@click.option("--take-over", is_flag=True, help="Take scratch hosts from a drill whose controller is gone.")
@sign_with_option
@yes_option
@unattended_option
@common_options
@pass_context
def run(
    context: Context,
    scenario: str,
    host: str | None,
    take_over: bool,
    sign_with: Path | None,
    yes: bool,
    unattended: bool,
) -> int:
    """Restore the backups to scratch hosts, prove that the service comes back, and wipe them.

    Shows the plan and asks. Nothing that serves is changed, and no lease is taken. The scratch hosts are isolated
    first. The signed report is in NAME.drills. Exit code 12: an objective was missed, or something wasn't proven.
    """
    refuse_with_unattended(unattended=unattended, yes=yes)
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.cli.render.undelivered_document import undelivered_documents
    from rackwright.lifecycle.notify.notified import notified

    with (
        Console(quiet=context.json, yes=yes or unattended) as console,
        notified(context.fleet, "drill run", console, agreed=yes or unattended) as notices,
    ):
        done = sealed(Asked(context, scenario, host, take_over, sign_with, console, notices.started))
        if done.doubts:
            notices.fails(problems_of(done))
        else:
            notices.ends(f"drill {done.report.facts.drill} passed: sha256 {done.sha256}")
    document = _document(done) | {"not_notified": undelivered_documents(notices.undelivered)}
    context.answer(document, *_lines(done))
    return ExitCode.NOT_PROVEN if done.doubts else ExitCode.DONE


def sealed(asked: Asked) -> Sealed:
    """Carry the drill out, and return its signed report."""
    from rackwright.cli.render.drill_pages import drill_pages
    from rackwright.fleet.lock_file import read_lock, require_match
    from rackwright.lifecycle.drill.begin import new_record
    from rackwright.lifecycle.drill.evidence.chain import examine
    from rackwright.lifecycle.drill.evidence.folder import folder_of
    from rackwright.lifecycle.drill.evidence.seal import seal
    from rackwright.lifecycle.drill.evidence.signers import keep_signers
    from rackwright.lifecycle.drill.evidence.signing_key import signing_key
    from rackwright.lifecycle.drill.evidence.tool_key import tool_key
    from rackwright.lifecycle.drill.scope import scenario_named, scope_of
    from rackwright.state.formats import utc_now

    fleet = asked.context.fleet
    scope = scope_of(fleet, scenario_named(asked.scenario), host=asked.host)
    lock = read_lock(fleet.sibling("lock"))
    require_match(fleet, lock)
    folder, now = folder_of(fleet.path), utc_now()
    signers = keep_signers(fleet, now)
    with tool_key(fleet) as own:
        key = signing_key(signers, asked.sign_with or own, now)
        record = new_record(fleet, scope, examine(folder, signers, drill_pages))
        facts = _carried_out(asked, lock, scope, record)
        # ssh-keygen may ask for a passphrase.
        asked.console.pause()
        return seal(folder, facts, key, signers, drill_pages)


def _carried_out(asked: Asked, lock: Lock, scope: Scope, record: Record) -> Facts:
    from rackwright.cli.render.restore_plan import RestoreView
    from rackwright.lifecycle.drill.evidence.folder import running
    from rackwright.lifecycle.drill.procedure import planned
    from rackwright.lifecycle.session.session import open_session

    fleet, console = asked.context.fleet, asked.console
    view = RestoreView(quiet=asked.context.json, fleet=fleet.file)
    opened = partial(open_session, progress=console.on_step)
    with (
        running(record.folder, record.facts.drill),
        planned(fleet, lock, scope, record, opened, console, view) as drill,
    ):
        proven = drill.guard.prove(take_over=asked.take_over, drills=asked.drills)
        for line in _plan(scope):
            console.say(line)
        console.confirm(f"Restore to {', '.join(scope.scratch.values())}, and wipe them afterwards?")
        asked.started(scope.scratch.values(), record.facts.drill, f"scenario {scope.scenario}")
        return drill.carry_out(record, proven)


def _plan(scope: Scope) -> Iterator[str]:
    yield f"scenario {scope.scenario}"
    yield from (f"  {host}: restored to {scratch}" for host, scratch in scope.scratch.items())
    yield from (f"  {host}: not covered: {why}" for host, why in scope.not_covered.items())


def _document(sealed: Sealed) -> dict[str, Json]:
    report = sealed.report
    return {
        "drill": report.facts.drill,
        "scenario": report.facts.scenario,
        "passed": not sealed.doubts,
        "doubts": list(sealed.doubts),
        "rto_s": report.conclusion.rto_s,
        "rpo_s": report.conclusion.rpo_s,
        "report": str(sealed.path),
        "sha256": sealed.sha256,
    }


def _may_be_left(facts: Facts) -> bool:
    """Return whether data was on scratch hosts that aren't proven to be wiped."""
    from rackwright.lifecycle.drill.evidence.conclusion import WIPED

    wiped = {check.host for check in facts.named(WIPED) if check.outcome == "passed"}
    covered = facts.assets.covered if facts.assets else ()
    return bool(facts.commands) and any(one.host not in wiped for one in covered)


def _lines(sealed: Sealed) -> Iterator[str]:
    from rackwright.report.words import duration

    report = sealed.report
    timing = report.facts.timing
    yield from (f"  {phase.name:<20} {phase.seconds:7.1f} s" for phase in (timing.phases if timing else ()))
    policy, end = report.facts.policy, report.conclusion
    if policy and end.rto_s is not None:
        yield f"RTO {duration(round(end.rto_s))}, objective {duration(policy.rto_s)}"
    if policy and end.rpo_s is not None:
        yield f"RPO {duration(round(end.rpo_s))}, objective {duration(policy.rpo_s)}"
    yield from (f"not proven: {doubt}" for doubt in sealed.doubts)
    if _may_be_left(report.facts):
        yield "data may be left on scratch hosts, which stay isolated; next: rackwright drill clean"
    passed = "NOT PASSED" if sealed.doubts else "passed"
    yield f"drill {report.facts.drill} {passed}: {sealed.path}, sha256 {sealed.sha256}"


def problems_of(sealed: Sealed) -> Iterator[Problem]:
    """Yield what a notice says about a drill that didn't pass."""
    clean = "rackwright drill clean" if _may_be_left(sealed.report.facts) else None
    yield Problem("", "not passed", listed=sealed.doubts, next=clean)
    yield Problem("", f"the report is {sealed.path}, sha256 {sealed.sha256}")
