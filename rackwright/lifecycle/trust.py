"""Pin the hosts' SSH keys: get each host's key, compare it with the pinned one, and pin the keys that you confirm."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from rackwright.errors import HostError
from rackwright.remote import HostKey, jump_target, pin, scan
from rackwright.remote.known_hosts import lookup
from rackwright.values.targets import Target


class State(StrEnum):
    NEW = "new"
    PINNED = "pinned"
    CHANGED = "CHANGED"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Shown:
    """The key that a host (or a jump host) showed, or why it couldn't be reached."""

    target: Target
    state: State
    key: HostKey | None = None
    problem: str | None = None

    @property
    def fingerprint(self) -> str | None:
        return self.key.fingerprint if self.key else None


def jump_hosts(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Return each jump host once: their keys must be pinned before hosts can be reached through them."""
    jumps = [jump for target in targets if (jump := jump_target(target))]
    return tuple({(jump.address, jump.port): jump for jump in jumps}.values())


def look(targets: Iterable[Target], *, scanner: Callable[[Target], HostKey] = scan) -> tuple[Shown, ...]:
    """Return the key of each target, all at once. This machine ("@local") has none."""
    from gevent.pool import Pool

    def one(target: Target) -> Shown:
        try:
            key = scanner(target)
        except HostError as error:
            return Shown(target, State.UNREACHABLE, problem=error.problems[0].what)
        pinned = lookup(target).keys
        state = State.PINNED if key in pinned else State.CHANGED if pinned else State.NEW
        return Shown(target, state, key)

    return tuple(Pool(32).map(one, [target for target in targets if target.address != "@local"]))


def pin_all(shown: Iterable[Shown]) -> None:
    """Write each key to the fleet's known_hosts file, as the only one of its host."""
    for one in shown:
        if one.key and one.target.known_hosts:
            pin(one.target.known_hosts, one.target, one.key)
