"""One look: HAProxy's workers, then the log, then the documents, then what HAProxy needs to know of quotas."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.operations.log_program import document
from rackwright.operations.log_program.journal import Journal, Place
from rackwright.roles.usage.program.day import Day
from rackwright.roles.usage.program.form import days_text, parse_days, parse_state, state_text
from rackwright.roles.usage.program.lines import parse_ended
from rackwright.roles.usage.program.periods import DAY_MS, date_of
from rackwright.roles.usage.program.quotas import Quota, key_quotas, quotas_map, team_quotas, wanted
from rackwright.roles.usage.program.state import State
from rackwright.roles.usage.program.tables import Seen, changes, parse_seen

DAYS_KEPT = 400
"""Of the days that have any requests, the newest: a clock that is wrong for a moment must not remove others."""
_LARGEST_ANSWER = 256 * 2**20
QUOTAS_MAP = "quotas.map"
REUSE = "reuse.json"
"""What replicas took from their caches today: a small document, for `status`."""
RESTORED = "restored.json"
UNREADABLE = "unreadable.json"
"""What becomes of a restored state that can't be read."""


@dataclass
class Proxy:
    """The gateway's HAProxy, as far as the program uses it."""

    ask: Callable[[], Seen]
    tell: Callable[[Iterable[str], bool], None]
    """Run these lines of commands, and if so, load quotas.map into every worker."""
    folder: Path
    """Where keys.map and quotas.map are."""

    @property
    def quotas_map(self) -> Path:
        return self.folder / QUOTAS_MAP


@dataclass
class Places:
    """Where the program keeps what it knows."""

    folder: Path
    days: Path = field(init=False)
    state: Path = field(init=False)
    reuse: Path = field(init=False)
    restored: Path = field(init=False)
    """The state that a restore brought back, until the next run."""

    def __post_init__(self) -> None:
        self.days, self.state = self.folder / "days", self.folder / "state.json"
        self.reuse, self.restored = self.folder / REUSE, self.folder / RESTORED

    def day(self, number: int) -> Path:
        return self.days / f"{date_of(number)}.json"


def run(gateway: str, scripts: str, configuration: str, tag: str, state: str) -> int:
    """Bring the gateway's usage up to date; `scripts` is the folder with `ask`, `tell` and the teams' quotas.

    Return 0; if that isn't possible, say why, and return 1.
    """
    os.umask(0o077)
    try:
        proxy = Proxy(lambda: ask(scripts), lambda lines, load: tell(scripts, lines, load), Path(configuration))
        teams = tuple(team_quotas(Path(scripts, "quotas.json").read_text(encoding="utf-8")))
        look(gateway, Places(Path(state)), Journal(tag), proxy, teams)
        return 0
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"usage is not up to date: {error}", file=sys.stderr)
        return 1


