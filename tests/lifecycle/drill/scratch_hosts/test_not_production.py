"""A scratch host that could be production is refused, for every reason at once."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.errors import ProofError
from rackwright.lifecycle.drill.scratch_hosts import not_production
from rackwright.lifecycle.drill.scratch_hosts.marker import ALIVE_SECONDS, Marker
from rackwright.lifecycle.drill.scratch_hosts.not_production import Production, prove_not_production
from rackwright.remote.connection import Connection
from rackwright.remote.known_hosts import HostKey, pin
from rackwright.values.targets import Target
from tests.lifecycle.drill.scratch_host import host

MARK = Marker(fleet="acme", drill="d1", who="ada", time=datetime(2026, 11, 1, 8, tzinfo=UTC))
FLEETS = "AAAAC3NzaC1lZDI1NTE5AAAAIFLEET"
PROD = f"machine-id {'f' * 32}\nkey ssh-ed25519 {FLEETS}\naddress 10.0.0.9\nend\n"


def says(number: int = 1, *more: str, machine: str = "", key: str = "", address: str = "") -> str:
    lines = (
        f"machine-id {machine or str(number) * 32}",
        f"key ssh-ed25519 {key or 'AAAAC3NzaC1lZDI1NTE5AAAAI' + str(number)}",
        "address 127.0.0.1",
        "address fe80::1",
        f"address {address or f'10.9.0.{number}'}",
        *more,
        "end",
    )
    return "".join(f"{line}\n" for line in lines)


def marked(marker: Marker = MARK, seen: int = ALIVE_SECONDS) -> tuple[str, str]:
    return f"marker {marker.sha256} {base64.b64encode(marker.text.encode()).decode()}", f"seen {seen}"


def production(
    answer: str | None = PROD, *, known_hosts: Path | None = None, drills: tuple[str, ...] = ("s1",)
) -> Production:
    """Return the fleet; `drills`: the scratch hosts of the drill d1, by this machine's records."""
    there = host("gate1", answer, address="10.0.0.9")
    there.target = Target("gate1", "10.0.0.9", known_hosts=known_hosts)
    addresses = {ip_address("10.0.0.9"): "gate1's address", ip_address("10.0.0.77"): "the gateways' virtual address"}
    return Production(
        "acme",
        {"gate1": there},
        addresses,
        frozenset({443, 8100}),
        drills=lambda drill: frozenset(drills if drill == "d1" else ()),
    )


def isolated(answer: str, state: str = "closed") -> Callable[[str, str], str]:
    return lambda command, _: f"{state}\n" if "echo closed" in command else answer


def refusal(*answers: str, take_over: bool = False, against: Production | None = None) -> str:
    scratch: dict[str, Connection] = {
        f"s{number}": host(f"s{number}", text) for number, text in enumerate(answers, 1)
    }
    with pytest.raises(ProofError) as refused:
        prove_not_production(scratch, against or production(), take_over=take_over)
    return str(refused.value)


def test_two_machines_of_their_own_pass() -> None:
    proven = prove_not_production({"s1": host("s1", says(1)), "s2": host("s2", says(2))}, production())
    assert [(check.name, check.outcome, check.host) for check in proven.checks] == [
        ("not production", "passed", "s1"),
        ("not production", "passed", "s2"),
    ]
    assert proven.leftovers == ()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(machine="f" * 32), "s1: has the machine ID of gate1, a host of the fleet"),
        (says(key=FLEETS), "s1: has an SSH host key of gate1, a host of the fleet"),
        (says(address="10.0.0.9"), "s1: has the address 10.0.0.9, gate1's address"),
        (says(address="10.0.0.77"), "s1: has the address 10.0.0.77, the gateways' virtual address"),
        ("machine-id \nkey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\nend\n", "s1: has no machine ID"),
        (f"machine-id {'1' * 32}\nend\n", "s1: shows no SSH host key"),
        (says(1, "trace /etc/rackwright"), "s1: rackwright has set it up, and not for a drill"),
        (says(1, "unit rackwright-x@1.service"), "s1: rackwright has set it up, and not for a drill"),
        (says(1, "user rw-x"), "s1: rackwright has set it up, and not for a drill"),
        (says(1, "running rackwright-x@1.service"), "s1: units of rackwright run on it"),
        (says(1, "listens 22", "listens 443"), "s1: something listens on ports on which the fleet serves: 443"),
        (says(1, "listens 8100"), "on which the fleet serves: 8100"),
        (says(1, "filesystem nfs4 /srv/models"), "s1: /srv/models is on nfs4"),
        (
            says(1, *marked(MARK.model_copy(update={"fleet": "other"}))),
            "s1: is the scratch host of another fleet, other",
        ),
        (says(1, *marked(seen=ALIVE_SECONDS - 1)), "s1: the drill d1 of ada uses this scratch host"),
        (says(1, *marked(seen=-5)), "its last sign is 0 s old"),
    ],
)
def test_each_sign_of_production_or_use_is_refused(answer: str, said: str) -> None:
    assert said in refusal(answer)


