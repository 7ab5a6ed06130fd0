"""A probe passes only if the drill's own filter stopped it, and a probe that wasn't made never passes."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.scratch_hosts.destinations import Destination, Opened
from rackwright.lifecycle.drill.scratch_hosts.isolation import Closed
from rackwright.lifecycle.drill.scratch_hosts.reach_probes import (
    PROBE,
    Place,
    parse_tried,
    probe_here,
    probe_inside,
    probe_outside,
)
from rackwright.lifecycle.drill.scratch_hosts.ruleset import Allowed
from tests.lifecycle.drill.scratch_host import host, run

VAULT = Destination("vault.lab", 8000, "the repository vault", repository=True)
SERVER = ip_address("10.0.0.60")
CLOSED = Closed(
    Allowed(ip_address("10.0.0.1"), servers=((SERVER, 8000), (ip_address("10.0.0.9"), 22))),
    Opened(((SERVER, 8000),), ((VAULT, (SERVER,)),)),
)
PRODUCTION = (
    Place(ip_address("10.0.0.9"), 443, "gate1's address"),
    Place(ip_address("10.0.0.9"), 22, "gate1's address"),
)


def inside(*lines: str) -> dict[str, Check]:
    answer = "".join(f"{line}\n" for line in (*lines, "end"))
    checks = probe_inside({"gate1": host("s1", answer)}, {"gate1": CLOSED}, PRODUCTION)
    return {check.found.split("(")[1].split(")")[0]: check for check in checks}


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ("unreachable 3 4", "passed"),
        ("unreachable 3 3", "failed"),
        ("no-route 3 3", "passed"),
        ("open 3 3", "failed"),
        ("open 3 4", "failed"),
        ("refused 3 4", "failed"),
        ("silent 3 4", "failed"),
    ],
)
def test_production_counts_as_out_of_reach_only_if_the_filter_refused(result: str, outcome: str) -> None:
    check = inside(f"10.0.0.9 443 {result}", "10.0.0.1 22 unreachable 0 1")["10.0.0.9 port 443"]
    assert (check.name, check.outcome, check.host) == ("isolated", outcome, "gate1")


def test_the_controller_is_tried_and_a_repository_on_a_production_host_is_not() -> None:
    found = inside("10.0.0.9 443 unreachable 0 1", "10.0.0.1 22 open 0 0", "10.0.0.60 8000 open 0 0")
    assert {place: check.outcome for place, check in found.items()} == {
        "10.0.0.9 port 443": "passed",
        "10.0.0.1 port 22": "failed",
        "10.0.0.60 port 8000": "passed",
    }


@pytest.mark.parametrize(("result", "outcome"), [("open", "passed"), ("silent", "failed"), ("refused", "failed")])
def test_the_control_fails_unless_the_repositorys_server_accepts(result: str, outcome: str) -> None:
    check = inside(f"10.0.0.60 8000 {result} 0 0")["10.0.0.60 port 8000"]
    assert (check.name, check.outcome) == ("reaches the repositories", outcome)


def test_a_probe_without_a_result_was_not_run() -> None:
    assert {check.outcome for check in inside().values()} == {"not run"}


def test_a_scratch_host_that_cannot_be_asked_gives_no_proof() -> None:
    checks = probe_inside({"gate1": host("s1", None)}, {"gate1": CLOSED}, PRODUCTION)
    assert [(check.name, check.outcome, check.host) for check in checks] == [("isolated", "not run", "gate1")]


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ("open", "failed"),
        ("refused", "failed"),
        ("silent", "passed"),
        ("unreachable", "passed"),
        ("no-route", "passed"),
    ],
)
def test_from_outside_a_scratch_host_neither_answers_nor_refuses(result: str, outcome: str) -> None:
    places = {"gate1": (Place(ip_address("10.9.0.1"), 443, "s1's port 443"),)}
    hosts = {"gpu1": host("gpu1", f"10.9.0.1 443 {result} 0 0\nend\n"), "gpu2": host("gpu2", None)}
    first, second = probe_outside(places, hosts)
    assert (first.name, first.outcome, first.host) == ("isolated", outcome, "gate1")
    assert first.found == f"from gpu1 to s1's port 443 (10.9.0.1 port 443): {result}"
    assert (second.outcome, "from gpu2" in second.found) == ("not run", True)


def test_what_a_host_of_the_fleet_may_reach_is_not_tried_from_there() -> None:
    ssh, web = (Place(ip_address("10.9.0.1"), port, "s1") for port in (22, 443))
    answer = "10.9.0.1 443 silent 0 0\nend\n"
    checks = probe_outside(
        {"gate1": (ssh, web)}, {"ctl1": host("ctl1", answer), "gpu1": host("gpu1", answer)}, {"ctl1": {ssh}}
    )
    assert [(check.outcome, check.found.partition(":")[0]) for check in checks] == [
        ("passed", "from ctl1 to s1 (10.9.0.1 port 443)"),
        ("not run", "from gpu1 to s1 (10.9.0.1 port 22)"),
        ("passed", "from gpu1 to s1 (10.9.0.1 port 443)"),
    ]


def test_the_controller_reaches_what_it_needs_and_nothing_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        places = [Place(ip_address("127.0.0.1"), server.getsockname()[1], "x") for server in (one, two)]
        checks = probe_here({"gate1": places}, expected={"gate1": [places[0].port]})
    assert [check.outcome for check in checks] == ["passed", "failed"]


@pytest.mark.parametrize("how", ["alone", "together"])
def test_the_script_tells_open_from_refused(how: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run(PROBE, how, stdin=f"127.0.0.1 {port}\n127.0.0.1 1\n")
    found = parse_tried(done.stdout)
    assert found[ip_address("127.0.0.1"), port].result == "open"
    assert found[ip_address("127.0.0.1"), 1].result == "refused"


@pytest.mark.parametrize("how", ["alone", "together"])
def test_a_host_that_can_not_try_proves_nothing(tmp_path: Path, how: str) -> None:
    (tmp_path / "bash").write_text("#!/bin/sh\necho 'Resource temporarily unavailable' >&2\nexit 254\n")
    (tmp_path / "bash").chmod(0o755)
    assert parse_tried(run(PROBE, how, stdin="127.0.0.1 1\n", path=tmp_path).stdout) == {}
    (tmp_path / "bash").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "timeout").write_text('#!/bin/sh\nexec /usr/bin/timeout 0.1 "$2"\n')
    (tmp_path / "timeout").chmod(0o755)
    assert (
        parse_tried(run(PROBE, how, stdin="127.0.0.1 1\n", path=tmp_path).stdout)[ip_address("127.0.0.1"), 1].result
        == "silent"
    )
