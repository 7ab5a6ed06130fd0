"""The kinds of objects of an export, and what each consists of, next to the object itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rackwright.migrate.provider_objects import LISTS

ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:=+~-]{0,199}")
"""An id of the provider, as it is accepted: it goes into URLs and onto terminals."""
WEIGHTS = "weights"
FILES = "files"
JOBS = "fine-tuning jobs"
STORES = "vector stores"
STORE_FILES = "vector store files"
_ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class PieceOf:
    """A part of an object that is fetched on its own: lines of JSON, page by page, or a raw content."""

    name: str
    path: str
    """Below the object's path."""
    raw: bool = False
    optional: bool = False
    """Whether some providers don't have it."""
    paged: bool = True
    """Whether a number of items can be asked for."""


@dataclass(frozen=True)
class Kind:
    name: str
    path: str
    """Where its objects are."""
    pieces: tuple[PieceOf, ...] = ()
    restless: bool = False
    """Whether its pieces can change while the object itself looks the same."""


_PAGES: Mapping[str, tuple[PieceOf, ...]] = {
    FILES: (PieceOf("content", "/content", raw=True),),
    JOBS: (PieceOf("events", "/events", optional=True), PieceOf("checkpoints", "/checkpoints", optional=True)),
    STORES: (PieceOf("files", "/files"),),
    "stored chat completions": (PieceOf("messages", "/messages"),),
}
LISTED = tuple(Kind(name, path, _PAGES.get(name, ()), restless=name == STORES) for name, path in LISTS.items())
"""What the provider lists."""
NAMED: Mapping[str, Kind] = {
    "resp_": Kind("responses", "/responses", (PieceOf("input items", "/input_items"),)),
    "conv_": Kind("conversations", "/conversations", (PieceOf("items", "/items"),), restless=True),
}
"""What it doesn't list: how an id begins → its kind."""
CHUNKS = Kind(STORE_FILES, "/vector_stores", (PieceOf("chunks", "/content", paged=False),))
KINDS: Mapping[str, Kind] = {one.name: one for one in (*LISTED, CHUNKS, *NAMED.values())}


def path_of(kind: Kind, id: str) -> str:
    """Return the path of an object, its id quoted. `id`: for a file of a vector store, STORE/FILE."""
    store, _, own = id.rpartition("/")
    inner = f"/{quote(store, safe='')}/files" if store else ""
    return f"{kind.path}{inner}/{quote(own, safe='')}"


def id_of(item: Mapping[str, Any]) -> str | None:
    """Return the id of a listed object, None if it is none that can be used."""
    found = item.get("id")
    return found if isinstance(found, str) and ID.fullmatch(found) else None


def name_of(item: Mapping[str, Any]) -> str:
    """Return the object's name, at most 200 characters that can be shown; "": it has none."""
    found = item.get("filename", item.get("name"))
    return "".join(one for one in found[:200] if one.isprintable()) if isinstance(found, str) else ""


def size_of(item: Mapping[str, Any]) -> int | None:
    """Return the size in bytes that a listed file has; None: its list doesn't say."""
    found = item.get("bytes")
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def digest_of_item(item: Mapping[str, Any]) -> str:
    """Return a digest of the object as it was listed; the order of its keys doesn't count."""
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()[:32]


def json_line(item: Mapping[str, Any]) -> bytes:
    """Return the object as a line of JSON, its keys in the provider's order."""
    try:
        return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        # Half of a pair of surrogates is JSON, but no UTF-8.
        return json.dumps(item, separators=(",", ":")).encode() + b"\n"


def may_change(kind: Kind, item: Mapping[str, Any]) -> bool:
    """Return whether pieces can be others although the object is listed as before."""
    return kind.restless or (kind.name == JOBS and item.get("status") not in _ENDED)


def files_named_in(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that a batch or fine-tuning job names: id → what they are to it."""
    one = ("input_file_id", "output_file_id", "error_file_id", "training_file", "validation_file")
    named = [(item.get(key), key) for key in one]
    results = item.get("result_files")
    named += [(found, "result_files") for found in results[:1000]] if isinstance(results, list) else []
    return {id: key for id, key in named if isinstance(id, str) and ID.fullmatch(id)}


def weights_of(item: Mapping[str, Any]) -> str | None:
    """Return the name of the model that a fine-tuning job has made; None: it has made none."""
    found = item.get("fine_tuned_model")
    return found if isinstance(found, str) and ID.fullmatch(found) else None
