"""Derive the requirements of a replica from its model in the fleet file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rackwright.fit.demand import TYPES, Asked
from rackwright.fleet.sections.models import Model
from rackwright.launch import Widths
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.vllm.settings import CPU_CACHE
from rackwright.roles.vllm.settings import Settings as Vllm

_LLAMA_CPP = frozenset(
    "cpu-moe n-cpu-moe override-tensor split-mode tensor-split main-gpu no-kv-offload device fit model-draft mmproj "
    "no-host no-op-offload kv-unified".split()
)
_VLLM = frozenset(
    "cpu-offload-gb offload-backend speculative-config decode-context-parallel-size prefill-context-parallel-size "
    "num-gpu-blocks-override kv-cache-dtype-skip-layers hf-overrides mamba-cache-mode mamba-cache-dtype "
    "mamba-ssm-cache-dtype block-size enable-expert-parallel".split()
)
"""Arguments that move or add weights or cache, or change the size of a token; they aren't taken into account here."""
_BEYOND = frozenset(("hf-overrides", "hf-config-path", "VLLM_ALLOW_LONG_MAX_MODEL_LEN"))
"""Arguments and variables that let vLLM exceed the longest context that the model's config.json allows."""


def asked_of(
    model: Model, *, gpus: int, hosts: int = 1, context: int | None = None, parallel: int | None = None
) -> Asked:
    """Return the requirements of a replica with `gpus` GPUs on each of `hosts` hosts.

    `context` and `parallel` override the fleet file; `parallel` requests must then have room at the same time.
    Raise ValueError if its widths can't be divided evenly.
    """
    runtime, widths = model.runtime, model.runtime.widths(gpus, hosts)
    if isinstance(runtime, Vllm):
        asked = _vllm(runtime, model.context, widths, on_cpu=not gpus)
    else:
        asked = _llama_cpp(runtime, model.context, widths)
    asked = replace(asked, batch=runtime.batch(model.task, model.context, gpus=gpus))
    if context is not None:
        asked = replace(asked, context=context)
    return asked if parallel is None else replace(asked, parallel=parallel, whole=parallel)


def _llama_cpp(runtime: LlamaCpp, context: int, widths: Widths) -> Asked:
    args = runtime.args
    key, value = (str(args.get(f"cache-type-{which}", "f16")) for which in "kv")
    return Asked(
        "llama_cpp",
        context=context,
        parallel=runtime.parallel,
        widths=widths,
        key_type=key,
        value_type=value,
        full_windows=args.get("swa-full") is True,
        uncertain=_uncertain(args, _LLAMA_CPP, key, value),
    )


def _vllm(runtime: Vllm, context: int, widths: Widths, *, on_cpu: bool) -> Asked:
    args = runtime.args
    return Asked(
        "vllm",
        context=context,
        parallel=runtime.parallel,
        widths=widths,
        share=runtime.gpu_memory_utilization,
        cache=runtime.kv_cache_memory or (CPU_CACHE if on_cpu else None),
        key_type=runtime.kv_cache_dtype,
        value_type=runtime.kv_cache_dtype,
        type=runtime.dtype,
        quantization=runtime.quantization,
        eager=on_cpu or args.get("enforce-eager") is True,
        prefixes=args.get("enable-prefix-caching") is not False and args.get("no-enable-prefix-caching") is not True,
        full_windows=args.get("disable-hybrid-kv-cache-manager") is True,
        beyond=bool(_BEYOND & {*args, *runtime.environment}),
        uncertain=_uncertain(args, _VLLM, runtime.kv_cache_dtype) or _adapted(runtime),
    )


def _adapted(runtime: Vllm) -> str | None:
    return "the memory of its adapters isn't taken into account" if runtime.adapters else None


def _uncertain(args: Mapping[str, object], not_counted: frozenset[str], *types: str) -> str | None:
    """Return why the settings can't be evaluated; None if they can."""
    if strange := sorted({kind for kind in types if kind != "auto" and kind.lower() not in TYPES}):
        return f"the size of a cache of type {', '.join(strange)} is unknown"
    if found := sorted(not_counted & set(args)):
        return f"its args contain {', '.join(found)}, which can't be taken into account"
    return None
