"""A gateway rejoins with the drains of the others; an operator's drain of a gateway is leased and audited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.gateway import DrainRecord
from rackwright.lifecycle.drain import gateway_host
from rackwright.lifecycle.drain.gateway_host import leave_manually, rejoin, rejoin_manually
from tests.fleet.fleets import make_fleet

HOSTS = {f"gate{number}": {"address": f"10.0.0.{number}"} for number in (1, 2, 3)}
FLEET = make_fleet(
    Path("site.yml"),
    hosts=HOSTS | {"gpu1": {"address": "10.0.0.8"}, "gpu2": {"address": "10.0.0.9"}},
    gateway={"on": list(HOSTS), "domain": "llm.acme.internal"},
    replicas={"gpu1": ["chat@1", "code@1"], "gpu2": ["chat@1"]},
)
CHAT1, CHAT2, CODE = "gpu1/chat@1", "gpu2/chat@1", "gpu1/code@1"
TIME = datetime(2026, 11, 25, tzinfo=UTC)
HAND = DrainRecord(who="ada", reason="fan", manual=True, time=TIME)
RUN = DrainRecord(who="ben", reason="apply", manual=False, time=TIME)


class Site:
    """A session with gateways whose drains are given; `told` is what it does, in order."""

    def __init__(self, *drains: dict[str, DrainRecord], full: bool = False) -> None:
        self.fleet, self.operator = FLEET, SimpleNamespace(who="ada")
        self.lock = SimpleNamespace(ports={"gpu1": {"chat@1": 8100, "code@1": 8101}, "gpu2": {"chat@1": 8100}})
        self.gateways, self.leaving = self, self
        self.told: list[tuple[object, ...]] = []
        self._drains, self._full = dict(zip(HOSTS, drains, strict=False)), full

    def drains(self) -> dict[str, dict[str, DrainRecord]]:
        return dict(self._drains)

    def only(self, hosts: tuple[str, ...]) -> Any:
        return SimpleNamespace(
            undrain=lambda address: self.told.append(("undrain", *hosts, address)),
            copy_drain=lambda address, port, record: self._copy(hosts, address, port, record),
        )

    def _copy(self, hosts: tuple[str, ...], address: str, port: int, record: DrainRecord) -> None:
        if self._full:
            raise HostError("disk full", where=hosts[0])
        self.told.append(("drain", *hosts, address, port, record.who))

    def leave(self, host: str, **options: object) -> None:
        self.told.append(("leave", host, options))

    def open_connections(self, host: str) -> int:
        return 7

    def rejoin(self, host: str) -> None:
        self.told.append(("rejoin", host))

    def say(self, text: str) -> None:
        self.told.append(("say", text))


def rejoined(*drains: dict[str, DrainRecord], full: bool = False) -> list[tuple[object, ...]]:
    session: Any = Site(*drains, full=full)
    rejoin(session, "gate1")
    told: list[tuple[object, ...]] = session.told
    return told


def test_it_gets_what_the_others_drained_meanwhile_before_it_takes_connections() -> None:
    assert rejoined({}, {CHAT1: HAND}, {CODE: RUN}) == [
        ("drain", "gate1", CHAT1, 8100, "ada"),
        ("drain", "gate1", CODE, 8101, "ben"),
        ("rejoin", "gate1"),
    ]


def test_a_manual_drain_has_priority_over_one_by_a_run() -> None:
    assert rejoined({CHAT1: RUN}, {CHAT1: RUN}, {CHAT1: HAND})[0] == ("drain", "gate1", CHAT1, 8100, "ada")
    assert rejoined({CHAT1: HAND}, {CHAT1: RUN}, {}) == [("rejoin", "gate1")]
    assert rejoined({CHAT1: RUN}, {CHAT1: RUN}) == [("rejoin", "gate1")]


def test_a_drain_by_a_run_that_has_ended_ends_here_and_an_operators_does_not() -> None:
    assert rejoined({CHAT1: RUN, CHAT2: HAND}, {}, {}) == [("undrain", "gate1", CHAT1), ("rejoin", "gate1")]
    assert rejoined({CHAT1: RUN}) == [("rejoin", "gate1")]


def test_without_its_drains_it_does_not_rejoin() -> None:
    with pytest.raises(HostError, match="gate1: it lacks drains that the other gateways have: disk full"):
        rejoined({}, {CHAT1: HAND}, full=True)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Any:
    site: Any = Site({}, {})

    @contextmanager
    def leased(session: Site, act: str, console: Site) -> Iterator[str]:
        site.told.append(("lease", act))
        yield "lease session"

    @contextmanager
    def audited(session: Site, lease_session: str, hosts: tuple[str, ...], what: str) -> Iterator[None]:
        assert lease_session == "lease session"
        yield
        site.told.append(("audit", *hosts, what))

    monkeypatch.setattr(gateway_host, "leased", leased)
    monkeypatch.setattr(gateway_host, "audited", audited)
    return site


def test_an_operators_drain_of_a_gateway_is_leased_said_and_audited(site: Any) -> None:
    leave_manually(site, "gate1", site, reason="kernel")
    assert site.told == [
        ("lease", "drain gateway gate1"),
        ("leave", "gate1", {"who": "ada", "reason": "kernel", "allow_outage": False}),
        ("say", "gate1: takes no connections, 7 still open"),
        ("audit", *HOSTS, "drain gateway gate1: kernel"),
    ]


def test_so_is_its_return(site: Any) -> None:
    rejoin_manually(site, "gate1", site)
    assert site.told == [
        ("lease", "undrain gateway gate1"),
        ("rejoin", "gate1"),
        ("say", "gate1: takes connections"),
        ("audit", *HOSTS, "undrain gateway gate1"),
    ]
