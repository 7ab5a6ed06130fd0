"""A request from LiteLLM's log: a row of its spend log, or the payload that it passes to logging services.

Prompts are in it only if LiteLLM was set to store them (`store_prompts_in_spend_logs`), and texts are cut after
2,048 characters unless its limit was raised; a request with such a text is skipped.
"""

from __future__ import annotations

import json

from rackwright.migrate.features.bodies import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES
from rackwright.migrate.importing.found import Item, Reason, count_of, of_body, seconds_of

_CUT = "litellm_truncated"
_REDACTED = "redacted-by-litellm"
_CALLS = {
    "completion": CHAT,
    "acompletion": CHAT,
    "text_completion": COMPLETIONS,
    "atext_completion": COMPLETIONS,
    "embedding": EMBEDDINGS,
    "aembedding": EMBEDDINGS,
    "responses": RESPONSES,
    "aresponses": RESPONSES,
}
_INPUTS = {CHAT: "messages", COMPLETIONS: "prompt", EMBEDDINGS: "input", RESPONSES: "input"}
_OWN = frozenset(
    "litellm_metadata proxy_server_request litellm_call_id litellm_trace_id secret_fields api_key api_base "
    "mock_response num_retries fallbacks caching cache tags guardrails".split()
)
"""Fields for LiteLLM, not for the provider."""


def request_of(value: object) -> Item:
    if not isinstance(value, dict):
        return Reason.NOT_OBJECT
    path = _CALLS.get(str(value.get("call_type") or "completion"))
    if path is None:
        return Reason.OTHER
    body = _body(value, path)
    written = json.dumps(body, ensure_ascii=False)
    if _CUT in written:
        return Reason.CUT
    if _REDACTED in written:
        return Reason.NO_PROMPT
    tokens = count_of(value.get("prompt_tokens")), count_of(value.get("completion_tokens"))
    return of_body(
        body,
        path=path,
        id=str(value.get("request_id") or value.get("id") or ""),
        arrived=seconds_of(value.get("startTime")),
        # A request that failed has no count, which LiteLLM writes as 0.
        tokens=tokens if any(tokens) else (None, None),
    )


def _body(value: dict[str, object], path: str) -> dict[str, object]:
    """Return what the client sent: as LiteLLM stored it, or from the parts of its payload."""
    stored = _parsed(value.get("proxy_server_request"))
    if isinstance(stored, dict):
        inner = stored.get("body", stored)
        if isinstance(inner, dict) and inner:
            return {name: one for name, one in inner.items() if name not in _OWN}
    parameters = _parsed(value.get("model_parameters"))
    prompt = _parsed(value.get("messages"))
    name = _INPUTS[path]
    if path != CHAT and isinstance(prompt, list) and all(isinstance(one, dict) for one in prompt):
        prompt = [one.get("content") for one in prompt]
        prompt = prompt[0] if len(prompt) == 1 else prompt
    body = {key: one for key, one in parameters.items() if one is not None} if isinstance(parameters, dict) else {}
    # `model_group` is the name that the client asked for; `model` is the provider's.
    return body | {name: prompt, "model": value.get("model_group") or value.get("model")}


def _parsed(value: object) -> object:
    """Columns of JSON are text in some exports."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
