"""Access log lines for tests of canaries."""

from __future__ import annotations

from rackwright.roles.gateway.access_log import Access

CANARY = "gpu1/assistant@1"
WRITTEN = {
    "format": "access/1",
    "time": "2026-11-27T03:00:00.000Z",
    "request": "93ac796a-1cc3-4293-ab5f-e6107e67e3f7",
    "key": "ada",
    "model": "assistant",
    "replica": CANARY,
    "digest": "e" * 64,
    "path": "/v1/chat/completions",
    "stream": True,
    "status": 200,
    "end": "completed",
    "bytes": 353,
    "queued_ms": 50,
    "first_byte_ms": 250,
    "total_ms": 1050,
    "prompt_tokens": None,
    "completion_tokens": None,
    "canary": True,
    "conversation": 7,
}


def line(**said: object) -> Access:
    return Access.model_validate({**WRITTEN, **said})
