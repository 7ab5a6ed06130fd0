"""The access log's contract, access/1: how HAProxy writes a line, and how to read it. See docs/access-log.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from rackwright.values.base import Stored

FORMAT = "access/1"
TAG = "rackwright-access"
"""Syslog identifier of the log's lines in the journal."""


def _not_reached(value: object) -> object:
    return None if value == -1 else value


Milliseconds = Annotated[int | None, BeforeValidator(_not_reached)]
"""None: the request never got that far (HAProxy writes -1 for a total that never started)."""


def _not_sent(value: object) -> object:
    return 0 if value == -1 else value


End = Literal["completed", "client_aborted", "refused", "timeout", "server_error", "killed", "gateway_error"]


class Access(Stored):
    """One request. No body, no key, no query string."""

    format: Literal["access/1"]
    time: datetime
    """When its first byte arrived, UTC, in milliseconds."""
    request: str | None
    """Also the header x-request-id of the answer. None: a connection without a request."""
    key: str | None
    """Id of the API key, even if it has expired; None: unknown key."""
    model: str | None
    """The fleet's model that it was routed to; None: none."""
    name: str | None = None
    """The name by which the client asked for it; None: it isn't served here."""
    replica: str | None
    """HOST/MODEL@N of the last replica that had it; None: it reached none."""
    digest: str | None
    """Digest of the model as the gateway knows it; if `canary` is true, of the canary's version."""
    path: str | None
    """At most 128 characters."""
    stream: bool | None
    """Whether the client asked for a stream; None: it didn't say."""
    status: Annotated[int, BeforeValidator(_not_sent)]
    """0: there was no answer (HAProxy writes -1 if it had not asked an engine yet)."""
    end: End
    bytes: int
    """Sent to the client, headers included."""
    queued_ms: Milliseconds
    first_byte_ms: Milliseconds
    """From the first byte of the request to the first byte of the answer's body."""
    total_ms: Milliseconds
    prompt_tokens: int | None
    """As counted by the engine; None: no engine had the request, or it refused it or didn't count."""
    completion_tokens: int | None
    cached_tokens: int | None = None
    """Those of the prompt that the engine had in its cache; None: it didn't say."""
    estimated: bool | None = None
    """True: the engine said nothing of these counts, or its answer broke off, so they are estimates."""
    canary: bool | None = None
    """Whether its conversation goes to the canary; None: there is no canary, or the conversation is older than it."""
    conversation: int | None = None
    """0 to 999999 if there is a canary or a cutover: the same for all requests of one conversation; others may share
    it. None: the conversation is older."""
    side: Literal["cloud", "fleet", "fallback"] | None = None
    """Who was to answer: the model's cloud, or the fleet; fallback: no replica of the fleet took the request, and the
    cloud answered in its place; None: it was refused before that was decided."""
    accepted: bool | None = None
    """Whether the gateway's ledger counts it: its model has a cloud, and its key's limits allowed it; None: no."""
    owner: str | None = None
    """Whose key it is, at most 128 characters; None: unknown key, or one of rackwright's own."""


_LINE = TypeAdapter(Access)

ENDS: dict[str, End] = {
    "-": "completed",
    "C": "client_aborted",
    "c": "timeout",
    "s": "timeout",
    "S": "server_error",
    "P": "refused",
    "Pleft": "client_aborted",
    "L2": "completed",
    "L4": "refused",
    "L5": "refused",
    "R": "gateway_error",
    "I": "gateway_error",
    "K": "killed",
    "D": "killed",
    "U": "killed",
}
"""First letter of HAProxy's termination state → end. After L (HAProxy answered) comes the status' first digit;
Pleft: the client left during planned downtime."""


def parse_access(line: str) -> Access:
    """Parse a line of the log. Raise ValueError if it isn't an access/1 line."""
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(
            f"not an {FORMAT} line: {'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"
        ) from None


def log_format(folder: str) -> str:
    """Return HAProxy's log-format for the line; `folder` has ends.map.

    HAProxy's own JSON (+json) writes "" for a missing value, so the line is written out here. The configuration sets
    the variables as JSON text, and those that are not set become null.
    """
    end = f"txn.sess_term_state,bytes(0,1),concat(,txn.local),map_str({folder}/ends.map,gateway_error)"
    items = {
        "format": f'"{FORMAT}"',
        "time": '"%[request_date(ms),ms_utime(%Y-%m-%dT%H:%M:%S.%3NZ)]"',
        "request": '"%ID"',
        "key": "%[var(txn.json.key,null)]",
        "model": "%[var(txn.json.model,null)]",
        "name": "%[var(txn.json.name,null)]",
        "replica": "%[var(txn.json.replica,null)]",
        "digest": "%[var(txn.json.digest,null)]",
        "path": "%[var(txn.json.path,null)]",
        "stream": "%[var(txn.json.stream,null)]",
        "status": "%ST",
        "end": f'"%[{end}]"',
        "bytes": "%B",
        "queued_ms": "%[var(txn.json.queued,null)]",
        "first_byte_ms": "%[var(txn.json.first,null)]",
        "total_ms": "%Ta",
        "prompt_tokens": "%[var(txn.json.prompt_tokens,null)]",
        "completion_tokens": "%[var(txn.json.completion_tokens,null)]",
        "cached_tokens": "%[var(txn.json.cached_tokens,null)]",
        "estimated": "%[var(txn.json.estimated,null)]",
        "canary": "%[var(txn.json.canary,null)]",
        "conversation": "%[var(txn.json.conversation,null)]",
        "side": "%[var(txn.json.side,null)]",
        "accepted": "%[var(txn.json.accepted,null)]",
        "owner": "%[var(txn.json.owner,null)]",
    }
    return _json(items)


def error_log_format(*, end: End = "refused", key: str = "null", path: str = "null", owner: str = "null") -> str:
    """Return the log-format for a connection without a request: TLS failed, it wasn't HTTP, or a client left."""
    items = dict.fromkeys(Access.model_fields, "null") | {
        "format": f'"{FORMAT}"',
        "time": '"%[date(0,ms),ms_utime(%Y-%m-%dT%H:%M:%S.%3NZ)]"',
        "key": key,
        "path": path,
        "owner": owner,
        "status": "%ST",
        "end": f'"{end}"',
        "bytes": "%B",
    }
    return _json(items)


def _json(items: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in items.items()) + "}"
