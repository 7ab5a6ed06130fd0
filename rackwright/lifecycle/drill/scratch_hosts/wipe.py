"""Wipe of a scratch host: removes all that a drill brought, then proves it. It runs after any failure, and again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import ProofError, RackwrightError
from rackwright.lifecycle.drill.evidence.conclusion import WIPED
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.scratch_hosts.scratch import FOLDER, MODELS_AT, each_outcome
from rackwright.remote.answers import read_answer
from rackwright.remote.connection import Connection
from rackwright.state.shell import command
from rackwright.values.paths import HostPath

WIPE = Path(__file__).with_name("wipe.sh").read_text()
REMAINS = Path(__file__).with_name("remains.sh").read_text()
OVERWRITTEN = "disk blocks overwritten"
_SECONDS = 900
_LIMIT = 2**20


@dataclass(frozen=True)
class Restored:
    """A file that the drill restored."""

    path: HostPath
    sha256: str


@dataclass(frozen=True)
class Brought:
    """What a drill brought to one scratch host, in addition to what every apply brings."""

    models_at: tuple[HostPath, ...] = (MODELS_AT,)
    """Folders with weights. Their content is removed, the folders stay."""
    files: tuple[Restored, ...] = ()
    texts: tuple[str, ...] = ()
    """Texts of one line that are in the restored data and nowhere else, to be searched for. No secrets."""


@dataclass(frozen=True)
class Remains:
    left: tuple[str, ...]
    swaps: tuple[str, ...]
    """Swap devices and files, which may have pages with restored data."""


def wipe(scratch: Mapping[str, Connection], brought: Mapping[str, Brought]) -> tuple[Check, ...]:
    """Remove what the drill brought from each scratch host, and return checks that prove it.

    All hosts are wiped, whatever happens on one: a host that fails has a failed check. A host without the drill's
    marker is left untouched, and fails. The isolation stays until `lift`.
    """
    by_name = {connection.name: brought.get(name, Brought()) for name, connection in scratch.items()}
    done = each_outcome(scratch, lambda connection: _wiped(connection, by_name[connection.name]))
    return tuple(check for name, one in done.items() for check in _checks(name, one))


def require_wiped(checks: Iterable[Check]) -> None:
    """Raise ProofError with every host that isn't proven to be wiped. Its isolation should stay."""
    failed = [check for check in checks if check.name == WIPED and check.outcome != "passed"]
    if failed:
        errors = [
            ProofError(
                f"is not wiped: {check.found}",
                where=check.host,
                should="it stays isolated until it is wiped",
                next="rackwright drill clean",
            )
            for check in failed
        ]
        raise errors[0].with_problems(problem for error in errors[1:] for problem in error.problems)


def parse_remains(text: str) -> Remains:
    """Given the output of `remains.sh`, return what is left. Raise ValueError if it is damaged."""
    *lines, last = text.splitlines() or [""]
    if last != "end":
        raise ValueError("the answer is cut off")
    if not all(line.startswith(("left ", "swap ")) for line in lines):
        raise ValueError("not something that is left")
    plain = [re.sub(r"[^\x20-\x7e]", "?", line)[:300] for line in lines]
    return Remains(
        tuple(line.removeprefix("left ") for line in plain if line.startswith("left ")),
        tuple(line.removeprefix("swap ") for line in plain if line.startswith("swap ")),
    )


def _wiped(connection: Connection, brought: Brought) -> Remains:
    failed: RackwrightError | None = None
    try:
        done = connection.run(command(WIPE, FOLDER, *brought.models_at), timeout=_SECONDS)
        done.check("wiping")
    except RackwrightError as error:
        failed = error
    asked = [*(f"text {text}" for text in brought.texts if text.strip())]
    asked += [f"file {file.sha256} {file.path}" for file in brought.files]
    question = command(REMAINS, FOLDER, *brought.models_at)
    done = connection.run(question, stdin="".join(f"{line}\n" for line in asked), timeout=_SECONDS, limit=_LIMIT)
    remains = read_answer(
        connection.name, "what is left", parse_remains, done.check("looking for what is left").stdout
    )
    if failed and not remains.left:
        raise failed
    return remains


def _checks(name: str, done: Remains | RackwrightError) -> tuple[Check, ...]:
    expected = "no unit, user, file, credential, cache, journal entry or known text of the drill"
    if isinstance(done, RackwrightError):
        return (Check(WIPED, "failed", name, "; ".join(problem.line() for problem in done.problems), expected),)
    swap = f"; swap isn't cleared: {', '.join(done.swaps)}" if done.swaps else ""
    blocks = Check(
        OVERWRITTEN, "not run", name, f"deleted files' blocks stay on the disk until they are reused{swap}"
    )
    if done.left:
        more = f", and {len(done.left) - 10} more" if len(done.left) > 10 else ""
        return (Check(WIPED, "failed", name, f"left: {', '.join(done.left[:10])}{more}", expected), blocks)
    return (Check(WIPED, "passed", name, "nothing is left", expected), blocks)