def test_all_problems_of_all_hosts_are_named_at_once() -> None:
    said = refusal(says(1, "listens 443", key=FLEETS), says(2, "trace /opt/rackwright", address="10.0.0.9"))
    for part in (
        "s1: has an SSH host key",
        "s1: something listens",
        "s2: rackwright has set it up",
        "s2: has the addr",
    ):
        assert part in said


@pytest.mark.parametrize("second", [says(2, machine="1" * 32), says(2, key="AAAAC3NzaC1lZDI1NTE5AAAAI1")])
def test_two_names_for_one_machine_are_refused(second: str) -> None:
    assert "s1: is the same machine as s2" in refusal(says(1), second)


def test_the_controller_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(not_production, "_controller", lambda: "1" * 32)
    assert "s1: is the machine that rackwright runs on" in refusal(says(1))


def test_a_host_of_the_fleet_that_is_down_is_known_by_its_pinned_key(tmp_path: Path) -> None:
    file = tmp_path / "site.known_hosts"
    pin(file, Target("gate1", "10.0.0.9"), HostKey("ssh-ed25519", FLEETS))
    gone = production(None, known_hosts=file)
    assert "s1: has an SSH host key of gate1" in refusal(says(key=FLEETS), against=gone)
    proven = prove_not_production({"s1": host("s1", says(1))}, gone)
    assert [(check.outcome, check.name) for check in proven.checks] == [
        ("passed", "not production"),
        ("not run", "compared with every host of the fleet"),
    ]
    assert "by its pinned host key" in proven.checks[1].found


LEFT = ("trace /etc/rackwright", "running rackwright-x@1.service", "listens 443")


def test_leftovers_of_a_killed_drill_of_this_fleet_are_no_obstacle() -> None:
    there = host("s1", isolated(says(1, *LEFT, *marked())))
    assert prove_not_production({"s1": there}, production()).leftovers == ("s1",)


@pytest.mark.parametrize("state", ["open", "none", ""])
@pytest.mark.parametrize("take_over", [True, False])
@pytest.mark.parametrize("number", range(len(LEFT)))
def test_a_marker_does_not_excuse_what_is_on_a_host_that_is_not_isolated(
    state: str, take_over: bool, number: int
) -> None:
    there = host("s1", isolated(says(1, LEFT[number], *marked()), state))
    with pytest.raises(ProofError, match=r"s1: .*remove /var/lib/rackwright-drill if it is in use"):
        prove_not_production({"s1": there}, production(), take_over=take_over)


def test_a_host_that_a_drill_marked_and_did_not_isolate_is_free() -> None:
    there = host("s1", isolated(says(1, *marked()), "open"))
    assert prove_not_production({"s1": there}, production()).leftovers == ("s1",)


@pytest.mark.parametrize("take_over", [True, False])
@pytest.mark.parametrize("drills", [(), ("s2",)])
def test_a_marker_of_which_there_is_no_record_is_refused(take_over: bool, drills: tuple[str, ...]) -> None:
    there = host("s1", isolated(says(1, *marked())))
    with pytest.raises(ProofError, match="of which there is no record here") as refused:
        prove_not_production({"s1": there}, production(drills=drills), take_over=take_over)
    assert refused.value.problems[0].next == "rackwright drill clean, which asks before it wipes"


def test_a_drill_that_runs_is_taken_over_only_if_there_is_a_record_of_it() -> None:
    alive = says(1, *marked(seen=1))
    assert prove_not_production({"s1": host("s1", alive)}, production(), take_over=True).leftovers == ("s1",)
    assert "--take-over" in refusal(alive)
    said = refusal(alive, take_over=True, against=production(drills=()))
    assert "the drill d1 of ada uses this scratch host" in said
    assert "--take-over" not in said
    assert "drill clean" not in said, "it would wipe the host of a drill that runs"


@pytest.mark.parametrize(("seen", "take_over"), [(1, True), (10_000, False)])
def test_the_record_may_be_another_machines(seen: int, take_over: bool) -> None:
    there = {"s1": host("s1", isolated(says(1, *marked(seen=seen))))}
    other = production(drills=()).knowing({"d1": frozenset({"s1"})})
    assert prove_not_production(there, other, take_over=take_over).leftovers == ("s1",)
    for useless in ({"d1": frozenset({"s2"})}, {"d2": frozenset({"s1"})}):
        with pytest.raises(ProofError):
            prove_not_production(there, production(drills=()).knowing(useless), take_over=take_over)
    # What is known here stays known.
    assert production().knowing({}).drills("d1") == production().drills("d1")


def test_another_fleets_drill_is_not_taken_over() -> None:
    other = says(1, *marked(MARK.model_copy(update={"fleet": "other"}), 1))
    assert "another fleet" in refusal(other, take_over=True)
