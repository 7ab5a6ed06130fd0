"""Read the state that a snapshot had: every file by the parser that reads it on a host."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import Problem, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.gateway.server_states import DrainRecord
from rackwright.lifecycle.patch.document import PatchPlan
from rackwright.state.api_keys.merge_keys import parse_kept_keys
from rackwright.state.api_keys.pushed_keys import PushedKey
from rackwright.state.applied import About, about_of
from rackwright.state.bench import Bench
from rackwright.state.canaries import CanaryVerdict, Trial
from rackwright.state.control import ControlRecord, parse_control
from rackwright.state.formats import parse
from rackwright.state.golden import Golden
from rackwright.state.journal import Entry, open_rollout, parse_journal
from rackwright.state.migrations import Entry as LogEntry
from rackwright.state.migrations import Head
from rackwright.state.rollout import parse_rollout
from rackwright.state.switch_in import RAISABLE
from rackwright.values.base import Stored


@dataclass(frozen=True)
class Contents:
    """What could be read of the restored state, and what couldn't."""

    problems: tuple[Problem, ...] = ()
    unknown: tuple[str, ...] = ()
    """Names of files that rackwright doesn't write there. They are not restored."""
    about: About | None = None
    """Of the applied fleet; None: the snapshot has none."""
    control: ControlRecord | None = None
    """None also if it names other control hosts than this fleet has: those of the snapshot may be gone."""
    opened: Entry | None = None
    """What opened the rollout that was open when the snapshot was made."""
    keys: tuple[PushedKey, ...] = ()
    """Changes of API keys, with a tombstone for each revocation."""
    drains: Mapping[str, DrainRecord] = field(default_factory=dict)


_MOST_MOVES = 10**9
"""Of the control host to another one. The record with the greatest number counts for good."""
_NAME = "[a-z][a-z0-9-]{0,23}"
_SERVER = rf"{_NAME}\.{_NAME}\.[0-9]{{1,9}}\.[0-9]{{1,5}}"
"""HOST.MODEL.NUMBER.PORT, which a gateway's drains are named by."""


def _token(text: str, where: str) -> None:
    if text.strip() and not re.fullmatch(RAISABLE, text.strip()):
        raise RackwrightError("is no fencing token", where=where, should="should be a number of 10 digits at most")


def _control(text: str, where: str) -> ControlRecord | None:
    record = parse_control(text, where)
    if record and not 0 <= record.number < _MOST_MOVES:
        raise RackwrightError(f"has the number {record.number}", where=where, should=f"should be below {_MOST_MOVES}")
    return record


def _result(text: str, where: str) -> object:
    """A result of a migration; its act reads it, after it has compared its hash."""
    return parse(Stored, "", text, where)


_JSON: Mapping[str, Callable[[str, str], object]] = {
    rf"drains/{_SERVER}": lambda text, where: parse(DrainRecord, "drain", text, where),
    r"golden/[^/]+/[^/]+\.json": lambda text, where: parse(Golden, "golden", text, where),
    r"bench/[^/]+/[^/]+\.json": lambda text, where: parse(Bench, "bench", text, where),
    r"canaries/[^/]+/[^/]+\.json": lambda text, where: parse(CanaryVerdict, "canary", text, where),
    rf"migrations/{_NAME}\.log/[0-9]{{6}}\.json": lambda text, where: parse(LogEntry, "migration", text, where),
    rf"migrations/heads/{_NAME}\.json": lambda text, where: parse(Head, "migration-head", text, where),
    rf"migrations/{_NAME}\.{_NAME}/[0-9]{{6}}-[0-9a-f]{{12}}\.json": _result,
    r"control/rollout-[^/]+\.json": parse_rollout,
    r"control/patch-[^/]+\.json": lambda text, where: parse(PatchPlan, "patch-plan", text, where),
    r"control/trial-[^/]+\.json": lambda text, where: parse(Trial, "trial", text, where),
    r"control/journal": parse_journal,
    r"control/token": _token,
    r"control-host\.json": _control,
    r"keys\.pushed": parse_kept_keys,
}
"""Pattern of a name → what reads the text."""
NOT_READ = re.compile(r"control/(lease|lock|journal\.before)|usage/[^/]*|(.*/)?\.[^/]*")
"""Files that no restore brings back as they were. A gateway adds the restored usage of open days to its own."""
_LONGEST = {"control/journal": 16 * 2**20}
"""Name → most bytes. A host prints its whole journal for each command that takes the lease."""
_LONGEST_OTHER = 4 * 2**20


