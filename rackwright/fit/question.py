"""From a model of the fleet file to what is asked of one of its replicas."""

from __future__ import annotations

from dataclasses import replace

from rackwright.fit.asked import Asked
from rackwright.fleet.sections.models import Model
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.values import Widths

_ELSEWHERE = frozenset(
    "cpu-moe n-cpu-moe override-tensor split-mode tensor-split main-gpu no-kv-offload device fit model-draft mmproj "
    "no-host no-op-offload kv-unified".split()
)
"""Arguments of llama.cpp that move weights or cache, or bring more of them: not counted here."""


def asked_of(
    model: Model, *, gpus: int, hosts: int = 1, context: int | None = None, parallel: int | None = None
) -> Asked:
    """Return what is asked of a replica with so many GPUs on each of so many hosts.

    `context` and `parallel` stand in for what the fleet file says; that many requests must then have room at once.
    """
    asked = _llama_cpp(model.runtime, model.context, max(gpus, 1) * hosts)
    if context is not None:
        asked = replace(asked, context=context)
    return asked if parallel is None else replace(asked, parallel=parallel, whole=parallel)


def _llama_cpp(runtime: LlamaCpp, context: int, devices: int) -> Asked:
    args = runtime.args
    moved = sorted(_ELSEWHERE & set(args))
    return Asked(
        "llama_cpp",
        context=context,
        parallel=runtime.parallel,
        widths=Widths(pipeline=devices),
        key_type=str(args.get("cache-type-k", "f16")),
        value_type=str(args.get("cache-type-v", "f16")),
        batch=_batch(args.get("ubatch-size"), args.get("batch-size")),
        full_windows=args.get("swa-full") is True,
        uncertain=f"args has {', '.join(moved)}, which isn't counted here" if moved else None,
    )


def _batch(*written: object) -> int | None:
    """The smaller of what is written; None: nothing is."""
    numbers = [value for value in written if isinstance(value, int) and not isinstance(value, bool)]
    return min(numbers, default=None)
