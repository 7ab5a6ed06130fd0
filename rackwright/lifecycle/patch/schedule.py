"""In which order hosts would be patched, how long that takes, and whether it fits into a window. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from rackwright.values.windows import next_opening, open_until

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet


@dataclass(frozen=True)
class Schedule:
    order: tuple[str, ...]
    """The first one is the canary."""
    at_once: int
    """The most hosts that change at the same time, once the canary has passed."""
    most: Mapping[str, int]
    """Part of a host's change → the seconds after which the run stops waiting for it."""
    seconds: float | None
    """The whole run; None: not measured yet."""
    opens: datetime | None = None
    """When the next window opens (UTC), or now; None: no window opens, or there is no limit."""
    closes: datetime | None = None
    """When that window closes (UTC); None: it doesn't."""
    frozen: bool = False
    """Whether no window opens as far as one can look ahead."""

    @property
    def fits(self) -> bool | None:
        """Whether the run fits into the window; None: not known."""
        if self.frozen:
            return False
        if self.closes is None or self.opens is None:
            return True
        return None if self.seconds is None else self.opens + timedelta(seconds=self.seconds) <= self.closes


def in_order(fleet: Fleet, hosts: Iterable[str], own: str | None = None) -> tuple[str, ...]:
    """Return the hosts in the order of a run: serving hosts, then gateways, at last the control hosts.

    `own`: the host that the run works on; it comes after all others, because its reboot ends the run's process.
    """
    wanted = set(hosts)
    named = [name for name in fleet.hosts if name in wanted]
    last = fleet.control
    return tuple(sorted(named, key=lambda name: (name == own, name in last, name in fleet.gateways)))


def schedule(
    fleet: Fleet, hosts: tuple[str, ...], now: datetime, zone: tzinfo, measured: Mapping[str, float]
) -> Schedule:
    """Return when the hosts would be patched. `measured`: seconds of each host's last patch, where known."""
    patch, rollout = fleet.file.patch, fleet.file.rollout
    at_once = patch.max_unavailable if patch else 1
    windows, freezes = (patch.windows, patch.freezes) if patch else ((), ())
    opens = next_opening(now, windows, freezes, zone)
    limited = bool(windows or freezes)
    return Schedule(
        order=hosts,
        at_once=at_once,
        most={"drain": rollout.drain_timeout, "start": rollout.start_timeout, "soak": rollout.soak},
        seconds=_seconds(hosts, at_once, measured),
        opens=opens if limited else None,
        closes=open_until(opens, windows, freezes, zone) if limited and opens else None,
        frozen=limited and opens is None,
    )


def _seconds(hosts: tuple[str, ...], at_once: int, measured: Mapping[str, float]) -> float | None:
    if any(host not in measured for host in hosts):
        return None
    canary, rest = hosts[:1], hosts[1:]
    groups = [rest[start : start + at_once] for start in range(0, len(rest), at_once)]
    return sum(max(measured[host] for host in group) for group in (canary, *groups) if group)
