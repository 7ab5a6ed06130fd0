"""The access log's contract, access/1: how HAProxy writes a line, and how anyone reads it. See docs/access-log.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from rackwright.values.base import Stored

FORMAT = "access/1"
TAG = "rackwright-access"
"""Syslog identifier of the lines in the journal."""


def _not_reached(value: object) -> object:
    return None if value == -1 else value


Milliseconds = Annotated[int | None, BeforeValidator(_not_reached)]
"""None: the request never came so far (HAProxy writes -1 for a total that never began)."""


def _not_sent(value: object) -> object:
    return 0 if value == -1 else value


End = Literal["completed", "client_aborted", "refused", "timeout", "server_error", "killed", "gateway_error"]


class Access(Stored):
    """One request. No body, no key, no query string."""

    format: Literal["access/1"]
    time: datetime
    """When its first byte came, UTC, milliseconds."""
    request: str | None
    """Also the answer's header x-request-id. None: a connection that brought no request."""
    key: str | None
    """Id of the API key, an expired one too; None: not known."""
    model: str | None
    """Model of the fleet that it was routed to; None: none."""
    replica: str | None
    """HOST/MODEL@N that had it last; None: it reached none."""
    digest: str | None
    """Of the model, as the gateway was told; where `canary` is true, of the canary's version."""
    path: str | None
    """At most 128 characters."""
    stream: bool | None
    """What the client asked for; None: it didn't say."""
    status: Annotated[int, BeforeValidator(_not_sent)]
    """0: nothing was answered (HAProxy writes -1 where it had not asked an engine yet)."""
    end: End
    bytes: int
    """Sent to the client, headers included."""
    queued_ms: Milliseconds
    first_byte_ms: Milliseconds
    """From the request's first byte to the first byte of the answer's body."""
    total_ms: Milliseconds
    prompt_tokens: int | None
    """As the engine counted; None: it didn't, or the answer was a stream or above 1 MiB."""
    completion_tokens: int | None
    canary: bool | None = None
    """Whether its conversation goes to the canary; None: there is none, or it had begun before."""
    conversation: int | None = None
    """0 to 9999, where `canary` is known: the same for all requests of one conversation, and for some others."""


_LINE = TypeAdapter(Access)

ENDS: dict[str, End] = {
    "-": "completed",
    "C": "client_aborted",
    "c": "timeout",
    "s": "timeout",
    "S": "server_error",
    "P": "refused",
    "L2": "completed",
    "L4": "refused",
    "L5": "refused",
    "R": "gateway_error",
    "I": "gateway_error",
    "K": "killed",
    "D": "killed",
    "U": "killed",
}
"""First letter of HAProxy's termination state (L: answered by itself, with the status' first digit) → end."""


def parse_access(line: str) -> Access:
    """Given a line of the log, return it. Raise ValueError if it is none of access/1."""
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(
            f"not an {FORMAT} line: {'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"
        ) from None


def log_format(folder: str) -> str:
    """Return HAProxy's log-format of the line; in the folder stands ends.map.

    HAProxy's own JSON (+json) writes "" for what is missing. So the line is written out, and variables whose
    text the configuration has made JSON already default to null.
    """
    end = f"txn.sess_term_state,bytes(0,1),concat(,txn.local),map_str({folder}/ends.map,gateway_error)"
    items = {
        "format": f'"{FORMAT}"',
        "time": '"%[request_date(ms),ms_utime(%Y-%m-%dT%H:%M:%S.%3NZ)]"',
        "request": '"%ID"',
        "key": "%[var(txn.json.key,null)]",
        "model": "%[var(txn.json.model,null)]",
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
        "canary": "%[var(txn.json.canary,null)]",
        "conversation": "%[var(txn.json.conversation,null)]",
    }
    return _json(items)


def error_log_format() -> str:
    """Return the line of a connection that brought no request: TLS refused, or no HTTP."""
    items = dict.fromkeys(Access.model_fields, "null") | {
        "format": f'"{FORMAT}"',
        "time": '"%[date(0,ms),ms_utime(%Y-%m-%dT%H:%M:%S.%3NZ)]"',
        "status": "%ST",
        "end": '"refused"',
        "bytes": "%B",
    }
    return _json(items)


def _json(items: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in items.items()) + "}"
