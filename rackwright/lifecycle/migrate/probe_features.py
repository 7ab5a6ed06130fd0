"""Find out what a model of the fleet does with the features that clients use."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from rackwright.errors import ProofError
from rackwright.lifecycle.migrate.replay.lane import Lane, Stop
from rackwright.migrate.features.kinds import Probe, Status
from rackwright.migrate.features.table import probe

MOST_CHUNKS = 10_000
OFFERED = frozenset(("/v1/chat/completions", "/v1/completions", "/v1/embeddings"))
"""The gateways pass on nothing else."""


def probe_features(lane: Lane, model: str, names: Iterable[str]) -> Mapping[str, Status]:
    """Return what the model does with each of these features that an answer shows.

    `model`: its name at the gateways. Raise ProofError if the fleet doesn't answer at all.
    """
    found: dict[str, Status] = {}
    for name in names:
        one = probe(name)
        if one is not None:
            found[name] = _asked(lane, model, one)
    return found


def _asked(lane: Lane, model: str, one: Probe) -> Status:
    if one.path not in OFFERED:
        return "rejected"
    body = json.dumps({**one.body, "model": model}).encode()
    try:
        got = lane.ask_once(one.path, body)
    except Stop as stop:
        interrupted = stop.stopped.kind == "interrupted"
        next_ = "the same command again" if interrupted else "rackwright status"
        raise ProofError(stop.stopped.line(), where=model, next=next_) from None
    if got.status == 0 or got.status in (502, 503, 504):
        raise ProofError(
            f"doesn't answer: {got.problem or f'HTTP {got.status}'}", where=model, next="rackwright status"
        )
    return one.judge(got.status, parsed(got.content, streamed=bool(one.body.get("stream"))))


def parsed(content: bytes, *, streamed: bool) -> JsonValue:
    """Return an answer's JSON; of a stream, the list of its chunks, None for each that isn't JSON."""
    if not streamed or not content.lstrip().startswith(b"data:"):
        return _json(content)
    lines = (line.removeprefix(b"data:").strip() for line in content.split(b"\n") if line.startswith(b"data:"))
    return [_json(line) for line in list(lines)[:MOST_CHUNKS] if line != b"[DONE]"]


def _json(content: bytes) -> JsonValue:
    try:
        found: JsonValue = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found
