"""With which other values a step was decided before: a plan that was edited until the result was good must show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from rackwright.lifecycle.migrate.stale import RESULTS, changed_keys
from rackwright.state.migrations import Entry, Log
from rackwright.values.text import enumerated

_MOST = 5
"""Edits of one step that are shown."""
_LONGEST = 160
"""Characters of what an entry says."""


@dataclass(frozen=True)
class Edit:
    """Two results of one step, between which keys that it depends on have changed."""

    entry: Entry
    """The newest one."""
    before: Entry
    """The last one for which a key had another value."""
    keys: tuple[str, ...]

    def line(self) -> str:
        """Return it in one sentence."""
        step, said = self.entry.step, self.before.what
        said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]} [...]"
        when = f"{self.before.time:%Y-%m-%d %H:%M} UTC"
        keys = enumerated(self.keys)
        return f"{step}: with other values of {keys}, entry {self.before.number} of {when} said: {said}"


def edits(log: Log) -> tuple[Edit, ...]:
    """Return the edits before the newest result of each step, the last ones first."""
    return tuple(edit for step in RESULTS for edit in islice(_of(step, log), _MOST))


def _of(step: str, log: Log) -> Iterator[Edit]:
    """Yield an edit for each other set of values that an earlier result was made with."""
    made = [one for one in log.entries if one.step == step and one.result]
    seen: set[frozenset[tuple[str, str]]] = set()
    for before in reversed(made[:-1]):
        values = frozenset(before.keys.items())
        keys = changed_keys(before, made[-1].keys)
        if keys and values not in seen:
            yield Edit(made[-1], before, keys)
        seen.add(values)
