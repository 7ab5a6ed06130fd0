"""What a patch run writes to the journal about a host in addition to its phases, and what it reads there.

Before each reboot there is an entry that names the boot that it ends, and after each proof one with the host's kernel
and driver.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rackwright.lifecycle.rollout.change import Phase
from rackwright.state.journal import Entry, Event
from rackwright.state.lease_session import LeaseSession

REBOOT = "reboot"
"""The phase of a reboot's entry."""
_BACK = "back"
"""The fact that a reboot is one of the way back."""


@dataclass(frozen=True)
class HostJournal:
    """The journal of one patch run."""

    lease_session: LeaseSession
    rollout: str

    def started(self) -> frozenset[str]:
        """Return the hosts that the run has started to change, those that are finished among them."""
        entries = self._entries()
        drained = {host for host, phase in _last_phases(entries).items() if phase == Phase.DRAIN}
        return _acted(entries) | drained

    def acted(self) -> frozenset[str]:
        """Return the hosts on which something was changed, or may have been."""
        return _acted(self._entries())

    def changing(self) -> frozenset[str]:
        """Return the hosts under change: what is wrong with a finished one keeps others from starting."""
        return frozenset(host for host, phase in _last_phases(self._entries()).items() if phase != Phase.DONE)

    def reverting(self, host: str) -> str | None:
        """Return why the run reverts the host, or has reverted it; None: it doesn't."""
        reasons = [one.detail for one in self._of(host) if one.phase == Phase.REVERT]
        return reasons[-1] if reasons else None

    def settled(self, host: str) -> bool:
        """Return whether the last proof of the host came after the last act; True if there was no act."""
        decisive = [one for one in self._of(host) if one.phase == Phase.ACT or proves(one)]
        return not decisive or proves(decisive[-1])

    def booted_back(self, host: str, boot: str) -> bool:
        """Return whether the host has had its last reboot of the way back, given which boot it is in."""
        back = [one.facts for one in self._of(host) if _BACK in one.facts]
        return bool(back) and back[-1] != _facts(boot, back=True)

    def boots(self, host: str, why: str, boot: str, *, back: bool) -> None:
        """Write that the host reboots, unless it is in another boot than this one. `back`: on its way back."""
        self._write(Event.INTENT, host, REBOOT, why, _facts(boot, back=back))

    def proven(self, host: str, facts: Collection[str]) -> None:
        """Write that the host was proven, with its kernel and driver among these facts of roles/patch/well.py."""
        found = tuple(fact for fact in facts if fact.startswith(("kernel ", "driver ")))
        self._write(Event.OUTCOME, host, Phase.PROVE, ", ".join(found) or "as before", found)

    def _write(self, event: Event, host: str, phase: str, detail: str, facts: tuple[str, ...]) -> None:
        self.lease_session.write(event, self.rollout, subject=host, phase=phase, detail=detail, facts=facts)

    def _of(self, host: str) -> tuple[Entry, ...]:
        return tuple(one for one in self._entries() if one.subject == host)

    def _entries(self) -> tuple[Entry, ...]:
        return tuple(one for one in self.lease_session.store.entries() if one.rollout == self.rollout)


def _acted(entries: Collection[Entry]) -> frozenset[str]:
    return frozenset(one.subject for one in entries if one.phase == Phase.ACT)


def _last_phases(entries: Collection[Entry]) -> dict[str, str]:
    """Return host → its last phase."""
    return {one.subject: one.phase for one in entries if one.phase}


def proves(entry: Entry) -> bool:
    """Return whether the entry says that a host was proven."""
    return entry.phase == Phase.PROVE and entry.event is Event.OUTCOME


def kernel_of(facts: Collection[str]) -> str | None:
    """Return the release of the kernel that ran; None: not known."""
    return _first(facts, "kernel")


def driver_of(facts: Collection[str]) -> str | None:
    """Return the version of the NVIDIA driver's module; None: none was loaded."""
    return _first(facts, "driver")


def _facts(boot: str, *, back: bool) -> tuple[str, ...]:
    """Return the facts of a reboot's entry. A run that was killed may write it twice."""
    return (f"boot {' '.join(boot.split())}", *((_BACK,) if back else ()))


def _first(facts: Collection[str], kind: str) -> str | None:
    """Return the first value in the fact of this kind."""
    return next((fact.split(" ")[1] for fact in facts if fact.startswith(f"{kind} ")), None)
