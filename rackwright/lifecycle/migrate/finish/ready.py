"""What the end of a migration needs, and what it would do; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rackwright.errors import HostError, Problem, ProofError, RackwrightError
from rackwright.gateway.cutover_states import GatewayCutover
from rackwright.lifecycle.migrate.cutover.shares import cutovers_of
from rackwright.lifecycle.migrate.cutover.standing import Cutting, cutting_of
from rackwright.lifecycle.migrate.export.opened import opened
from rackwright.lifecycle.migrate.finish.fleet_edit import FleetEdit, fleet_edit
from rackwright.lifecycle.migrate.finish.quiet import Quiet, quiet
from rackwright.lifecycle.migrate.finish.standing import finished
from rackwright.lifecycle.migrate.place import Place, plan_path
from rackwright.lifecycle.migrate.plan_provider import left_provider, reached
from rackwright.lifecycle.migrate.provider_answers import Refused
from rackwright.migrate.export.export_line import HARMLESS
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.export_result import Exported
from rackwright.migrate.finish.order import NO_DELETION, ORDER, Copy, objects_of
from rackwright.migrate.finish.state import FinishState
from rackwright.migrate.plan.cutover import WHOLE
from rackwright.report.words import counted
from rackwright.values.text import enumerated

MOST_LISTED = 10


@dataclass(frozen=True)
class Planned:
    """What would become of one kind of objects."""

    deleted: int = 0
    uncopied: int = 0
    """They stay: nobody has a copy."""
    staying: int = 0
    """They stay: the provider has no deletion of this kind."""


@dataclass(frozen=True)
class Preview:
    """What the end would do next."""

    state: FinishState | None
    """How far it is; None: it hasn't started."""
    quiet: Quiet | None
    """None: the fleet doesn't have the cloud any more."""
    kinds: Mapping[str, Planned]
    edit: FleetEdit
    problems: tuple[Problem, ...] = ()
    """Everything that is in the way."""


def preview(place: Place) -> Preview:
    """Return what the end would do next, with everything that is in its way."""
    state, edit = finished(place.session.store, place.log).state, fleet_edit(place.session.fleet, place.plan)
    if state and state.has("removing"):
        return Preview(state, None, {}, edit)
    cutting = cutting_of(place)
    found = quiet(place, cutting)
    problems = [*_of_cutover(place, cutting), *_of_gateways(place), *found.problems, *_of_recheck(place)]
    kinds: Mapping[str, Planned] = {}
    if state is None or not state.has("deleted"):
        kinds, more = _of_export(place)
        problems += more
    return Preview(state, found, kinds, edit, tuple(dict.fromkeys(problems)))


def refuse(found: Preview, place: Place) -> None:
    """Raise ProofError with everything that is in the way, if there is anything."""
    if found.problems:
        where = place.plan.migration
        raise ProofError("the migration can't end yet", where=where).with_problems(found.problems)


def _of_cutover(place: Place, cutting: Cutting) -> Iterator[Problem]:
    """The cloud must have no share, and no fallback may lead to it."""
    name, state = place.plan.migration, cutting.state
    next_ = f"rackwright migrate cutover {name}"
    if not state.whole:
        share = state.share if state.under_way else 0.0
        passed = "" if share < WHOLE else ", and its gate hasn't passed"
        what = f"the fleet gets {share:g} % of new conversations{passed}"
        yield Problem(f"{name} cutover", what, "should get all of them", next_)
    elif cutting.paused:
        yield Problem(f"{name} cutover", f"{cutting.paused.who} paused it", None, f"rackwright migrate resume {name}")
    if place.plan.cutover.fallback or state.fallback:
        what = "the plan has it" if place.plan.cutover.fallback else "the plan has it no longer, the gateways may"
        yield Problem(f"{name} cutover.fallback", what, "the cloud may answer nothing", _without_fallback(place))


def _of_gateways(place: Place) -> Iterator[Problem]:
    """What the gateways really do must be what the log says."""
    next_ = f"rackwright migrate cutover {place.plan.migration}"
    for host, one in cutovers_of(place.session, place.plan.migration).look().items():
        if isinstance(one, HostError):
            yield from one.problems
        elif one.panic:
            yield Problem(host, "has a panic file: all requests go to the cloud", None, next_)
        elif one.percent != WHOLE:
            yield Problem(host, _share(one), "should give the fleet all of them", next_)
        elif one.fallback:
            what = f"lets the cloud answer up to {one.fallback:,} requests an hour that no replica takes"
            yield Problem(host, what, "should have no fallback", _without_fallback(place))


