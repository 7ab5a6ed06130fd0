"""Whether the models placed on a host fit there: `check` shows it, `plan` and `apply` refuse those that don't."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.errors import FleetError, Problem
from rackwright.fit.remedies import changes, memory_that_fits
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.check.result import Condition, State
from rackwright.lifecycle.fit.procedure import Memory, Placed, fit_host, memory_of
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.report.words import size


def judge_fit(fleet: Fleet, lock: Lock, host: str, hardware: Hardware) -> Iterator[Condition]:
    """Yield one condition for each model on the host; identical replicas share one."""
    for placed in _alike(fit_host(fleet, lock, host, memory_of(hardware))):
        if placed.fit is None or placed.fit.fits is None:
            yield Condition(host, "fit", State.WARNING, f"{placed.model}: {placed.doubt}")
        elif placed.fit.fits:
            yield Condition(host, "fit", State.OK, _fits(placed))
        elif placed.fit.close:
            yield Condition(host, "fit", State.WARNING, f"{placed.model} {_close(placed)}", _next(placed))
        else:
            yield Condition(host, "fit", State.FAILED, f"{placed.model} doesn't fit: {_why(placed)}", _next(placed))


def refuse_unfit(session: Session, surveyed: Survey) -> None:
    """Raise FleetError naming each model that doesn't fit on a host whose memory is known."""
    problems = []
    for name, host in surveyed.hosts.items():
        for placed in _alike(fit_host(session.fleet, session.lock, name, memory_of(host.hardware))):
            if placed.fit and placed.fit.fits is False and not placed.fit.close:
                what = f"doesn't fit there: {_why(placed)}"
                problems.append(Problem(f"{name}: models.{placed.model}", what, _should(placed), _command(placed)))
    if problems:
        raise FleetError(problems)


def doubts(session: Session, surveyed: Survey) -> tuple[str, ...]:
    """Return each model that may or may not fit, once, with the reason why that is unknown."""
    found = (
        _doubt(placed, memory_of(host.hardware))
        for name, host in surveyed.hosts.items()
        for placed in fit_host(session.fleet, session.lock, name, memory_of(host.hardware))
    )
    return tuple(dict.fromkeys(doubt for doubt in found if doubt))


def _doubt(placed: Placed, memory: Memory) -> str | None:
    if placed.fit and placed.fit.close:
        return f"{placed.model}: {_close(placed)}"
    if placed.doubt is None or _waits_for_driver(placed, memory):
        return None
    return f"{placed.model}: {placed.doubt}"


def _close(placed: Placed) -> str:
    return f"might not fit, it is close: {_why(placed)}"


def _waits_for_driver(placed: Placed, memory: Memory) -> bool:
    """Return whether the memory is unknown only because no driver runs yet; apply reports that already."""
    return placed.gpus > 0 and memory.gpu is None


def _alike(found: Iterator[Placed]) -> Iterator[Placed]:
    seen: list[Placed] = []
    for placed in found:
        if not any(placed.is_like(before) for before in seen):
            seen.append(placed)
            yield placed


def _fits(placed: Placed) -> str:
    fit = placed.fit
    if fit is None:
        return placed.model
    takes = f"{size(fit.weights)} of weights and {size(fit.cache or 0)} of cache"
    return f"{placed.model}: {takes}; {size(fit.left or 0)} stay free of {size(fit.budget)}"


def _why(placed: Placed) -> str:
    fit = placed.fit
    if fit is None:
        return placed.doubt or ""
    if fit.refused:
        return fit.refused
    takes = f"{size(fit.weights)} of weights, about {size(fit.overhead)} of overhead"
    cache = (
        f", {size(fit.cache)} of cache for {fit.asked.must_hold} x {fit.asked.context} tokens" if fit.cache else ""
    )
    gives = f"each GPU has {size(fit.budget)} for it" if placed.gpus else f"the host has {size(fit.budget)} for it"
    return f"{takes}{cache}; {gives}"


def _should(placed: Placed) -> str | None:
    if placed.fit is None:
        return None
    first = next((change.what for change in changes(placed.fit)), None)
    memory = memory_that_fits(placed.fit)
    return first or (f"needs {size(memory)} of memory" if memory else None)


def _next(placed: Placed) -> str:
    return " · ".join(text for text in (_should(placed), _command(placed)) if text)


def _command(placed: Placed) -> str:
    return f"rackwright fit {placed.model}"
