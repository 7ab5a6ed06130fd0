"""How models fit, as text and as a JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rackwright.cli.common.context import Json
from rackwright.fit.remedies import Change, changes, memory_that_fits
from rackwright.report.words import counted, separated, size

if TYPE_CHECKING:
    from rackwright.fit.fit import Fit
    from rackwright.lifecycle.fit.procedure import Placed


def as_text(placed: Sequence[Placed], unreachable: Mapping[str, str]) -> list[str]:
    """Return lines: a block for each model and kind of place, then the hosts that couldn't be asked."""
    blocks = [list(_block(one)) for one in placed]
    blocks += [[f"{host}  unreachable: {why}"] for host, why in unreachable.items()]
    return separated(blocks) or ["no replica is placed anywhere"]


def verdict(one: Placed) -> str:
    """Return in a few words whether it fits."""
    if one.fit is None or one.fit.fits is None:
        return f"not known: {one.doubt}"
    if one.fit.fits:
        return "fits"
    if one.fit.refused:
        return f"can't run like this: {one.fit.refused}"
    missing = -one.fit.cache_room if one.fit.cache_room < 0 else -(one.fit.left or 0)
    purpose = " for the weights alone" if one.fit.cache_room < 0 else ""
    return f"doesn't fit: {size(missing)} are missing{purpose}"


def _block(one: Placed) -> Iterator[str]:
    yield f"{one.model}  {verdict(one)}"
    if one.replicas:
        yield f"  {'replicas':<9} {', '.join(one.replicas)}"
    if one.fit is None:
        return
    yield f"  {'runs':<9} {_runs(one.fit)}"
    yield f"  {'weights':<9} {size(one.fit.weights):>9}  {_weights(one.fit)}"
    yield f"  {'overhead':<9} {size(one.fit.overhead):>9}  an estimate"
    if not one.fit.unknown:
        yield from _cache(one.fit)
    for number, text in enumerate(_ways_out(one.fit)):
        yield f"  {'or' if number else 'next'}: {text}"


def _runs(fit: Fit) -> str:
    where = f"{counted(fit.room.gpus, 'GPU')} of {size(fit.room.memory)}" if fit.room.gpus else "the CPU"
    memory = "" if fit.room.gpus else f", {size(fit.room.memory)} of memory for it"
    share = f", {fit.asked.share:.0%} of it" if fit.budget != fit.room.memory else ""
    return f"{fit.asked.engine} on {where}{memory}{share}"


def _weights(fit: Fit) -> str:
    kind = fit.asked.quantization or fit.shape.quantization or fit.shape.type
    whole = f"of {size(fit.shape.weights.total)}" if fit.room.gpus > 1 else "in all"
    return f"{whole}, {kind}"


def _cache(fit: Fit) -> Iterator[str]:
    each, token = fit.per_request or 0, fit.per_token or 0
    asked, each_gpu = fit.asked, ", on each GPU" if fit.room.gpus > 1 else ""
    yield f"  {'cache':<9} {size(fit.cache or 0):>9}  of {size(max(fit.cache_room, 0))} that are left for it"
    yield f"  {'a request':<9} {size(each):>9}  of {asked.context} tokens; {token} bytes per further token{each_gpu}"
    trained = f", trained for {fit.shape.context}" if fit.shape.context else ""
    yield f"  {'context':<9} {asked.context:>9}  asked; {fit.longest} at most for one request alone{trained}"
    yield f"  {'requests':<9} {asked.parallel:>9}  asked; {_requests(fit)}"


def _requests(fit: Fit) -> str:
    many = f"room for {fit.requests} at once, each of {fit.asked.context} tokens"
    waits = fit.asked.engine == "vllm" and (fit.requests or 0) < fit.asked.parallel
    return f"{many}; if all are that long, further ones wait" if waits and fit.fits else many


def _ways_out(fit: Fit) -> Iterator[str]:
    if fit.fits is not False:
        return
    yield from (change.what for change in changes(fit))
    if memory := memory_that_fits(fit):
        where = "on each GPU" if fit.room.gpus else "for it on the host"
        yield f"{size(memory)} of memory {where}, and everything else unchanged"


def as_document(placed: Sequence[Placed], unreachable: Mapping[str, str]) -> dict[str, Json]:
    return {
        "models": [_document(one) for one in placed],
        "unfit": sum(1 for one in placed if one.fit and one.fit.fits is False),
        "unreachable": dict(unreachable),
    }


def _document(one: Placed) -> dict[str, Json]:
    document: dict[str, Json] = {
        "model": one.model,
        "replicas": list(one.replicas),
        "gpus": one.gpus,
        "fits": one.fit.fits if one.fit else None,
        "verdict": verdict(one),
    }
    return document | (_figures(one.fit) if one.fit else {})


def _figures(fit: Fit) -> dict[str, Json]:
    return {
        "engine": fit.asked.engine,
        "memory": fit.room.memory,
        "budget": fit.budget,
        "weights": fit.weights,
        "overhead": fit.overhead,
        "cache": fit.cache,
        "cache_room": fit.cache_room,
        "left": fit.left,
        "token": fit.per_token,
        "request": fit.per_request,
        "context": fit.asked.context,
        "longest": fit.longest,
        "parallel": fit.asked.parallel,
        "requests": fit.requests,
        "changes": [_change(change) for change in changes(fit)],
        "memory_that_fits": memory_that_fits(fit) if fit.fits is False else None,
    }


def _change(change: Change) -> dict[str, Json]:
    return {"what": change.what, "left": change.fit.left}
