"""Changes that would make a model fit; each is tested with the same function that found that it doesn't fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from rackwright.fit.demand import Room
from rackwright.fit.fit import SHORTEST, STEP, Fit
from rackwright.fit.weights import weights_per_gpu

_WIDER = (2, 4, 8, 16)


@dataclass(frozen=True)
class Change:
    what: str
    """In the form of the fleet file, like `context: 24576 instead of 32768`."""
    fit: Fit
    """The fit with the change."""
    loss: int
    """0: at least half of the requested size remains · 1: model, cache or GPUs change · 2: less than half remains."""


def changes(fit: Fit) -> tuple[Change, ...]:
    """Return the changes that each make a model fit that doesn't, the smallest first.

    If no single change is enough, return pairs. Empty if it fits, or if only another model or GPU helps.
    """
    if fit.fits is not False:
        return ()
    single = tuple(change for change in _candidates(fit) if change.fit.fits is not False)
    found = single or tuple(_pairs(fit))
    return tuple(sorted(found, key=lambda change: change.loss))


def memory_that_fits(fit: Fit) -> int | None:
    """Return the bytes of GPU or host memory with which it would fit unchanged; None if unknown or impossible.

    On a larger card vLLM uses larger batches, so the need is computed again for that card.
    """
    if fit.cache is None or fit.refused or fit.cache > (fit.asked.cache or fit.cache):
        return None
    while not fit.fits:
        needed = -(-fit.taken * fit.room.memory // max(fit.budget, 1))
        fit = replace(fit, room=replace(fit.room, memory=max(needed, fit.room.memory) + 1))
    return fit.room.memory


def _candidates(fit: Fit) -> Iterator[Change]:
    yield from _larger_cache(fit)
    yield from _fewer(fit)
    yield from _shorter(fit)
    yield from _smaller_cache(fit)
    yield from _evened(fit)
    yield from _wider(fit)
    yield from _quantized(fit)


def _pairs(fit: Fit) -> Iterator[Change]:
    """Yield, for each first change, the first second change with which it fits, so that the list stays short."""
    for first in (*_smaller_cache(fit), *_wider(fit, all_of_them=True), *_quantized(fit)):
        for second in (*_fewer(first.fit), *_shorter(first.fit), *_smaller_cache(first.fit), *_quantized(first.fit)):
            if second.fit.fits is not False:
                yield Change(f"{first.what}, and {second.what}", second.fit, max(first.loss, second.loss))
                break


def _fewer(fit: Fit) -> Iterator[Change]:
    asked, can = fit.asked.must_hold, fit.requests or 0
    if 0 < can < asked:
        whole = can if fit.asked.whole is not None else None
        changed = replace(fit, asked=replace(fit.asked, parallel=can, whole=whole))
        yield Change(f"parallel: {can} instead of {asked}", changed, 0 if can * 2 >= asked else 2)


def _shorter(fit: Fit) -> Iterator[Change]:
    asked = fit.asked.context
    low, high = 0, (asked - 1) // STEP
    while low < high:
        middle = -(-(low + high) // 2)
        low, high = (middle, high) if _with_context(fit, middle * STEP).fits else (low, middle - 1)
    if low * STEP >= SHORTEST:
        loss = 0 if low * STEP * 2 >= asked else 2
        yield Change(f"context: {low * STEP} instead of {asked}", _with_context(fit, low * STEP), loss)


def _larger_cache(fit: Fit) -> Iterator[Change]:
    """Yield a larger cache if it is set explicitly and too small."""
    said, need = fit.asked.cache, fit.cache
    if said is not None and need is not None and need > said:
        changed = replace(fit, asked=replace(fit.asked, cache=need))
        yield Change(f"kv_cache_memory: {-(-need // 2**20)}MiB instead of {said // 2**20}MiB", changed, 0)


def _with_context(fit: Fit, context: int) -> Fit:
    return replace(fit, asked=replace(fit.asked, context=context))


def _smaller_cache(fit: Fit) -> Iterator[Change]:
    if fit.unknown or fit.asked.key_type not in ("auto", "f16", "bf16", "float16", "bfloat16"):
        return
    if fit.asked.engine == "llama_cpp":
        what, kind = "args: {cache-type-k: q8_0, cache-type-v: q8_0}", "q8_0"
    else:
        what, kind = "kv_cache_dtype: fp8", "fp8"
    yield Change(what, replace(fit, asked=replace(fit.asked, key_type=kind, value_type=kind)), 1)


def _wider(fit: Fit, *, all_of_them: bool = False) -> Iterator[Change]:
    """Yield the smallest number of GPUs with which it fits, or every number."""
    now = fit.room.gpus
    for gpus in _WIDER if now else ():
        if gpus <= now or gpus % now:
            continue
        widened = _over(fit, gpus)
        if widened is not None and (all_of_them or widened.fits):
            yield Change(f"gpus: {gpus} instead of {now}", widened, 1)
            if not all_of_them:
                return


def _evened(fit: Fit) -> Iterator[Change]:
    """If its heads can't be divided by the number of GPUs, yield the nearest smaller and larger numbers that work."""
    now = fit.room.gpus
    for several in (range(now - 1, 0, -1), range(now + 1, 2 * now)) if fit.refused else ():
        fitting = (evened for gpus in several if (evened := _over(fit, gpus)) and evened.fits)
        for evened in islice(fitting, 1):
            yield Change(f"gpus: {evened.room.gpus} instead of {now}", evened, 1)


def _over(fit: Fit, gpus: int) -> Fit | None:
    """Return the fit with this number of GPUs on each of its hosts; None if it can't be divided."""
    room = Room(fit.room.memory, gpus)
    if fit.asked.engine == "llama_cpp":
        return replace(fit, room=room)
    tensor, left = divmod(fit.asked.widths.tensor * gpus, fit.room.gpus)
    widths = replace(fit.asked.widths, tensor=tensor)
    widened = replace(fit, room=room, asked=replace(fit.asked, widths=widths))
    return None if left or widened.refused else widened


def _quantized(fit: Fit) -> Iterator[Change]:
    """Yield quantization by vLLM from 16 to 8 bits while it loads; GGUF files already come in several sizes."""
    if fit.asked.engine == "vllm" and not fit.asked.quantization and not fit.shape.quantization:
        changed = replace(fit, asked=replace(fit.asked, quantization="fp8"))
        if weights_per_gpu(fit.shape, changed.asked, fit.room) < fit.weights:
            yield Change("quantization: fp8", changed, 1)
