"""The proof that an engine answers: a real completion at its own socket."""

from __future__ import annotations

import json
import shlex

from rackwright.roles.replica.settings import Settings

_TOKENS = 16


def proof_command(settings: Settings, served_name: str, *, seconds: int = 60) -> str:
    """Return the shell command, for root or a member of group rackwright, whose output `proof` reads."""
    body = json.dumps(
        {
            "model": served_name,
            "messages": [{"role": "user", "content": "Name three colors."}],
            "max_tokens": _TOKENS,
            "temperature": 0,
        }
    )
    words = ["curl", "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(seconds)]
    words += ["--unix-socket", settings.socket, "--header", "Content-Type: application/json", "--data", body]
    return shlex.join([*words, "http://engine/v1/chat/completions"])


def proof(output: str) -> str | None:
    """Given what the command printed, return the answer's text, or None: no tokens came back."""
    try:
        answer = json.loads(output)
        message = answer["choices"][0]["message"]
        tokens = answer["usage"]["completion_tokens"]
    except (ValueError, LookupError, TypeError):
        return None
    text = message.get("content") or message.get("reasoning_content") if isinstance(message, dict) else None
    if not isinstance(text, str) or not text.strip() or not isinstance(tokens, int) or tokens < 1:
        return None
    return text.strip()
