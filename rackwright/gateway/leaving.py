"""Take a gateway out of service without cutting off a connection, and back in.

A gateway that leaves keeps its open connections. If it had the virtual address, another gateway takes it, and
forwards packets of connections that it doesn't know to the one that left, until those connections have ended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from shlex import quote

from rackwright.errors import HostError
from rackwright.gateway.api import Gateways
from rackwright.gateway.filters import Addresses, closed, handover
from rackwright.gateway.leaving_scripts import (
    CAN_TAKE,
    CAN_TAKE_ADDRESS,
    CONNECTIONS,
    FORWARD,
    FORWARD_NO_MORE,
    HAS_ADDRESS,
    LEAVE,
    REJOIN,
)
from rackwright.gateway.left import LEFT_COMMAND, LeftRecord, parse_left
from rackwright.gateway.server_states import parse_count

_CHECK = "/etc/rackwright/vip/check"
"""keepalived's check of a gateway."""
_TAKES_SECONDS = 10
"""Within this time, another gateway should have taken the address."""
_POLL_SECONDS = 0.2


class Leaving:
    """The gateways of a fleet; one at a time may leave. Each method raises HostError, naming the gateways."""

    def __init__(self, gateways: Gateways, addresses: Mapping[str, Addresses], *, longest_seconds: int) -> None:
        """`longest_seconds`: no connection of a gateway that has left is open for longer."""
        self._gateways, self._addresses, self._longest_seconds = gateways, addresses, longest_seconds

    def records(self) -> dict[str, LeftRecord]:
        """Return why each gateway that has left did so."""
        found = self._gateways.read(LEFT_COMMAND, "asking who has left", parse_left)
        return {name: record for name, record in found.items() if record}

    def leave(self, host: str, *, who: str, reason: str, manual: bool = True, allow_outage: bool = False) -> None:
        """Take the gateway out of service, even after a reload or reboot; its open connections go on.

        Afterwards it refuses new connections, except from its own host, closes each open one after its next answer or
        after 75 s without a request, and another gateway has the virtual address. A gateway that has left already
        keeps its record, unless this is `manual`. Raise HostError, with nothing changed, if no other gateway could
        take over or one has left already, unless `allow_outage`.
        """
        addresses, others = self._addresses[host], self._others(host)
        if not allow_outage:
            self._require_others(host, others, addresses)
        with suppress(*(HostError,) * allow_outage):
            self._forward(others, addresses)
        record = LeftRecord(who=who, reason=reason, manual=manual, time=datetime.now(UTC))
        script = LEAVE.format(
            **_values(addresses),
            keep="true" if manual else "false",
            check=quote(_CHECK),
            rules=quote(closed(addresses)),
            record=quote(record.model_dump_json()),
        )
        self._at(host).run(script, "leaving")
        if addresses.vip and not allow_outage and not self._taken(others, addresses):
            self._rejoin(host, force=True)
            raise HostError(
                f"no other gateway took {addresses.vip} within {_TAKES_SECONDS} s, so it has it again",
                where=host,
                next="rackwright verify",
            )

    def open_connections(self, host: str) -> int:
        """Return how many connections of clients are open at the gateway, over all its workers.

        Each has one request at most. Those that are idle count, too: their clients may be about to send one.
        """
        addresses = self._addresses[host]
        listed = " ".join(quote(str(one)) for one in (addresses.own, addresses.vip) if one)
        script = CONNECTIONS.format(**_values(addresses), addresses=listed)
        return self._at(host).read(script, "counting connections", parse_count)[host]

    def rejoin(self, host: str) -> None:
        """Let the gateway take connections again. It doesn't take the virtual address from the gateway that has it.

        Raise HostError, with nothing changed, if connections to the virtual address are still open at it, because
        other gateways must forward them. Its drains should be those of the others before.
        """
        self._rejoin(host, force=False)

    def _rejoin(self, host: str, *, force: bool) -> None:
        addresses = self._addresses[host]
        self._at(host).run(REJOIN.format(**_values(addresses), force="true" if force else "false"), "rejoining")
        # The rules at a gateway that can't be reached expire, or are gone when it reboots.
        with suppress(HostError):
            self._others(host).run(FORWARD_NO_MORE, "ending the handover")

    def _at(self, host: str) -> Gateways:
        return self._gateways.only((host,))

    def _others(self, host: str) -> Gateways:
        return self._gateways.only(name for name in self._gateways.hosts if name != host)

    def _require_others(self, host: str, others: Gateways, addresses: Addresses) -> None:
        if not others.hosts:
            raise HostError("the fleet has no other gateway", where=host, next="the same command with --allow-outage")
        others.run(CAN_TAKE_ADDRESS if addresses.vip else CAN_TAKE, "asking whether it can take over")

    def _forward(self, others: Gateways, addresses: Addresses) -> None:
        if addresses.vip:
            rules = handover(addresses.vip, addresses.own, port=addresses.port, seconds=self._longest_seconds)
            others.run(FORWARD.format(rules=quote(rules)), "preparing the handover")

    def _taken(self, others: Gateways, addresses: Addresses) -> bool:
        """Return whether another gateway has the virtual address, or takes it soon."""
        script, until = HAS_ADDRESS.format(vip=quote(str(addresses.vip))), time.monotonic() + _TAKES_SECONDS
        while not any(others.run(script, "asking for the virtual address").values()):
            if time.monotonic() > until:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def _values(addresses: Addresses) -> dict[str, str | int]:
    """Return a gateway's addresses as values of a script; "": it has no virtual one."""
    vip = addresses.vip
    return {"vip": quote(str(vip or "")), "length": vip.max_prefixlen if vip else "", "port": addresses.port}
