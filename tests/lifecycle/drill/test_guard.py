"""Who is held, isolated and wiped, and with what; the steps themselves have their own tests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import HostError, LeasedError, ProofError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys_file import read_keys
from rackwright.fleet.lock import Lock
from rackwright.lifecycle.drill import guard as guarding
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.evidence.folder import folder_of
from rackwright.lifecycle.drill.evidence.seal import save_draft
from rackwright.lifecycle.drill.guard import Guard, Signs, anything, guard_of
from rackwright.lifecycle.drill.scope import scope_of
from rackwright.lifecycle.drill.scratch_hosts import fleet_addresses
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker
from rackwright.lifecycle.drill.scratch_hosts.not_production import Proven
from rackwright.lifecycle.drill.scratch_hosts.wipe import Brought
from rackwright.values.network import parse_address, parse_network
from tests.fleet.test_people import KEY
from tests.lifecycle.drill.drills import DRILL, NOON, OWN, new_facts, own_fleet
from tests.lifecycle.drill.marked_host import MarkedHost
from tests.lifecycle.drill.test_client_checks import keys

LOCK = Lock(fleet="acme", models={}, runtimes={}, ports={})
MARKER = Marker(fleet="acme", drill=DRILL, who="anna", time=NOON)
FLEET = (
    OWN.replace("gpu1: {address: 10.0.0.11", "gpu1: {service: 10.1.0.11, address: gpu1.acme.internal")
    .replace("10.0.0.22:", "vault.acme.internal:")
    .replace("gate1: {", "gate1: {service: 10.1.0.10, fabric: 10.2.0.10, ")
    .replace("gpu2: {", "gpu2: {models_at: /data/models, disabled: broken, ")
    .replace("[gate1], ", "[gate1], vip: 10.0.0.99, ")
    + "  reach: [203.0.113.0/24]\n"
)

TOOL = f"""
  at: daily 04:00
