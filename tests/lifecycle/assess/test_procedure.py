from __future__ import annotations

import re
from pathlib import Path

import pytest

from rackwright.errors import HostError, HostKeyError, UsageError
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.assess import Verdict, assess, expected_of, expected_of_stranger, stranger
from rackwright.lifecycle.assess.missing import Expected
from rackwright.remote import Remote
from rackwright.remote.completed import Completed
from rackwright.values.targets import Target
from tests.remote.scripted import Scripted


@pytest.mark.parametrize(
    ("written", "user", "address", "port"),
    [
        ("ops@10.20.0.11", "ops", "10.20.0.11", 22),
        ("gpu1.acme.internal", "root", "gpu1.acme.internal", 22),
        ("ops@10.20.0.11:2222", "ops", "10.20.0.11", 2222),
        ("ops@fd00:20::11", "ops", "fd00:20::11", 22),
        ("ops@[fd00:20::11]:2222", "ops", "fd00:20::11", 2222),
        ("@local", "root", "@local", 22),
    ],
)
def test_a_host_of_no_fleet_file_is_named_as_ssh_has_it(written: str, user: str, address: str, port: int) -> None:
    target = stranger(written)
    assert (target.user, target.address, target.port, target.known_hosts) == (user, address, port, None)


@pytest.mark.parametrize(
    "written", ["", "ops@", "ops@10.20.0.11:ssh", "ops@10.20.0.11:70000", "-oProxy=x", "a b@10.0.0.1"]
)
def test_what_is_no_host_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="isn't a host; should"):
        stranger(written)


def test_a_fleet_file_says_what_each_host_is_for(tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_text(FLEET)
    fleet = load_fleet(path)
    gateway, first, alone = (expected_of(fleet, host) for host in ("gate1", "gpu1", "cpu1"))
    assert (gateway.gpus, gateway.debian_only, gateway.one_of_several) == (0, True, False)
    assert (first.gpus, first.debian_only, first.one_of_several, first.models_at) == (8, False, True, "/data/models")
    assert (gateway.driver, first.driver and first.driver.branch) == (None, "580")
    assert (alone.gpus, alone.one_of_several, alone.address) == (0, False, "10.20.0.13")


def test_a_driver_that_is_left_alone_is_a_decision_too(tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    path.write_text(FLEET.replace('driver: {branch: "580"}', "driver: {manage: no}"))
    driver = expected_of(load_fleet(path), "gpu1").driver
    assert driver is not None
    assert driver.manage == "no"


def test_a_host_that_cannot_be_asked_is_told_with_what_to_do() -> None:
    def refuse(command: str, stdin: bytes) -> Completed:
        raise HostError("no route to host", where="gpu1", next="rackwright trust gpu1")

    with Remote([Target("gpu1", "10.20.0.11")], transport=lambda target: Scripted(refuse)) as remote:
        (host,) = assess(remote, {"gpu1": Expected("gpu1", "10.20.0.11")}).hosts
    assert host.unreachable == "no route to host; next: rackwright trust gpu1"
    assert host.verdict is Verdict.UNREACHABLE


def test_a_strangers_key_is_pinned_by_ssh_itself() -> None:
    def refuse(command: str, stdin: bytes) -> Completed:
        raise HostKeyError("unknown host key", where="gpu1", next="rackwright trust gpu1")

    target = stranger("ops@10.20.0.11:2222")
    with Remote([target], transport=lambda target: Scripted(refuse)) as remote:
        (host,) = assess(remote, {target.name: expected_of_stranger(target, one_of_several=False)}).hosts
    assert host.unreachable == "unknown host key; next: ssh -p 2222 ops@10.20.0.11"


def test_a_host_is_asked_one_command_and_both_parts_of_its_answer_are_read() -> None:
    def answer(command: str, stdin: bytes) -> Completed:
        mark = re.search(r"[0-9a-f]{32}", command)
        assert mark
        return Completed(0, f"\n{mark[0]} 0 0\nsystemd yes\nmodels 9 5\nswap 7\n\n{mark[0]} 1 0\n".encode())

    scripted = Scripted(answer)
    with Remote([Target("gpu1", "10.20.0.11")], transport=lambda target: scripted) as remote:
        (host,) = assess(remote, {"gpu1": Expected("gpu1", "10.20.0.11", models_at="/it's")}).hosts
    assert len(scripted.commands) == 1
    assert host.figures is not None
    assert host.figures.disk_free == 5
    assert [fact.value for fact in host.facts if fact.name == "swap"] == ["7 B"]


FLEET = """\
fleet: acme
hosts:
  gate1: {address: 10.20.0.10}
  gpu1: {address: 10.20.0.11, models_at: /data/models}
  gpu2: {address: 10.20.0.12}
  cpu1: {address: 10.20.0.13}
models:
  assistant:
    source: hf:acme/tiny
    runtime: {kind: llama_cpp, version: b1}
    place: [{on: [gpu1, gpu2], replicas: 4, gpus: 2}, {on: cpu1, gpus: 0}]
    names: [assistant]
    context: 4096
driver: {branch: "580"}
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/8], clients_from: [10.0.0.0/8]}
"""
