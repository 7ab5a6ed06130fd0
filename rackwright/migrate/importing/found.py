"""What the readers find in a log, before redaction; and what became of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from rackwright.migrate.features.bodies import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES
from rackwright.migrate.recorded_request import LAST_SECOND
from rackwright.values.base import Stored

Format = Literal["jsonl", "openai", "litellm", "har"]
MOST_TOKENS = 100_000_000


class Reason(StrEnum):
    """Why a line or an item of a log isn't a recorded request."""

    TOO_LONG = "longer than 8 MiB"
    NOT_UTF8 = "not UTF-8"
    NOT_JSON = "not JSON"
    NOT_OBJECT = "not an object"
    NOT_ENTRY = "not an entry of an HTTP archive"
    NO_MODEL = "no name of a model"
    NO_PROMPT = "no prompt in it"
    CUT = "prompt cut off by the log"
    OTHER = "not a request to a known path"
    DUPLICATE = "duplicate id"
    DAMAGED = "the rest of the file is damaged"


@dataclass(frozen=True)
class Found:
    """A request as a log has it, with personal data."""

    path: str
    model: str
    body: Mapping[str, object]
    id: str = ""
    """As the log calls it; "": it has none."""
    arrived: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


Item = Found | Reason


class Imported(Stored):
    """What an import did."""

    format: str = "migration-import/1"
    files: int = 0
    read: int = 0
    """Lines or items in the files."""
    kept: int = 0
    """Requests that were added."""
    skipped: Mapping[str, int] = {}
    """Reason → how many weren't kept."""
    first_skipped: Mapping[str, str] = {}
    """Reason → where the first of them is: FILE:LINE, or item N of FILE."""
    personal: Mapping[str, int] = {}
    """Kind of personal data → how many were replaced."""
    models: Mapping[str, int] = {}
    """The provider's model → requests."""
    undated: int = 0
    """Requests without a time of arrival."""
    unmapped: Mapping[str, int] = {}
    """Those of `models` that the plan doesn't map."""


@dataclass
class Counts:
    """An `Imported` while it grows."""

    files: int = 0
    read: int = 0
    kept: int = 0
    undated: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    first_skipped: dict[str, str] = field(default_factory=dict)
    personal: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: Reason, place: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        self.first_skipped.setdefault(reason, place)

    def imported(self) -> Imported:
        return Imported(
            files=self.files,
            read=self.read,
            kept=self.kept,
            undated=self.undated,
            skipped=dict(sorted(self.skipped.items())),
            first_skipped=dict(sorted(self.first_skipped.items())),
            personal=dict(sorted(self.personal.items())),
            models=dict(sorted(self.models.items())),
        )


_PATH = re.compile(r"(?:/deployments/([^/?#]{1,200}))?/(chat/completions|completions|embeddings|responses)/?")


def known_path(url: str) -> tuple[str, str | None] | None:
    """Given a URL or a path, return our path and the model in it (as Azure has it); None: it is another request."""
    path = re.sub(r"^[a-zA-Z]{2,8}://[^/?#]{0,300}", "", url[:4096]).partition("?")[0].partition("#")[0]
    ends = [found for found in _PATH.finditer(path) if found.end() == len(path)]
    return (f"/v1/{ends[0][2]}", ends[0][1]) if ends else None


def of_body(
    body: Mapping[str, object],
    *,
    path: str | None = None,
    model: str | None = None,
    id: str = "",
    arrived: float | None = None,
    tokens: tuple[int | None, int | None] = (None, None),
) -> Item:
    """Return the request with this body, or why it is none. Without `path`, the body says which it is."""
    path = path or path_of(body)
    named = body.get("model") or model
    if not isinstance(named, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,95}", named):
        return Reason.NO_MODEL
    if path is None or not has_prompt(path, body):
        return Reason.NO_PROMPT
    return Found(path, named, {**body, "model": named}, id, arrived, *tokens)


def path_of(body: Mapping[str, object]) -> str | None:
    if "messages" in body:
        return CHAT
    if "prompt" in body and "input" not in body and not isinstance(body["prompt"], dict):
        return COMPLETIONS
    if "input" in body or isinstance(body.get("prompt"), dict):
        vectors = {"dimensions", "encoding_format"} & body.keys() or "embed" in str(body.get("model"))
        return EMBEDDINGS if vectors else RESPONSES
    return None


def has_prompt(path: str, body: Mapping[str, object]) -> bool:
    if path == CHAT:
        messages = body.get("messages")
        return isinstance(messages, list) and bool(messages) and all(isinstance(one, dict) for one in messages)
    if path == COMPLETIONS:
        return isinstance(body.get("prompt"), str | list) and bool(body["prompt"])
    if path == RESPONSES and isinstance(body.get("prompt"), dict):
        return True
    return isinstance(body.get("input"), str | list) and bool(body["input"])


def count_of(value: object) -> int | None:
    """Return a number of tokens as a log has it; None if it isn't one."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
        return value
    return None


def usage_of(value: object) -> tuple[int | None, int | None]:
    """Return the tokens of prompt and answer in a `usage` object of chats, completions, embeddings or responses."""
    if not isinstance(value, dict):
        return None, None
    first = count_of(value.get("prompt_tokens", value.get("input_tokens")))
    return first, count_of(value.get("completion_tokens", value.get("output_tokens")))


def seconds_of(value: object) -> float | None:
    """Return Unix seconds from seconds, milliseconds or a time in ISO 8601; None if it is none of them."""
    if isinstance(value, str):
        return _from_iso(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1000 * LAST_SECOND:
        return value / (1 if value < LAST_SECOND else 1000)
    return None


def _from_iso(text: str) -> float | None:
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text[:40].strip())
        seconds = found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < LAST_SECOND else None
