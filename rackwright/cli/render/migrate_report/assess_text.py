"""An assessment as text, JSON and a part of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from rackwright.cli.common.context import Json
from rackwright.cli.render import plots
from rackwright.cli.render.migrate_report.shown import Curve, Shown
from rackwright.cli.render.sections import Section
from rackwright.cli.render.table import table
from rackwright.lifecycle.migrate.report_source import Reported
from rackwright.migrate.assessment import Assessed, Moved, Used
from rackwright.migrate.features.mapping import Change
from rackwright.migrate.features.table import CONTEXT, MAX_REQUEST
from rackwright.migrate.provider_objects import Objects, ProviderObjects
from rackwright.report.words import size

TRAFFIC = ("model", "→", "requests", "prompt tokens", "answer tokens", "largest context")
FEATURES = ("feature", "requests", "status", "source", "waiver")
MAP = ("feature", "requests", "change", "what clients can do", "in a replay")
OBJECTS = ("at the provider", "count", "bytes", "oldest")
_MAP = "What changes for clients. The last column says how replay, score and capacity ask the fleet."
_NO_CHANGE = "Nothing in the requests has to change"
LEAST_HOURS = 2
NOT_LISTED = (
    "No provider lists responses and conversations (only your applications have their ids), prompts, or the values "
    "of keys. Most providers keep the weights of fine-tuned models."
)


def assess_lines(found: Assessed) -> Iterator[str]:
    yield from table([TRAFFIC, *_traffic(found)])
    yield from _arrivals(found)
    for one in found.moved:
        yield ""
        yield f"{one.model} → {one.target} ({_target(one)})"
        yield from table([FEATURES, *_features(one)])
        yield ""
        yield from _map_lines(one)
    if found.provider:
        yield ""
        yield from table([OBJECTS, *_objects(found.provider)])
        yield from _models(found.provider)
        yield from _usage(found.provider)
    yield ""
    yield from (f"blocks: {one}" for one in found.blocking)
    if not found.blocking:
        yield "nothing blocks the move"


def assess_document(found: Assessed) -> dict[str, Json]:
    return {**found.model_dump(mode="json"), "blocking": list(found.blocking)}


def assess_part(found: Reported) -> Shown | None:
    """Show traffic, features and what is stored at the provider."""
    assessed = found.result("assess", Assessed)
    if assessed is None:
        return None
    tables = [Section("Traffic", " ".join(_arrivals(assessed)), TRAFFIC, tuple(_traffic(assessed)))]
    for one in assessed.moved:
        title = f"Features: {one.model} → {one.target}"
        tables.append(Section(title, f"{_target(one)}.", FEATURES, tuple(_features(one))))
        rows = tuple(_map(one))
        note = _MAP if rows else f"{_NO_CHANGE}."
        tables.append(Section(f"Map: {one.model} → {one.target}", note, MAP if rows else (), rows))
    if assessed.provider:
        note = " ".join((*_models(assessed.provider), *_usage(assessed.provider), NOT_LISTED))
        tables.append(Section("At the provider", note, OBJECTS, tuple(_objects(assessed.provider))))
    return Shown(assess_document(assessed), tuple(tables), tuple(_hours(assessed)), doubts=assessed.blocking)


def _hours(found: Assessed) -> Iterator[Curve]:
    """Yield the plot of the hours in which requests arrived: `replay.hours` should be quiet ones."""
    if len(found.traffic.hours) < LEAST_HOURS:
        return
    by_hour = Counter[int]()
    for hour, requests in found.traffic.hours.items():
        by_hour[datetime.fromisoformat(f"{hour}:00").hour] += requests
    points = [(float(hour), float(by_hour[hour])) for hour in range(24)]
    if plot := plots.plotted("requests recorded", "on all days", points):
        yield Curve(plot, "hour of the day, UTC", "h")


def _target(moved: Moved) -> str:
    return f"{moved.runtime}, {moved.context} tokens" if moved.runtime else "no engine yet"


def _traffic(found: Assessed) -> Iterator[tuple[str, ...]]:
    targets = {one.model: one.target for one in found.moved}
    for name, one in found.traffic.models.items():
        tokens = one.tokens
        prompt = f"{tokens.prompt + tokens.estimated_prompt}{' (estimated)' if tokens.estimated_requests else ''}"
        answer = str(tokens.completion) if tokens.known_requests else "not known"
        yield name, targets.get(name, "-"), str(one.requests), prompt, answer, str(max(one.contexts, default=0))
    for name, requests in found.unmapped.items():
        yield name, "not in the plan", str(requests), "-", "-", "-"


def _arrivals(found: Assessed) -> Iterator[str]:
    traffic = found.traffic
    if traffic.busiest_minute:
        yield f"busiest minute: {traffic.per_minute} requests at {traffic.busiest_minute} UTC."
    if traffic.busiest_hour and traffic.busiest_hour in traffic.hours:
        yield f"busiest hour: {traffic.hours[traffic.busiest_hour]} requests from {traffic.busiest_hour}:00 UTC."
    if traffic.undated:
        yield f"{traffic.undated} requests have no time of arrival."
    if not found.probed:
        yield "The fleet was not asked; statuses are what is known of its runtimes."


def _features(moved: Moved) -> Iterator[tuple[str, ...]]:
    for one in moved.features:
        yield one.name, str(one.requests), _status(one), one.source, one.waiver


def _map_lines(moved: Moved) -> Iterator[str]:
    rows = list(_map(moved))
    yield f"{_MAP}" if rows else f"{_NO_CHANGE}."
    if rows:
        yield from table([MAP, *rows])


def _map(moved: Moved) -> Iterator[tuple[str, ...]]:
    """Yield what is different for clients after the move: parameters and endpoints, then prompts."""
    mapped = moved.mapped
    for change in mapped.changes:
        yield _change(change, change.feature)
    for change in mapped.prompts:
        yield _change(change, f"{change.feature} (in prompts)")
    if mapped.too_long:
        what = f"may not fit into {moved.context} tokens"
        yield CONTEXT, str(mapped.too_long), what, "send shorter prompts, or ask for fewer tokens", "unchanged"
    if mapped.too_large:
        what = f"more than {moved.max_request} bytes, gateway.max_request"
        yield (
            MAX_REQUEST,
            str(mapped.too_large),
            what,
            "send smaller bodies, or raise gateway.max_request",
            "left out",
        )


def _change(change: Change, name: str) -> tuple[str, ...]:
    lacking = "not known" if change.kind == "unknown" else "there is no equivalent"
    do = change.instead or ("do without it" if change.waiver else lacking)
    return name, str(change.requests), change.kind, do, change.replay


def _status(one: Used) -> str:
    return f"{one.status}, blocks" if one.blocks else one.status


def _objects(found: ProviderObjects) -> Iterator[tuple[str, ...]]:
    for one in found.objects:
        yield one.kind, _count(one), "-" if one.bytes is None else size(one.bytes), _day(one.oldest)


def _count(one: Objects) -> str:
    if one.access in ("listed", "partly"):
        files = f", with {one.files} files" if one.files else ""
        return f"{'at least ' if one.access == 'partly' else ''}{one.count}{files}"
    return f"{one.access}: {one.problem}" if one.access == "failed" else one.access


def _models(found: ProviderObjects) -> Iterator[str]:
    for one in found.models:
        if one.shutdown_date:
            yield f"{one.name}: shut down on {one.shutdown_date}."
        elif one.access != "listed":
            yield f"{one.name}: {one.access} ({one.problem})."


def _usage(found: ProviderObjects) -> Iterator[str]:
    usage = found.usage
    if usage is None and found.usage_problem:
        yield f"usage and costs: failed ({found.usage_problem})."
        return
    if usage is None:
        yield "usage and costs: refused for this key; they need an admin key (provider.admin_key of the plan)."
        return
    costs = ", ".join(f"{amount:.2f} {currency}" for currency, amount in usage.costs.items()) or "no costs"
    tokens = f"{usage.input_tokens} prompt and {usage.output_tokens} answer tokens"
    yield f"in the last {usage.days} days: {usage.requests} requests, {tokens}, {costs}."


def _day(seconds: float | None) -> str:
    try:
        return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return "-"
