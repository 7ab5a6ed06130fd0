"""The change of a host that reboots: driver and kernel, the reboot, the proof, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rackwright.errors import HostError, ProofError
from rackwright.lifecycle.reboot.boot_identity import boot_now
from rackwright.lifecycle.reboot.host_engines import ANSWERS, HostEngines
from rackwright.lifecycle.reboot.new_driver import install_driver
from rackwright.lifecycle.reboot.new_kernel import armed, committed, disarmed, fell_back, held
from rackwright.lifecycle.reboot.pending import pending
from rackwright.lifecycle.rollout.change import Change, Revert, nothing
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostPart
from rackwright.stopping import Stopping


@dataclass(frozen=True)
class Reboots:
    """The changes that can be made to hosts under one lease."""

    session: Session
    lease_session: LeaseSession
    console: Console
    stopping: Stopping
    ran: Callable[[Run], None] = lambda _: None
    """Gets what was done to a host's driver."""

    def changed(self, part: HostPart, *, rebooted: bool) -> Change:
        """Return the change that installs the host's driver and kernel, and reboots it if they need that.

        A host that has rebooted already is only proven and undrained.
        """
        return self._engines.change(
            part,
            nothing if rebooted else partial(self._reboot, part),
            partial(self._proven, part),
            doing="was rebooted already" if rebooted else f"rebooting: {part.why}",
            proves=f"its driver, {ANSWERS}",
            commit=partial(committed, self.session, part.name),
            back=Revert(
                partial(self._back, part),
                prove=partial(self._engines.answer, part),
                serves=partial(self._engines.serve, part),
                what="the kernel that ran before",
            ),
        )

    def left(self, part: HostPart) -> Change:
        """Return the change of a host that stays as it is: its engines only have to answer, and it is undrained."""

        def disarm() -> None:
            self.lease_session.check()
            disarmed(self.session, part.name)

        return self._engines.left(part, disarm)

    def done(self, part: HostPart, *, rebooted: bool) -> bool:
        """Return whether the host has rebooted."""
        return rebooted

    def settled(self, part: HostPart) -> bool:
        """Return True: a host that serves without a proof only has rebooted."""
        return True

    def closing(self) -> None:
        """Do nothing: the lock stays."""

    # The act.

    def _reboot(self, part: HostPart) -> None:
        session, name = self.session, part.name
        if boot_now(session, name) != part.boot:
            return
        self.lease_session.check()
        held(session, name)
        install_driver(session, self.lease_session, name, self.stopping, self.ran)
        found = pending(session, (name,), kernels=True)
        if name in found.unreachable:
            raise HostError(found.unreachable[name], where=name)
        why = found.waiting.get(name)
        if why is None:
            return
        # The modules may have taken so long to build that the lease has ended.
        self.lease_session.check()
        note_leased_act(session, self.lease_session, (name,), f"reboot: {why}")
        driver = session.hosts[name].driver
        for hand in armed(session, name, driver.kernel if driver else None):
            self.console.say(f"{name}  if the new kernel doesn't boot, a person is needed: {hand}")
        self._engines.boot(name, part.boot)

    # The proof and the way back.

    def _proven(self, part: HostPart) -> str | None:
        name = part.name
        if kernel := fell_back(self.session, name):
            raise ProofError(f"didn't boot {kernel} and fell back", where=name, next=f"journalctl -b -1 on {name}")
        found = pending(self.session, (name,))
        if why := found.waiting.get(name):
            raise ProofError(f"was rebooted, but {why}", where=name, next=f"journalctl -b -k on {name}")
        return found.unreachable.get(name) or self._engines.answer(part)

    def _back(self, part: HostPart) -> None:
        """Boot the kernel that ran before, if another one was booted and not committed."""
        self.lease_session.check()
        if disarmed(self.session, part.name):
            self._engines.boot(part.name, boot_now(self.session, part.name))

    @property
    def _engines(self) -> HostEngines:
        return HostEngines(self.session, self.lease_session, self.console)