control: [ctl1]
people: {{nightly: {{role: operator, keys: ['{KEY}']}}}}
unattended: {{on: [ctl1], person: nightly, key: 'file:nightly'}}
"""


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What this machine's resolver knows; and how often it was asked."""
    known = {"gpu1.acme.internal": "10.0.0.11", "vault.acme.internal": "10.0.0.22"}

    def look(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if name not in known:
            raise OSError("unknown")
        return [(0, 0, 0, "", (known[name], 0))]

    monkeypatch.setattr(fleet_addresses.socket, "getaddrinfo", look)
    return known


@pytest.fixture
def own(tmp_path: Path) -> Fleet:
    return own_fleet(tmp_path, FLEET)


@pytest.fixture
def hosts() -> dict[str, MarkedHost]:
    return {name: MarkedHost(name) for name in ("scratch1", "scratch2")}


@pytest.fixture
def guard(own: Fleet, hosts: dict[str, MarkedHost]) -> Guard:
    production = cast(Any, {"gate1": "gate1's connection"})
    return Guard(own, LOCK, scope_of(own, "everything"), MARKER, cast(Any, hosts), production)


def found(**digests: str) -> Proven:
    digests = digests or {"scratch1": "none", "scratch2": "none"}
    addresses = {"scratch1": "10.0.0.91", "scratch2": "10.0.0.92"}
    return Proven(
        (),
        {
            name: cast(Any, SimpleNamespace(marker_sha256=one, addresses=frozenset({parse_address(addresses[name])})))
            for name, one in digests.items()
        },
    )


def test_only_the_scopes_scratch_hosts_are_held_and_the_fleets_are_asked(own: Fleet) -> None:
    remote = cast(Any, SimpleNamespace(connection=lambda name: f"to {name}"))
    made = guard_of(own, LOCK, scope_of(own, "gateway"), MARKER, remote)
    assert made.scratch == {"scratch1": "to scratch1"}
    assert made.production == {"gate1": "to gate1", "gpu1": "to gpu1"}


@pytest.mark.parametrize("take_over", [True, False])
def test_the_fleet_is_known_by_its_addresses_its_ports_and_its_models(
    guard: Guard, monkeypatch: pytest.MonkeyPatch, take_over: bool
) -> None:
    asked: dict[str, Any] = {}

    def prove(scratch: object, production: object, *, take_over: bool) -> Proven:
        asked.update(scratch=scratch, production=production, take_over=take_over)
        return found()

    monkeypatch.setattr(guarding, "prove_not_production", prove)
    assert guard.prove(take_over=take_over, drills={"d7": frozenset({"scratch1"})}) == found()
    assert asked["production"].drills("d7") == {"scratch1"}
    assert (asked["scratch"], asked["take_over"]) == (guard.scratch, take_over)
    known = asked["production"]
    assert (known.fleet, known.connections) == ("acme", guard.production)
    assert known.models_at == ("/srv/models", "/data/models")
    save_draft(folder_of(guard.own.path), new_facts(assets=guard.scope.assets))
    assert known.drills(DRILL) == {"scratch1", "scratch2"}
    assert 443 in known.ports
    named = {str(address): what for address, what in known.addresses.items()}
    assert named["10.0.0.10"] == "gate1's address"
    assert named["10.1.0.10"] == "gate1's service"
    assert named["10.2.0.10"] == "gate1's fabric"
    assert named["10.0.0.12"] == "gpu2's address", "a host out of service is the fleet's, too"
    assert "virtual address" in named["10.0.0.99"]
    assert named["10.0.0.11"] == "gpu1's address", "it is looked up"
    assert named["10.0.0.21"] == "the server of the repository near"
    assert named["10.0.0.22"] == "the server of the repository far"


def test_names_of_the_fleet_file_are_looked_up_and_their_machines_are_production(
    tmp_path: Path, hosts: dict[str, MarkedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = FLEET.replace("gate1: {", "gate1: {ssh: {jump: jump.lab}, ").replace(
        "https://10.0.0.21", "https://vault.lab"
    )
    own = own_fleet(tmp_path, text)
    known = {"jump.lab": "10.0.0.5", "vault.lab": "10.0.0.60", own.file.gateway.domain: "203.0.113.7"}

    def look_up(name: str, *_: object, **__: object) -> list[Any]:
        if name not in known:
            raise OSError
        return [(None, None, None, "", (known[name], 0))]

    monkeypatch.setattr(fleet_addresses.socket, "getaddrinfo", look_up)
    asked: dict[str, Any] = {}
    monkeypatch.setattr(guarding, "prove_not_production", lambda _, fleet, **__: asked.update(fleet=fleet))
    monkeypatch.setattr(guarding, "still_closed", lambda _: ())
    monkeypatch.setattr(guarding, "probe_inside", lambda *args: asked.update(places=args[2]) or ())
    monkeypatch.setattr(guarding, "close_off", lambda _, isolation: asked.update(isolation=isolation))
    made = Guard(own, LOCK, scope_of(own, "everything"), MARKER, cast(Any, hosts), {})
    made.prove(take_over=False, drills={})
    made.isolate(found())
    made.probe_from_inside({})
    assert {"10.0.0.5", "10.0.0.60", "203.0.113.7"} <= set(map(str, asked["fleet"].addresses))
    assert {"10.0.0.5", "203.0.113.7"} <= set(map(str, asked["isolation"].production))
    places = {(str(place.address), place.port) for place in asked["places"]}
    assert {("203.0.113.7", 443), ("10.0.0.99", 443), ("10.0.0.12", 22), ("10.1.0.11", 443)} <= places


def test_a_host_of_the_fleet_that_is_this_machine_is_no_probe_from_outside(
    tmp_path: Path, hosts: dict[str, MarkedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_fleet(tmp_path, FLEET.replace("address: 10.0.0.10", "address: '@local'"))
    production: Any = {"gate1": "this machine", "gpu1": "gpu1's connection"}
    made = Guard(own, LOCK, scope_of(own, "everything"), MARKER, cast(Any, hosts), production)
    asked: list[Any] = []
    monkeypatch.setattr(guarding, "still_closed", lambda _: ())
    monkeypatch.setattr(guarding, "probe_here", lambda *_, **__: ())
    monkeypatch.setattr(guarding, "probe_outside", lambda _, production, __: asked.append(sorted(production)) or ())
    monkeypatch.setattr(guarding, "own_address", lambda towards: "10.0.0.77")
    made.probe_from_outside()
    monkeypatch.setattr(guarding, "own_address", lambda towards: "10.1.0.11")
    made.probe_from_outside()
    assert asked == [["gpu1"], []]


def test_each_host_gets_the_marker_in_place_of_what_was_found(guard: Guard, hosts: dict[str, MarkedHost]) -> None:
    with guard.held(found(scratch1="a" * 64, scratch2="none")):
        assert [host.steps for host in hosts.values()] == [["claim"], ["claim"]]
    assert "a" * 64 in hosts["scratch1"].commands["claim"]
    assert "a" * 64 not in hosts["scratch2"].commands["claim"]


def test_a_host_that_another_drill_has_taken_is_not_held(guard: Guard, hosts: dict[str, MarkedHost]) -> None:
    hosts["scratch2"].failing = ("claim",)
    with pytest.raises(HostError, match="scratch2: claim failed"), guard.held(found()):
        raise AssertionError("the drill began")
    assert hosts["scratch1"].steps == ["claim", "leave"], "the next drill need not wait"
    assert MARKER.sha256 in hosts["scratch1"].commands["leave"]
    left = found(scratch1="a" * 64, scratch2="none")
    with pytest.raises(HostError, match="scratch2: claim failed"), guard.held(left):
        raise AssertionError("the drill began")
    assert hosts["scratch1"].steps[2:] == ["claim"], "a killed drill's data is still there"


def test_hosts_are_isolated_from_the_fleet_and_reach_each_other(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "close_off", lambda scratch, isolation: {"scratch": scratch, "asked": isolation})
    closed: Any = guard.isolate(found())
    assert closed["scratch"] == guard.scratch
    asked = closed["asked"]
    assert asked.scratch == {
        "scratch1": frozenset({parse_address("10.0.0.91")}),
        "scratch2": frozenset({parse_address("10.0.0.92")}),
    }
    assert {"10.0.0.10", "10.1.0.10", "10.2.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.99"} <= set(
        map(str, asked.production)
    )
    assert "10.0.0.21" not in map(str, asked.production)
    assert {(one.name, one.port) for one in asked.wanted if one.repository} == {
        ("10.0.0.21", 8000),
        ("vault.acme.internal", 8000),
    }
    assert asked.reach == (parse_network("203.0.113.0/24"),)


def test_the_isolation_is_probed_from_inside(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def probe(scratch: object, closed: object, production: object) -> tuple[Check, ...]:
        asked.update(scratch=scratch, closed=closed, production=production)
        return (Check("isolated", "passed", "scratch1", "inside"),)

    monkeypatch.setattr(guarding, "still_closed", lambda _: (Check("isolated", "passed", "scratch1", "in force"),))
    monkeypatch.setattr(guarding, "probe_inside", probe)
    checks = guard.probe_from_inside(cast(Any, "closed"))
    assert [check.found for check in checks] == ["in force", "inside"]
    assert (asked["scratch"], asked["closed"]) == (guard.scratch, "closed")
    places = {(str(place.address), place.port) for place in asked["production"]}
    assert {("10.0.0.10", 22), ("10.0.0.10", 443), ("10.1.0.10", 443), ("10.0.0.11", 22)} <= places


def test_the_isolation_is_probed_from_outside(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def outside(places: object, production: object, let_in: object) -> tuple[Check, ...]:
        asked.update(places=places, production=production, let_in=let_in)
        return (Check("isolated", "passed", "scratch1", "outside"),)

    def here(places: Any, *, expected: Any) -> tuple[Check, ...]:
        for name, some in places.items():
            asked[name] = (tuple(place.port for place in some), tuple(expected[name]))
        return (Check("isolated", "passed", "scratch1", "here"),)

    monkeypatch.setattr(guarding, "still_closed", lambda _: (Check("isolated", "passed", "scratch1", "in force"),))
    monkeypatch.setattr(guarding, "probe_outside", outside)
    monkeypatch.setattr(guarding, "probe_here", here)
    assert [check.found for check in guard.probe_from_outside()] == ["in force", "outside", "here"]
    assert (asked["production"], asked["let_in"]) == (guard.production, {})
    assert {str(place.address) for place in asked["places"]["scratch1"]} == {"10.0.0.91"}
    assert asked["scratch1"] == asked["scratch2"] == ((22, 443, 8100), (22, 443))


def test_hosts_with_the_tool_get_in_by_ssh_alone(
    tmp_path: Path, hosts: dict[str, MarkedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = FLEET.replace("hosts:\n", "hosts:\n  ctl1: {address: 10.0.0.13}\n", 1) + TOOL
    own = own_fleet(tmp_path, text.replace("[gpu1, gpu2]", "[gpu1, ctl1]"))
    guard = Guard(own, LOCK, scope_of(own, "gateway"), MARKER, cast(Any, hosts), {})
    asked: dict[str, Any] = {}
    monkeypatch.setattr(guarding, "close_off", lambda _, isolation: asked.update(isolation=isolation))
    monkeypatch.setattr(guarding, "still_closed", lambda _: ())
    monkeypatch.setattr(guarding, "probe_here", lambda *_, **__: ())
    monkeypatch.setattr(guarding, "probe_outside", lambda *args: asked.update(let_in=args[2]) or ())
    guard.isolate(found())
    guard.probe_from_outside()
    assert asked["isolation"].tools == (parse_address("10.0.0.13"),)
    assert set(asked["isolation"].tools) <= set(asked["isolation"].production)
    reached = {(host, str(place.address), place.port) for host, some in asked["let_in"].items() for place in some}
    assert reached == {("ctl1", "10.0.0.91", 22), ("ctl1", "10.0.0.92", 22)}


def test_each_host_is_wiped_of_what_came_to_it_and_then_opened(guard: Guard, hosts: dict[str, MarkedHost]) -> None:
    checks = guard.wiped({"gate1": Brought(models_at=("/mnt/models",))})
    assert [host.steps for host in hosts.values()] == [["sign", "wipe", "look", "lift"]] * 2
    assert "/mnt/models" in hosts["scratch1"].commands["wipe"]
    assert "/srv/models /data/models" in hosts["scratch2"].commands["wipe"], "what any host of the fleet may have"
    assert {(one.name, one.outcome) for one in checks if one.name == "wiped"} == {("wiped", "passed")}


def test_a_host_is_searched_for_the_fleets_keys_even_if_nothing_is_known_of_what_came_to_it(own: Fleet) -> None:
    assert anything(own).texts == ()
    own.sibling("keys.yml").write_text(keys())
    assert anything(own).texts == tuple(key.sha256 for key in read_keys(own.sibling("keys.yml"))) != ()
    own.sibling("keys.yml").write_text("damaged")
    assert anything(own).texts == ()


@pytest.mark.parametrize("wrong", [{"remains": "left /srv/models/a\n"}, {"failing": ("look",)}])
def test_a_host_that_is_not_proven_to_be_wiped_stays_isolated(
    guard: Guard, hosts: dict[str, MarkedHost], wrong: dict[str, Any]
) -> None:
    for key, value in wrong.items():
        setattr(hosts["scratch1"], key, value)
    with pytest.raises(ProofError, match=r"scratch1: is not wiped: .*; it stays isolated until it is wiped"):
        guard.wiped({})
    assert "lift" not in hosts["scratch1"].steps
    assert "lift" in hosts["scratch2"].steps


def test_an_isolation_that_can_not_be_lifted_does_not_hide_what_is_not_wiped(
    guard: Guard, hosts: dict[str, MarkedHost]
) -> None:
    hosts["scratch2"].failing = ("lift",)
    with pytest.raises(HostError, match="scratch2: lift failed"):
        guard.wiped({})
    hosts["scratch1"].remains = "left /srv/models/a\n"
    with pytest.raises(ProofError, match="scratch1: is not wiped"):
        guard.wiped({})


def test_leftovers_are_wiped_and_stay_isolated(guard: Guard, hosts: dict[str, MarkedHost]) -> None:
    guard.clean(("scratch2",))
    assert (hosts["scratch1"].steps, hosts["scratch2"].steps) == ([], ["sign", "wipe", "look"])
    hosts["scratch2"].remains = "left /srv/models/a\n"
    with pytest.raises(ProofError, match="scratch2: is not wiped: left: /srv/models/a"):
        guard.clean(("scratch2",))


def test_checks_name_the_fleets_host(guard: Guard) -> None:
    checks = tuple(Check("wiped", "passed", name) for name in ("scratch1", "scratch2", "", "gpu2"))
    assert [check.host for check in guard.as_hosts(checks)] == ["gate1", "gpu1", "", "gpu2"]


def test_signs_of_life_are_given_until_the_end(hosts: dict[str, MarkedHost], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "SIGN_SECONDS", 0.001)
    signs = Signs(cast(Any, hosts), MARKER)
    signs.start()
    assert all(host.signed.wait(10) for host in hosts.values())
    signs.check()
    signs.stop()
    assert not signs._thread.is_alive()
    assert MARKER.sha256 in hosts["scratch1"].commands["sign"]
    before = len(hosts["scratch1"].steps)
    hosts["scratch1"].signed.clear()
    assert not hosts["scratch1"].signed.is_set()
    assert len(hosts["scratch1"].steps) == before


def test_a_host_that_another_drill_takes_stops_the_drill_and_the_others_still_get_signs(
    hosts: dict[str, MarkedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "SIGN_SECONDS", 0.001)
    hosts["scratch1"].taken = True
    signs = Signs(cast(Any, hosts), MARKER)
    signs.start()
    assert hosts["scratch2"].signed.wait(10)
    signs.stop()
    with pytest.raises(LeasedError, match="scratch1: is no longer this drill's: another drill has taken this host"):
        signs.check()


def test_a_host_that_reboots_does_not_stop_the_drill(
    hosts: dict[str, MarkedHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "SIGN_SECONDS", 0.001)
    hosts["scratch1"].failing = ("sign",)
    signs = Signs(cast(Any, hosts), MARKER)
    signs.start()
    assert hosts["scratch1"].signed.wait(10)
    signs.stop()
    signs.check()


def test_a_drill_that_was_taken_over_neither_wipes_nor_opens_what_the_other_one_restores(
    guard: Guard, hosts: dict[str, MarkedHost]
) -> None:
    hosts["scratch1"].taken = True
    with pytest.raises(
        ProofError, match="scratch1: is not wiped: is no longer this drill's: another drill has taken"
    ):
        guard.wiped({})
    assert hosts["scratch1"].steps == ["sign"]
    assert hosts["scratch2"].steps == ["sign", "wipe", "look", "lift"]
    assert MARKER.sha256 in hosts["scratch2"].commands["lift"]


def test_signs_end_with_the_block_even_if_it_fails(guard: Guard) -> None:
    begun: list[Signs] = []

    def fail() -> None:
        with guard.held(found()) as signs:
            assert signs._thread.is_alive()
            begun.append(signs)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not begun[0]._thread.is_alive()
