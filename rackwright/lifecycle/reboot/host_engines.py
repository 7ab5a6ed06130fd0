"""What every change of a host has in common: its engines, which must answer again, and its reboot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.control.quorum import etcd_fails, refuse_needed
from rackwright.lifecycle.reboot.boot_identity import BOOT_SECONDS, reboot
from rackwright.lifecycle.rollout.change import Act, Change, Proof, Revert, nothing
from rackwright.lifecycle.rollout.engine_changes import Engines
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import HostPart

SERIES = "hosts"
"""The first host of a rollout goes before the others."""
ANSWERS = "real answers at its engines' sockets, then through every gateway"
GATEWAY_COMMAND = f"[ -e {GATEWAY}/haproxy.cfg ]"
"""Whether a gateway is set up on the host."""


@dataclass(frozen=True)
class HostEngines:
    """The engines of hosts that change, under one lease."""

    session: Session
    lease_session: LeaseSession
    console: Console

    def change(
        self,
        part: HostPart,
        act: Act,
        prove: Proof,
        *,
        doing: str,
        proves: str,
        check: Act = nothing,
        commit: Act = nothing,
        back: Revert | None = None,
    ) -> Change:
        """Return the change of a host whose engines are drained, and must serve again if they did before."""
        fleet = self.session.fleet
        return Change(
            self._replicas(part),
            part.why,
            act=act,
            prove=prove,
            check=check,
            commit=commit,
            serves=partial(self.serve, part),
            revert=back,
            idle=frozenset(part.idle),
            doing=doing,
            host=part.name,
            gateway=part.name in fleet.gateways and self._has_gateway(part.name),
            exclusive=part.name in (*fleet.gateways, *fleet.control),
            proves=proves,
            restored="its engines answer",
            series=SERIES,
        )

    def _has_gateway(self, name: str) -> bool:
        """Return whether a gateway is set up on the host, as far as is known. A new fleet has none yet."""
        with suppress(HostError):
            return self.session.remote.connection(name).run(GATEWAY_COMMAND).ok
        return True

    def left(self, part: HostPart, act: Act) -> Change:
        """Return the change of a host that stays as it is: its engines only have to answer, and it is undrained."""
        answer = partial(self.answer, part)
        change = self.change(part, act, answer, doing="left as it runs", proves=ANSWERS)
        return replace(change, series="")

    def answer(self, part: HostPart) -> str | None:
        """Return why one of its engines doesn't answer at its socket yet; those that were idle need not.

        On a control host, its part in etcd must work, too: no other control host may change before.
        """
        if why := etcd_fails(self.session, part.name):
            return why
        return self._all(part, lambda replica: self._engines.answering(replica, "").prove())

    def serve(self, part: HostPart) -> str | None:
        """Return why one of its engines doesn't answer through every gateway yet."""
        return self._all(part, lambda replica: self._engines.answering(replica, "").serves())

    def boot(self, name: str, boot: str) -> None:
        """Reboot the host unless it is in another boot than this one already; return when it has booted.

        Raise LeasedError if the lease has ended, RackwrightError if the other control hosts couldn't go on without
        this one: then the host isn't rebooted.
        """
        self.lease_session.check()
        refuse_needed(self.session, name)
        control = (name,) == self.session.fleet.control_hosts
        # It keeps the lease alone, which can't be renewed while it boots.
        with self.lease_session.lasting(BOOT_SECONDS) if control else nullcontext():
            reboot(self.session, name, boot)

    def _all(self, part: HostPart, prove: Callable[[Replica], str | None]) -> str | None:
        for replica in self._replicas(part):
            if replica.address not in part.idle and (reason := prove(replica)):
                return f"{replica.address}: {reason}"
        return None

    def _replicas(self, part: HostPart) -> tuple[Replica, ...]:
        return tuple(one for one in self.session.fleet.parts_on(part.name) if one.address in part.replicas)

    @property
    def _engines(self) -> Engines:
        return Engines(self.session, self.lease_session, self.console)