def refuses_damage(name: str) -> bool:
    """Return whether the file of this name is read by a parser that refuses it if it is damaged."""
    # The last line of a journal may be cut off.
    strict = (pattern for pattern, read in _JSON.items() if read is not parse_journal)
    return name == "fleet/applied.json" or any(re.fullmatch(pattern, name) for pattern in strict)


def read_contents(files: Mapping[str, bytes], fleet: Fleet, where: str) -> Contents:
    """Given the restored files by their names below /var/lib/rackwright, return what they say, and every problem."""
    problems: list[Problem] = []
    found: dict[str, object] = {}
    applied = {name.removeprefix("fleet/"): text for name, text in files.items() if name.startswith("fleet/")}
    unknown: list[str] = []
    for name in sorted(set(files) - {f"fleet/{name}" for name in applied}):
        if NOT_READ.fullmatch(name):
            continue
        read = next((read for pattern, read in _JSON.items() if re.fullmatch(pattern, name)), None)
        if read is None:
            unknown.append(name)
            continue
        try:
            _refuse_long(files[name], name, where)
            found[name] = read(files[name].decode(errors="replace"), f"{where}: {name}")
        except RackwrightError as error:
            problems += error.problems
        except Exception:  # As for a host's answers: a parser can fail in any way
            problems.append(Problem(f"{where}: {name}", "is damaged"))
    about: About | None = None
    try:
        about = _applied(applied, fleet, f"{where}: fleet") if applied else None
    except RackwrightError as error:
        problems += error.problems
    except Exception:  # Names that this machine can't write, values that no parser expects
        problems.append(Problem(f"{where}: fleet", "is damaged"))
    return _contents(problems, unknown, about, found, fleet)


def _refuse_long(content: bytes, name: str, where: str) -> None:
    longest = _LONGEST.get(name, _LONGEST_OTHER)
    if len(content) > longest:
        raise RackwrightError(f"has {len(content)} bytes", where=f"{where}: {name}", should=f"{longest} at most")


def _contents(
    problems: list[Problem], unknown: list[str], about: About | None, found: Mapping[str, object], fleet: Fleet
) -> Contents:
    control, journal, keys = (found.get(name) for name in ("control-host.json", "control/journal", "keys.pushed"))
    return Contents(
        tuple(problems),
        tuple(unknown),
        about,
        control if isinstance(control, ControlRecord) and _ours(control, fleet) else None,
        open_rollout(journal) if isinstance(journal, tuple) else None,
        keys if isinstance(keys, tuple) else (),
        {name.removeprefix("drains/"): one for name, one in found.items() if isinstance(one, DrainRecord)},
    )


def _ours(record: ControlRecord, fleet: Fleet) -> bool:
    return set(record.hosts) == set(fleet.control_hosts)


def _applied(files: Mapping[str, bytes], fleet: Fleet, where: str) -> About:
    """Read the applied fleet: what describes it, whose fleet it is, its keys and its lock.

    The fleet file isn't loaded: it is as old as the snapshot, and the files that it names may be gone by now.
    """
    from rackwright.fleet.keys_file import read_keys_file
    from rackwright.fleet.lock_file import read_lock

    about = about_of(files, where)
    with tempfile.TemporaryDirectory(prefix="rackwright-") as name:
        folder = Path(name)
        for relative, content in files.items():
            _refuse_long(content, relative, where)
            path = folder / relative
            if ".." in path.parts or not path.is_relative_to(folder):
                raise RackwrightError(f"{relative} is outside of it", where=where)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _refuse_other_fleet(folder / about.fleet_file, fleet, where)
        for path in folder.rglob("*.keys.yml"):
            read_keys_file(path)
        for path in folder.rglob("*.lock"):
            read_lock(path)
    return about


def _refuse_other_fleet(path: Path, fleet: Fleet, where: str) -> None:
    """Raise RackwrightError if the stored fleet file names another fleet; what it extends may name it instead."""
    from rackwright.fleet.reading.document import read_document
    from rackwright.fleet.reading.nodes import Findings, Scalar

    if not path.is_file():
        raise RackwrightError(f"{path.name} is missing", where=where, should="applied.json names it")
    named = read_document(path, Findings()).get("fleet")
    if isinstance(named, Scalar) and named.value != fleet.file.fleet:
        raise RackwrightError(
            f"is of the fleet {named.value}", where=where, should=f"should be of {fleet.file.fleet}"
        )
