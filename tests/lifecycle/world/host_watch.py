"""What must hold at every moment while hosts are patched or rebooted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lifecycle.rollout.change import Phase
from rackwright.state.journal import Entry, open_rollout
from rackwright.state.rollout import HostRollout

if TYPE_CHECKING:
    from tests.lifecycle.world.engines import Host
    from tests.lifecycle.world.world import Process, World

BACK = "the packages and the kernel that it had before"
"""What the journal has of the way back."""
MOST_BACK = 2


class HostWatch:
    def __init__(self, world: World) -> None:
        self.world = world
        self.undone: set[str] = set()
        """Replicas that an admin undrained at a socket while a rollout was open. With `rackwright undrain` no admin
        can do that. The rollout may find that it must not take them again, and ends."""

    @property
    def _most(self) -> int:
        patch = self.world.fleet.file.patch
        return patch.max_unavailable if patch else 1

    # The journal, as it is written.

    def entered(self, process: Process, entry: Entry) -> None:
        """Check whether the host may enter this phase now."""
        host = entry.subject
        if host not in self.world.hosts:
            return
        if entry.phase == Phase.DRAIN:
            self._refuse_after_failure(process, host)
            self._refuse_over_budget(process, host)
            process.under.add(host)
        elif entry.phase == Phase.REVERT:
            process.failing = process.failing or (host, self.world.now)
            process.under.add(host)
        elif entry.phase in (Phase.SOAK, Phase.DONE):
            process.under.discard(host)

    def _refuse_after_failure(self, process: Process, host: str) -> None:
        """One that had its slot at that moment may still go on."""
        first, since = process.failing or ("", self.world.now)
        assert self.world.now <= since, f"{host} starts although {first} has failed"

    def _refuse_over_budget(self, process: Process, host: str) -> None:
        """What is down already counts, unless the host doesn't serve anyway."""
        world = self.world
        serves = any(
            one.address in world.healthy(one.model) for one in world.fleet.parts_on(host) if one.address in world.seen
        )
        down = {one.name for one in world.hosts.values() if not one.reachable or one.software.unproven}
        away = {host, *down, *process.under}
        assert not serves or len(away) <= self._most, f"{host} was taken: {sorted(away)} are unavailable"

    # What is done to hosts.

    def rebooted(self, host: Host) -> None:
        """Count a reboot that a patch run asks for: one forward, and at most two on the way back."""
        software, opened = host.software, self._opened
        assert not software.busy, f"{host.name} is rebooted while its packages are changed"
        folder = software.folders.get(opened.rollout) if opened else None
        if folder is None:
            return
        if self._acts(host.name, folder.run) == BACK:
            folder.back += 1
        else:
            folder.reboots += 1
        assert folder.reboots <= 1 + folder.disarmed, (
            f"{host.name} was rebooted {folder.reboots} times for one patch run"
        )
        assert folder.back <= MOST_BACK, f"{host.name} was rebooted {folder.back} times on its way back"

    def _acts(self, host: str, run: str) -> str | None:
        """Return the last act of the host in the journal."""
        entries = reversed(self.world.control_of(self.world.control_host).journal)
        of_host = (one for one in entries if (one.rollout, one.subject, one.phase) == (run, host, Phase.ACT))
        return next((one.detail for one in of_host), None)

    @property
    def _opened(self) -> Entry | None:
        return open_rollout(self.world.control_of(self.world.control_host).journal)

    def gives_up(self, rollout: HostRollout) -> None:
        """From now on, the hosts of this patch run may serve as they run."""
        for part in rollout.hosts if rollout.procedure == "patch" else ():
            self.world.hosts[part.name].software.give_up(rollout.id)

    # Every tick.

    def check(self) -> None:
        changing = [one for one in self.world.hosts.values() if one.software.unproven or one.software.busy]
        names = [one.name for one in changing]
        assert len(names) <= self._most, f"{names} are changed at the same time"
        for host in changing:
            self._check_drained(host)
            folder = host.software.last
            assert folder is None or folder.installs <= 1, f"{host.name} got the packages {folder.installs} times"

    def _check_drained(self, host: Host) -> None:
        for replica in self.world.fleet.parts_on(host.name):
            if replica.address in self.world.seen - self.undone:
                drained = all(replica.address in gate.drained for gate in self.world.gates.values())
                assert drained, f"{replica.address} serves, though {host.name} isn't proven and isn't as before"

    # When no rollout is open.

    def settled(self) -> None:
        for host in self.world.hosts.values():
            software = host.software
            if any(one.address in self.undone for one in self.world.fleet.parts_on(host.name)):
                software.excuse()
            assert software.timers, f"apt's timers stay stopped on {host.name}"
            assert software.armed is None, f"kernel {software.armed} stays armed on {host.name}"
            if software.last and not software.last.given_up:
                self._check_end(host)
        self.undone.clear()

    def _check_end(self, host: Host) -> None:
        software, folder = host.software, host.software.last
        assert folder
        if folder.finished:
            found, wanted = (software.version, software.half), (folder.after, False)
            assert found == wanted, f"{host.name} was finished and has {found}, not {wanted}"
            if folder.coming.boots:
                assert software.loaded == folder.after, f"{host.name} was finished without its reboot"
                kernel = f"6.{folder.after}" if folder.brings else software.running
                assert software.running == kernel, f"{host.name} was finished and runs kernel {software.running}"
        else:
            assert software.as_before, f"{host.name} is neither proven nor as before, and no rollout is open"
