"""The change of a host that reboots: driver and kernel, the reboot, the proof, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from rackwright.errors import HostError, HostsFailed, ProofError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.reboot.boot_identity import BOOT_SECONDS, boot_now, reboot
from rackwright.lifecycle.reboot.new_kernel import armed, committed, disarmed, fell_back, held
from rackwright.lifecycle.reboot.pending import pending
from rackwright.lifecycle.rollout.change import Act, Change, Revert, nothing
from rackwright.lifecycle.rollout.engine_changes import Engines
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import apply_leased
from rackwright.run import Run
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostPart
from rackwright.stopping import Stopping

SERIES = "hosts"
"""The first host of a rollout goes before the others."""
_ANSWERS = "real tokens at its engines' sockets, then through every gateway"
_PROVES = f"its driver, {_ANSWERS}"


@dataclass(frozen=True)
class Reboots:
    """The changes that can be made to hosts under one lease."""

    session: Session
    lease_session: LeaseSession
    console: Console
    stopping: Stopping
    ran: Callable[[Run], None] = lambda _: None
    """Gets what was done to a host's driver."""

    def rebooted(self, part: HostPart) -> Change:
        """Return the change that installs the host's driver and kernel, and reboots it if they need that."""
        return self._change(part, partial(self._reboot, part), doing=f"rebooting: {part.why}")

    def returned(self, part: HostPart) -> Change:
        """Return the change of a host that has rebooted already: it is only proven and undrained."""
        return self._change(part, nothing, doing="was rebooted already")

    def left(self, part: HostPart) -> Change:
        """Return the change of a host that stays as it is: its engines only have to answer, and it is undrained."""

        def disarm() -> None:
            disarmed(self.session, part.name)

        answer = partial(self._all, part, self._answers)
        change = self._change(part, disarm, doing="left as it runs")
        return replace(change, prove=answer, commit=nothing, revert=None, series="", proves=_ANSWERS)

    def _change(self, part: HostPart, act: Act, *, doing: str) -> Change:
        fleet = self.session.fleet
        answer = partial(self._all, part, self._answers)
        serves = partial(self._all, part, self._serves)
        return Change(
            self._replicas(part),
            part.why,
            act=act,
            prove=partial(self._proven, part),
            commit=partial(committed, self.session, part.name),
            serves=serves,
            revert=Revert(partial(self._back, part), prove=answer, serves=serves, what="the kernel that ran before"),
            idle=frozenset(part.idle),
            doing=doing,
            host=part.name,
            gateway=part.name in fleet.gateways,
            exclusive=part.name in (*fleet.gateways, *fleet.control),
            proves=_PROVES,
            restored="its engines answer",
            series=SERIES,
        )

    def _replicas(self, part: HostPart) -> tuple[Replica, ...]:
        return tuple(one for one in self.session.fleet.parts_on(part.name) if one.address in part.replicas)

    # The act.

    def _reboot(self, part: HostPart) -> None:
        session, name = self.session, part.name
        if boot_now(session, name) != part.boot:
            return
        held(session, name)
        self._install(name)
        found = pending(session, (name,), kernels=True)
        if name in found.unreachable:
            raise HostError(found.unreachable[name], where=name)
        why = found.waiting.get(name)
        if why is None:
            return
        note_leased_act(session, self.lease_session, (name,), f"reboot: {why}")
        for hand in armed(session, name):
            self.console.say(f"{name}  if the new kernel doesn't boot, a person is needed: {hand}")
        self._boot(name, part.boot)

    def _install(self, name: str) -> None:
        from rackwright.deploys.gpu import gpu

        run = apply_leased(self.session, self.lease_session, gpu, (name,), stopping=self.stopping)
        self.ran(run)
        if run.failed_hosts or run.interrupted:
            said = [f"{step.operation}: {'; '.join(step.output[-4:])}" for step in run.failures.steps]
            raise HostsFailed(
                "its driver could not be installed" if run.failed_hosts else "interrupted before its reboot",
                where=name,
                listed=[*said, *run.unreachable.values()],
            )

    def _boot(self, name: str, boot: str) -> None:
        control = name == self.session.fleet.control[0]
        # Its lease can't be renewed while it boots.
        with self.lease_session.lasting(BOOT_SECONDS) if control else nullcontext():
            reboot(self.session, name, boot)

    # The proof.

    def _proven(self, part: HostPart) -> str | None:
        name = part.name
        if kernel := fell_back(self.session, name):
            raise ProofError(f"didn't boot {kernel} and fell back", where=name, next=f"journalctl -b -1 on {name}")
        found = pending(self.session, (name,))
        if why := found.waiting.get(name):
            raise ProofError(f"was rebooted, but {why}", where=name, next=f"journalctl -b -k on {name}")
        return found.unreachable.get(name) or self._all(part, self._answers)

    def _all(self, part: HostPart, prove: Callable[[Replica], str | None]) -> str | None:
        """Return why one of its replicas, without those that were idle, isn't proven yet."""
        for replica in self._replicas(part):
            if replica.address not in part.idle and (reason := prove(replica)):
                return f"{replica.address}: {reason}"
        return None

    def _answers(self, replica: Replica) -> str | None:
        return self._engines.answering(replica, "").prove()

    def _serves(self, replica: Replica) -> str | None:
        return self._engines.answering(replica, "").serves()

    @property
    def _engines(self) -> Engines:
        return Engines(self.session, self.lease_session, self.console)

    # The way back.

    def _back(self, part: HostPart) -> None:
        """Boot the kernel that ran before, if another one was booted and not committed."""
        if disarmed(self.session, part.name):
            self._boot(part.name, boot_now(self.session, part.name))