def _without_fallback(place: Place) -> str:
    name = place.plan.migration
    return (
        f"remove cutover.fallback from {plan_path(place.session.fleet, name)}, then "
        f"rackwright migrate cutover {name} --execute --fallback-only"
    )


def _share(one: GatewayCutover) -> str:
    if one.rolled_back:
        return f"{one.record.who if one.record else 'someone'} has rolled back there"
    return f"gives the fleet {one.percent:g} % of new conversations"


def _of_recheck(place: Place) -> Iterator[Problem]:
    """The provider must be reachable later, when the fleet has no key any more."""
    plan, fleet = place.plan, place.session.fleet
    if plan.finish.no_recheck:
        return
    where = f"{plan_path(fleet, plan.migration)} provider.admin_key"
    should = "a key that may list files and isn't the cloud's, to ask later whether everything is still gone"
    next_ = (
        f"add it to the plan; or say in finish.no_recheck why nobody asks, then rackwright migrate finish "
        f"{plan.migration}"
    )
    if plan.provider.admin_key is None:
        yield Problem(where, "is missing", should, next_)
        return
    try:
        with left_provider(fleet, plan, reached(fleet, plan)) as client:
            client.get("/files", limit=1)
    except Refused as refused:
        yield Problem(where, f"the provider refuses it: {refused.problem}", should, next_)
    except RackwrightError as error:
        yield from error.problems


def _of_export(place: Place) -> tuple[Mapping[str, Planned], list[Problem]]:
    name = place.plan.migration
    next_ = f"rackwright migrate export {name}"
    try:
        known = place.result("export", Exported)
        if known is None:
            return {}, [Problem(f"{name} export", "there is none", "everything should be exported first", next_)]
        with opened(place, other=False) as exports:
            return planned(exports), [*uncovered(place, exports, known.unlisted), *_unended(exports, name)]
    except RackwrightError as error:
        return {}, list(error.problems)


def planned(exports: ExportList) -> Mapping[str, Planned]:
    """Return by kind what would be deleted, and what would stay."""
    found: dict[str, Planned] = {}
    for kind in (*ORDER, *NO_DELETION):
        copies = Counter(copy for _, copy in objects_of(exports, kind))
        if not copies:
            continue
        staying = copies.total() if kind in NO_DELETION else 0
        found[kind] = Planned(staying=staying) if staying else Planned(copies[Copy.WHOLE], copies[Copy.NONE])
    return found


def uncovered(place: Place, exports: ExportList, unlisted: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what has no copy and isn't waived by the plan, by kind."""
    name, waivers = place.plan.migration, place.plan.finish.waivers
    path = plan_path(place.session.fleet, name)
    missing: dict[str, list[str]] = {}
    for line in exports.missing():
        if line.why not in HARMLESS and line.kind not in waivers:
            missing.setdefault(line.kind, []).append(f"{line.kind} {line.id}: {line.reason}")
    for kind, lines in missing.items():
        more = [f"{len(lines) - MOST_LISTED:,} more"] if len(lines) > MOST_LISTED else []
        yield Problem(
            f"{name} export",
            f"{counted(len(lines), 'object')} of the kind {kind} can't be exported",
            "they would stay at the provider, without a copy",
            f"rackwright migrate export {name}; or add {kind} to finish.waivers of {path}, with the reason",
            (*lines[:MOST_LISTED], *more),
        )
    for kind, why in unlisted.items():
        if kind not in waivers:
            yield Problem(
                f"{name} export",
                f"the list of {kind} isn't known to its end: {why}",
                None,
                f"rackwright migrate export {name}; or add {kind} to finish.waivers of {path}, with the reason",
            )


def _unended(exports: ExportList, name: str) -> Iterator[Problem]:
    if exports.last_run is None:
        next_ = f"rackwright migrate export {name}"
        yield Problem(str(exports.path), "the last export didn't come to its end", None, next_)


def steps_of(found: Preview) -> Iterator[str]:
    """Yield what would be done, in words, as the operator is asked."""
    deleted = {kind: one.deleted for kind, one in found.kinds.items() if one.deleted}
    if deleted:
        yield f"delete at the provider: {enumerated([f'{kind}: {number:,}' for kind, number in deleted.items()])}"
    yield "erase all recorded requests and answers, at the gateways and here"
    if found.edit.keys:
        yield f"remove {enumerated(found.edit.keys)} from the fleet file, and apply it to the gateways"