def look(
    gateway: str,
    places: Places,
    journal: Journal,
    proxy: Proxy,
    teams: tuple[Quota, ...],
    clock: Callable[[], float] = time.time,
) -> State:
    """Count what has ended, keep it, and tell HAProxy how much of each quota is used."""
    places.days.mkdir(parents=True, exist_ok=True)
    state = _load(places.state, gateway)
    state = _with_restored(state, places, gateway) or State(gateway, since=int(clock() * 1000))
    seen = proxy.ask()
    now = int(clock() * 1000)
    state.taken = now
    _read(state, places, journal, now)
    state.note_dropped(seen.dropped, now // DAY_MS)
    for name, sums in seen.used.items():
        state.learn(name, sums)
    state.forget(now // DAY_MS)
    _keep(state, places, now)
    _publish(state, seen, proxy, teams, now // DAY_MS)
    return state


def _load(path: Path, gateway: str) -> State | None:
    text = document.load(path)
    if text is None:
        return None
    try:
        state = parse_state(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if state.gateway != gateway:
        raise ValueError(f"{path} is of gateway {state.gateway}, and this is {gateway}")
    return state


def _with_restored(state: State | None, places: Places, gateway: str) -> State | None:
    """Return the state with what a restore brought back, and keep that. If this state is the restored one's
    continuation, it has all of that already."""
    try:
        restored = _load(places.restored, gateway)
    except ValueError as error:
        print(f"what a restore brought back isn't counted: {error}", file=sys.stderr)
        places.restored.replace(places.folder / UNREADABLE)
        return state
    if restored is None:
        return state
    if state is None:
        state = restored
    elif state.since != restored.since:
        for number in restored.days:
            _reopen(state, places, number)
        state.join(restored)
    document.save(places.state, state_text(state))
    places.restored.unlink()
    return state


def _read(state: State, places: Places, journal: Journal, now: int) -> None:
    """Count the journal's new lines."""
    journal.sync()
    place, today = Place(state.cursor, state.last), now // DAY_MS
    lost: list[int] = []
    for line in journal.lines(place, now // 3_600_000 - 24, lambda: lost.append(state.read)):
        try:
            ended = parse_ended(line)
        except ValueError:
            state.day(today).lost += 1
            continue
        if ended is None:
            continue
        _reopen(state, places, min(ended.at // DAY_MS, today + 1))
        if lost:
            state.day(today).note_gap(lost.pop(), ended.at)
        state.count(ended, today)
    if lost:
        state.day(today).note_gap(lost[0], now)
    state.cursor, state.last = place.cursor, place.last


def _reopen(state: State, places: Places, number: int) -> None:
    """Ensure that a day that was over is open with all that is known of it."""
    if number not in state.days and (text := document.load(places.day(number))) is not None:
        _, days = parse_days(text)
        state.days.update({day.day: day for day in days})


def _keep(state: State, places: Places, now: int) -> None:
    """Write the state, and a document of its own for each day that is over.

    After a crash in between, the state still has such a day, which then takes precedence.
    """
    document.save(places.state, state_text(state))
    if over := list(state.ended_days(now)):
        for day in over:
            _close(state, places, day)
        document.save(places.state, state_text(state))
    _keep_reuse(state, places, now // DAY_MS)
    for old in sorted(places.days.glob("*.json"))[:-DAYS_KEPT]:
        old.unlink()


def _keep_reuse(state: State, places: Places, today: int) -> None:
    reuse = state.days[today].reuse if today in state.days else {}
    text = days_text(state.gateway, [Day(today, reuse=reuse)])
    if text != document.load(places.reuse):
        document.save(places.reuse, text)


def _close(state: State, places: Places, day: Day) -> None:
    document.save(places.day(day.day), days_text(state.gateway, [day]))
    del state.days[day.day]


def _publish(state: State, seen: Seen, proxy: Proxy, teams: tuple[Quota, ...], today: int) -> None:
    """Tell HAProxy's table of this gateway, which the others get, and its map of quotas."""
    with Path(proxy.folder, "keys.map").open(encoding="utf-8", errors="replace") as keys_map:
        quotas = (*teams, *key_quotas(keys_map))
    needed = wanted(quotas, today)
    sums = {which: state.used[which] for which in needed if which in state.used}
    lines = list(changes(state.gateway, sums, seen.used.get(state.gateway, {})))
    text = quotas_map(quotas, state, today)
    if text != (document.load(proxy.quotas_map) or ""):
        document.save(proxy.quotas_map, text, mode=0o644)
    load = {*text.splitlines()} != seen.quotas
    if lines or load:
        proxy.tell(lines, load)


def ask(scripts: str) -> Seen:
    """Return what HAProxy's workers say. Raise OSError or ValueError if they don't."""
    done = subprocess.run([f"{scripts}/ask"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120)
    if done.returncode:
        raise OSError("HAProxy can't be asked")
    if len(done.stdout) > _LARGEST_ANSWER:
        raise ValueError("what HAProxy says is too large")
    return parse_seen(done.stdout.decode("ascii", "replace"))


def tell(scripts: str, lines: Iterable[str], load: bool) -> None:
    """Run these commands in HAProxy, and if so, load quotas.map. Raise OSError if that fails."""
    told = "".join(f"{line}\n" for line in lines).encode()
    if subprocess.run([f"{scripts}/tell", "load" if load else ""], input=told, timeout=120).returncode:
        raise OSError("HAProxy doesn't take what is used")
