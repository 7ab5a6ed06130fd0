"""Manual drains: refused where they would end a service; otherwise sent to the gateways and audited."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import LeasedError, RackwrightError
from rackwright.gateway import ServerState
from rackwright.lifecycle.drain import procedure
from rackwright.lifecycle.drain.procedure import drain, undrain
from tests.fleet.fleets import make_fleet

FLEET = make_fleet(Path("site.yml"), replicas={"gpu1": ["chat@1", "code@1"], "gpu2": ["chat@1"]})
REPLICAS = {one.address: one for one in FLEET.replicas}
CHAT1, CHAT2, CODE = "gpu1/chat@1", "gpu2/chat@1", "gpu1/code@1"


class Gateways:
    def __init__(self, *out: str) -> None:
        """`out`: replicas that take no requests."""
        self.out = out
        self.told: list[tuple[str, ...]] = []

    def servers(self) -> dict[str, ServerState]:
        return {
            address: ServerState(one.host, one.name, False, address not in self.out, 2, None)
            for address, one in REPLICAS.items()
        }

    def drain(self, address: str, *, who: str, reason: str) -> None:
        self.told.append(("drain", address, who, reason))

    def undrain(self, address: str) -> None:
        self.told.append(("ready", address))

    def in_flight(self, address: str) -> int:
        return {CHAT1: 3}.get(address, 0)


class Desk:
    """An operator's site, with its messages, leases and audit entries. `before`: runs before the lease is taken."""

    def __init__(self, gateways: Gateways) -> None:
        self.gateways, self.fleet = gateways, FLEET
        self.operator = SimpleNamespace(who="ada")
        self.lines: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.lost = False

    def check(self) -> None:
        if self.lost:
            raise LeasedError("this run's lease has ended")

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(Gateways())

    @contextmanager
    def leased(session: Any, act: str, console: Any) -> Iterator[Desk]:
        made.before()
        made.lines.append(f"lease: {act}")
        yield made

    @contextmanager
    def audited(session: Any, lease_session: Desk, hosts: tuple[str, ...], what: str) -> Iterator[None]:
        assert lease_session is made
        yield
        made.lines.append(f"{' '.join(hosts)}: {what}")

    monkeypatch.setattr(procedure, "leased", leased)
    monkeypatch.setattr(procedure, "audited", audited)
    return made


def take(desk: Desk, *addresses: str, allow_outage: bool = False) -> None:
    session: Any = desk
    replicas = tuple(REPLICAS[address] for address in addresses)
    drain(session, replicas, session, reason="fan", allow_outage=allow_outage)


def let_back_in(desk: Desk, *addresses: str) -> None:
    session: Any = desk
    undrain(session, tuple(REPLICAS[address] for address in addresses), session)


def test_a_drain_is_told_under_the_lease_said_and_audited(desk: Desk) -> None:
    take(desk, CHAT1)
    assert desk.gateways.told == [("drain", CHAT1, "ada", "fan")]
    assert desk.lines == [
        f"lease: drain {CHAT1}",
        f"{CHAT1}: drained, 3 requests still in flight",
        f"gate1: drain {CHAT1}: fan",
    ]


def test_replicas_are_let_back_in_under_the_lease_said_and_audited(desk: Desk) -> None:
    let_back_in(desk, CHAT1, CODE)
    assert desk.gateways.told == [("ready", CHAT1), ("ready", CODE)]
    assert desk.lines == [
        f"lease: undrain {CHAT1}, {CODE}",
        f"{CHAT1}: undrained",
        f"{CODE}: undrained",
        f"gate1: undrain {CHAT1}, {CODE}",
    ]


@pytest.mark.parametrize(
    ("addresses", "out", "model"),
    [((CODE,), (), "code"), ((CHAT1, CHAT2), (), "chat"), ((CHAT1,), (CHAT2,), "chat"), ((CHAT1, CODE), (), "code")],
    ids=["the only one", "all at once", "the last healthy one", "the second model's only one"],
)
def test_the_last_healthy_replica_is_drained_only_if_the_downtime_is_accepted(
    desk: Desk, addresses: tuple[str, ...], out: tuple[str, ...], model: str
) -> None:
    desk.gateways.out = out
    with pytest.raises(
        RackwrightError, match=rf"{model} would be left without a healthy replica(.|\n)*--allow-outage"
    ):
        take(desk, *addresses)
    assert (desk.gateways.told, desk.lines) == ([], [f"lease: drain {', '.join(addresses)}"])
    take(desk, *addresses, allow_outage=True)
    assert [told[1] for told in desk.gateways.told] == list(addresses)


def test_a_replica_that_does_not_serve_is_drained_although_no_other_serves(desk: Desk) -> None:
    desk.gateways.out = (CHAT1, CHAT2)
    take(desk, CHAT1)
    assert [told[1] for told in desk.gateways.told] == [CHAT1]


def test_what_another_operator_drained_before_the_lease_was_taken_counts(desk: Desk) -> None:
    desk.before = lambda: setattr(desk.gateways, "out", (CHAT2,))
    with pytest.raises(RackwrightError, match="chat would be left without a healthy replica"):
        take(desk, CHAT1)
    assert desk.gateways.told == []


@pytest.mark.parametrize("act", [take, let_back_in])
def test_a_command_that_lost_its_lease_drains_and_undrains_nothing_more(desk: Desk, act: Callable[..., None]) -> None:
    desk.lost = True
    with pytest.raises(LeasedError):
        act(desk, CHAT1)
    assert desk.gateways.told == []
