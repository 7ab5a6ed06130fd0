"""How a restore ended, by what is on the host afterwards: an exit status or a message counts for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from benchmarks.restore_faults.saved_host import Files, SavedHost
from rackwright.lifecycle.restore.in_place import Restored
from rackwright.state.journal import open_rollout, parse_journal
from rackwright.state.switch_in import LEASES_SINCE

FOLDERS = ("golden/", "evidence/", "drains/", "bench/", "canaries/")


class Outcome(StrEnum):
    RESTORED = "restored"
    """All as the newest good snapshot has it."""
    ELSEWHERE = "restored from elsewhere"
    """The fault is named."""
    REFUSED = "refused"
    """The fault is named, and the host is as it was."""
    UNNAMED = "the fault isn't named"
    FALSE = "FALSE SUCCESS"


CAUGHT = (Outcome.ELSEWHERE, Outcome.REFUSED)
GOOD = (Outcome.RESTORED, *CAUGHT)


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    why: str = ""


def not_restored(saved: Files, before: Files, after: Files) -> Iterator[str]:
    """Yield what isn't as it should be after a restore, given what the snapshot has, and the state from before."""
    for name in sorted({*saved, *before, *after}):
        if not name.startswith(FOLDERS):
            continue
        wanted = saved.get(name, before.get(name))
        if after.get(name) != wanted:
            yield f"{name} {_differs(after.get(name), wanted)}"
    for name in ("audit.log", "control/journal"):
        lines = after.get(name, "").splitlines()
        if lost := [
            line for text in (saved, before) for line in text.get(name, "").splitlines() if line not in lines
        ]:
            yield f"{name} lacks {len(lost)} lines"
    if open_rollout(parse_journal(after.get("control/journal", ""), "")) is not None:
        yield "a rollout is open"
    if int(after.get("control/token", "0")) != LEASES_SINCE + int(saved["control/token"]):
        yield f"the token is {after.get('control/token')}"
    for name in ("control/lease", "record.json"):
        if after.get(name) != before.get(name):
            yield f"{name} was changed"


def changed(before: Files, after: Files) -> Iterator[str]:
    """Yield what a refused restore changed. Only the audit log may have new lines."""
    for name in sorted({*before, *after} - {"audit.log"}):
        if after.get(name) != before.get(name):
            yield f"{name} {_differs(after.get(name), before.get(name))}"
    if not after.get("audit.log", "").startswith(before["audit.log"]):
        yield "audit.log lost lines"


def wrong_weights(host: SavedHost, *, wanted: bool) -> Iterator[str]:
    """Yield what is wrong with the weights in place. Unless they are wanted, they may be missing."""
    if not host.weights.exists():
        if wanted:
            yield "the weights are missing"
        return
    there = {path.name: path.read_bytes() for path in host.weights.iterdir() if path.name != ".verified"}
    for file in host.model.files:
        if sha256(there.pop(file.path, b"")).hexdigest() != file.sha256:
            yield f"{file.path} of the weights differs"
    if there:
        yield f"the weights have {', '.join(there)}"


def not_done(host: SavedHost, done: Restored, saved: Files, before: Files, after: Files) -> str:
    """Return why a restore that says it is done isn't, "" if it is. `saved` is what its snapshot has."""
    wrong = [*not_restored(saved, before, after), *wrong_weights(host, wanted=bool(done.models))]
    if not done.parts or not done.models:
        wrong.append(f"restored only {(*done.parts, *done.models)}")
    return "; ".join(wrong[:3])


def wrong_snapshot(states: Mapping[str, Files], taken: str, expected: str, said: str) -> str:
    """Return why this snapshot should not have been taken. `said` is all that the operator was told."""
    if taken not in states:
        return f"{taken[:8]} is no good snapshot"
    if taken != expected and expected[:8] not in said:
        return "an older state was restored, and nothing names the newer one"
    return ""


def _differs(found: str | None, wanted: str | None) -> str:
    if found is None:
        return "is missing"
    return "shouldn't be there" if wanted is None else "differs"


def tree(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
