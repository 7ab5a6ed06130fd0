"""One model and what an update would change, as text and as a JSON document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from rackwright.cli.common.context import Json
from rackwright.cli.render.table import table
from rackwright.report.words import counted, size
from rackwright.shape.template import NONE

if TYPE_CHECKING:
    from rackwright.fleet.lock import ModelLock, SourceLock
    from rackwright.fleet.sections.models import Model
    from rackwright.lifecycle.running_versions import Running
    from rackwright.lifecycle.update.differences import Difference, FileChange, Pair

T = TypeVar("T")


def difference_text(found: Difference) -> Iterator[str]:
    """Yield a block of lines: what an update would change in the model."""
    if not found.differs:
        yield f"{found.model} stays as it is: {_short(found.digest.after)}, {found.source.after}"
        return
    yield f"{found.model}  {_pair(found.source, str)}"
    yield _line("revision", _pair(found.revision, _commit))
    yield _line("digest", _pair(found.digest, _short))
    yield _line("size", f"{_pair(found.bytes, size)}; {size(found.new)} of it new")
    yield _line("license", _pair(found.license, str))
    yield _line("template", _template(found.template))
    yield _line("weights", f"{_pair(found.weights, size)}, {_pair(found.types, str)}")
    yield _line("context", _context(found))
    if found.vectors and found.digest.before:
        yield _line("vectors", "can't be compared with those of the current version (docs/serve.md)")
    yield from (_line("can't run", why) for why in found.refused)
    yield from (f"    {line}" for line in table([_file(change) for change in found.files]))


def difference_document(found: Difference) -> dict[str, Json]:
    return {**asdict(found), "differs": found.differs, "beyond": found.beyond}


def model_text(asked: Model, name: str, entry: ModelLock, replicas: Sequence[Running]) -> Iterator[str]:
    """Yield a block of lines: everything that the lock has of the model, then what its replicas run."""
    yield f"{name}  {entry.source}"
    yield from _entry(entry)
    yield _line("runtime", f"{asked.runtime.kind} {asked.runtime.version}")
    yield _line("task", asked.task)
    yield _line("names", ", ".join(asked.served))
    yield _line("context", f"{asked.context} tokens; made for {_tokens(entry)}")
    if entry.previous:
        before = entry.previous
        yield _line("previous", f"{_short(before.digest)}, {before.source}, revision {_commit(before.revision)}")
    for served, adapter in entry.adapters.items():
        yield _line("adapter", f"{served}, {adapter.source}, {_short(adapter.digest)}, {adapter.license or '-'}")
    yield from (f"    {line}" for line in table(list(_files(entry))))
    yield from (f"  {one.replica}  {_runs(one, entry)}" for one in replicas)


def model_document(asked: Model, name: str, entry: ModelLock) -> dict[str, Json]:
    return {
        "model": name,
        "runtime": asked.runtime.kind,
        "version": asked.runtime.version,
        "task": asked.task,
        "names": list(asked.served),
        "context": asked.context,
        "bytes": entry.bytes,
        **entry.model_dump(mode="json"),
    }


def _line(word: str, text: str) -> str:
    return f"  {word:<9}  {text}"


def _entry(entry: ModelLock) -> Iterator[str]:
    yield _line("revision", entry.revision or "-")
    yield _line("digest", entry.digest)
    yield _line("size", f"{size(entry.bytes)} in {counted(sum(len(one.files) for one in entry.whole), 'file')}")
    yield _line("license", entry.license or "not known")
    yield _line("template", {None: "not known", NONE: "none"}.get(entry.template, entry.template or ""))
    if entry.shape:
        yield _line("weights", f"{size(entry.shape.weights.total)}, {entry.shape.architecture}")


def _files(entry: ModelLock) -> Iterator[tuple[str, ...]]:
    parts: list[tuple[str, SourceLock]] = [("", entry)]
    parts += [(f"{served}/", adapter) for served, adapter in entry.adapters.items()]
    for below, part in parts:
        yield from ((f"{below}{file.path}", size(file.size), file.sha256) for file in part.files)


def _runs(one: Running, entry: ModelLock) -> str:
    if one.unreachable:
        return f"unreachable: {one.unreachable}"
    if one.state is None:
        return "not installed"
    adapters = {_short(adapter.digest) for adapter in entry.adapters.values()}
    seen = [_called(digest, entry) for digest in one.weights if digest not in adapters]
    return f"{one.state}; runs {', '.join(seen) or 'nothing'}"


def _called(digest: str, entry: ModelLock) -> str:
    if digest == _short(entry.digest):
        return f"{digest}, as the lock says"
    before = entry.previous and digest == _short(entry.previous.digest)
    return f"{digest}, the previous one" if before else f"{digest}, which the lock doesn't have"


def _tokens(entry: ModelLock) -> str:
    return str(entry.shape.context) if entry.shape and entry.shape.context else "an unknown number"


def _short(digest: str | None) -> str:
    return (digest or "-")[:16]


def _commit(revision: str | None) -> str:
    return (revision or "-")[:7]


def _pair(pair: Pair[T], words: Callable[[T], str]) -> str:
    before, after = ("-" if one is None else words(one) for one in (pair.before, pair.after))
    return after if before == after else f"{before} → {after}"


def _template(pair: Pair[str]) -> str:
    if pair.after is None:
        return "not known: its files can't be read in parts"
    if pair.before is None:
        return "the previous one is not known"
    if not pair.changed:
        return "stays" if pair.after != NONE else "none, as before"
    return "changes" if NONE not in (pair.before, pair.after) else "is removed" if pair.after == NONE else "is added"


def _context(found: Difference) -> str:
    above = ": above that" if found.beyond else ""
    return f"made for {_pair(found.trained, str)} tokens; the fleet file asks for {found.context}{above}"


def _file(change: FileChange) -> tuple[str, ...]:
    return change.what, change.path, _pair(change.bytes, size)
