"""Names of models that clients use and that would no longer be served."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from rackwright.errors import HostError
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.survey import Survey
from rackwright.remote.answers import read_each
from rackwright.roles.gateway.access_log import TAG
from rackwright.roles.gateway.configuration import PATHS
from rackwright.run import Outcome, Run

DAYS = 30
"""How long ago the last request may be for a name to count as used."""
_LINES = 5000
"""The most lines of one gateway's log that are looked at; the newest come first."""
_LOOK_SECONDS = 60
_OWN_KEYS = ("verify", "proof", "bench")
"""Ids of keys that commands of rackwright lend to themselves."""
_MAP = f"cut -d ' ' -f 1 {PATHS.configuration}/models.map 2>/dev/null || :"
_USE = re.compile(r'([A-Za-z0-9][A-Za-z0-9._:/-]{0,95}) (\d{4}-\d{2}-\d{2}T[0-9:.]{8,12}Z) ("[a-z0-9-]{1,64}"|null)')


@dataclass(frozen=True)
class DroppedName:
    """A name that gateways serve now, and that the fleet file no longer has."""

    name: str
    users: Mapping[str, datetime]
    """Id of each key that used it in the last 30 days → when it did so last."""
    unknown: str | None = None
    """Why it isn't known who used it."""

    @property
    def in_use(self) -> bool:
        return bool(self.users) or self.unknown is not None

    def __str__(self) -> str:
        if self.unknown:
            return f"{self.name}: who used it is unknown: {self.unknown}"
        used = [f"{key} (last {when:%Y-%m-%d %H:%M} UTC)" for key, when in self.users.items()]
        return f"{self.name}: {'used by ' + ', '.join(used) if used else f'not used in the last {DAYS} days'}"


def dropped_names(session: Session, surveyed: Survey, run: Run) -> tuple[DroppedName, ...]:
    """Return the names that gateways would no longer serve. Only those are asked whose configuration would change."""
    changing = {step.host for step in run.steps if step.role == "gateway" and step.outcome is Outcome.WOULD_CHANGE}
    gateways = [name for name in session.fleet.gateways if name in surveyed.hosts and name in changing]
    if not gateways:
        return ()
    kept = {name for model in session.fleet.file.routed.values() for name in model.served}
    maps = read_each(session.remote.run_on(gateways, _MAP), "reading the names of models", _words)
    dropped = {name for found in maps.values() if not isinstance(found, HostError) for name in found} - kept
    return tuple(_with_users(session, gateways, sorted(dropped))) if dropped else ()


def _with_users(session: Session, gateways: list[str], names: list[str]) -> Iterator[DroppedName]:
    asked = session.remote.run_on(gateways, _log_command(names), timeout=_LOOK_SECONDS)
    answers = read_each(asked, "reading who used a name", parse_uses)
    failed = [str(answer.problems[0].what) for answer in answers.values() if isinstance(answer, HostError)]
    uses = [use for answer in answers.values() if not isinstance(answer, HostError) for use in answer]
    for name in names:
        users: dict[str, datetime] = {}
        for used, when, key in uses:
            if used == name and key not in _OWN_KEYS:
                users[key] = max(when, users.get(key, when))
        yield DroppedName(name, dict(sorted(users.items())), "; ".join(failed) or None)


def _log_command(names: Iterable[str]) -> str:
    """Return a command that prints, for each of these names and each key, its last use: NAME TIME KEY."""
    pattern = f'"name":"({"|".join(map(re.escape, names))})"'
    fields = r's/.*"time":"\([^"]*\)".*"key":\("[^"]*"\|null\),.*"name":"\([^"]*\)".*/\3 \1 \2/p'
    log = f"journalctl -q -t {TAG} -o cat --since '{DAYS} days ago' -r --grep {shlex.quote(pattern)}"
    return f"{log} | sed -n {shlex.quote(fields)} | head -n {_LINES} | awk '!seen[$1 FS $3]++'"


def parse_uses(output: str) -> tuple[tuple[str, datetime, str], ...]:
    """Given the log command's output, return name, time and key of each use. Raise ValueError for other lines."""
    found = []
    for line in output.splitlines():
        match = _USE.fullmatch(line)
        if not match:
            raise ValueError(f"not a use of a name: {line[:100]!r}")
        found.append((match[1], datetime.fromisoformat(match[2]), match[3].strip('"')))
    return tuple(found)


def _words(output: str) -> tuple[str, ...]:
    return tuple(output.split())
