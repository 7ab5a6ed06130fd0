"""What the fleet file means for each member of a replica over several hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.hosts.members import confined_to_members, member_of, openings_between
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.lock_file import mismatches
from rackwright.fleet.ports import assign_ports, fabric_port, rendezvous_port
from rackwright.launch import Reach
from rackwright.ports import EPHEMERAL
from rackwright.values.file import File
from tests.fleet.test_placements import GOOD

PLACED = GOOD.replace("- {on: [[gpu1, gpu2]], gpus: 8}", "- {on: [gpu2, [gpu1, gpu2, gpu3]], gpus: 2}")
COMMIT = "c" * 40
FILE = File(
    path="m.safetensors",
    size=1,
    sha256="1" * 64,
    url=f"https://huggingface.co/acme/tiny/resolve/{COMMIT}/m.safetensors",
)


def fleet(tmp_path: Path, text: str = PLACED) -> Fleet:
    path = tmp_path / "fleet.yml"
    path.write_text(text)
    return load_fleet(path)


def lock(of: Fleet) -> Lock:
    """A lock in which a replica's ports differ from host to host."""
    return Lock(
        fleet="acme",
        models={
            "assistant": ModelLock(source="hf:acme/tiny", revision=COMMIT, digest=model_digest([FILE]), files=(FILE,))
        },
        runtimes={"vllm-0.32.0": RuntimeLock(kind="vllm", version="0.32.0", python="3.13", files=(FILE,))},
        ports=assign_ports(of, None),
    )


def models(tmp_path: Path, text: str = PLACED) -> dict[str, HostSpec]:
    of = fleet(tmp_path, text)
    return dict(host_specs(of, lock(of)))


def test_every_member_has_a_port_for_its_part_which_never_moves(tmp_path: Path) -> None:
    of = fleet(tmp_path)
    ports = assign_ports(of, None)
    assert ports == {
        "gpu1": {"assistant@2": 8100},
        "gpu2": {"assistant@1": 8100, "assistant@2": 8101},
        "gpu3": {"assistant@2": 8100},
    }
    alone = fleet(tmp_path, PLACED.replace("[gpu2, [gpu1, gpu2, gpu3]]", "[gpu2, [gpu1, gpu2]]"))
    kept = assign_ports(alone, lock(of).model_copy(update={"ports": {"gpu2": {"assistant@2": 8150}}}))
    assert kept == {"gpu1": {"assistant@2": 8100}, "gpu2": {"assistant@1": 8100, "assistant@2": 8150}}


def test_a_member_without_a_port_is_a_question_that_the_lock_does_not_answer(tmp_path: Path) -> None:
    of = fleet(tmp_path)
    assert mismatches(of, lock(of)) == ()
    less = {host: ports for host, ports in lock(of).ports.items() if host != "gpu3"}
    (problem,) = mismatches(of, lock(of).model_copy(update={"ports": less}))
    assert "ports.gpu3.assistant@2: is in the fleet file only" in str(problem)


def test_a_member_knows_its_place_all_addresses_and_where_the_first_waits(tmp_path: Path) -> None:
    of = fleet(tmp_path)
    alone, together = of.replicas
    found = [member_of(of, lock(of), together, host) for host in together.members]
    assert [(one.rank, str(one.own), one.port) for one in found if one] == [
        (0, "10.0.0.11", 28600),
        (1, "10.40.0.12", 28600),
        (2, "10.0.0.13", 28600),
    ]
    assert {str(one.first) for one in found if one} == {"10.0.0.11"}
    assert member_of(of, lock(of), alone, "gpu2") is None


def test_what_members_need_stands_open_to_the_others_alone(tmp_path: Path) -> None:
    of = fleet(tmp_path)
    together = of.replicas[1]
    for host, others in (
        ("gpu1", {"10.40.0.12/32", "10.0.0.13/32"}),
        ("gpu2", {"10.0.0.11/32", "10.0.0.13/32"}),
    ):
        found = list(openings_between(of, lock(of), host))
        waits = [rendezvous_port(lock(of), together)] if host == "gpu1" else []
        assert [opening.port for opening in found] == [fabric_port(lock(of), together, host), *waits, EPHEMERAL[0]]
        assert [opening.last for opening in found] == [*[None] * (len(found) - 1), EPHEMERAL[1]]
        assert all({str(source) for source in opening.sources} == others for opening in found)
        assert {opening.at for opening in found} == {"fabric"}
        assert {opening.why for opening in found} == {"members of gpu1/assistant@2"}
    assert list(openings_between(of, lock(of), "gate1")) == []


def test_a_fabric_that_is_the_service_network_is_opened_there(tmp_path: Path) -> None:
    model = models(tmp_path, PLACED.replace("fabric: 10.40.0.12", "fabric: 10.0.0.12"))["gpu2"]
    opened = {opening.port for opening in model.firewall.admitted_at("service")}
    assert {28101, EPHEMERAL[0]} <= opened
    assert EPHEMERAL[0] not in {opening.port for opening in model.firewall.admitted_at("address")}


def test_no_port_of_members_is_anothers(tmp_path: Path) -> None:
    of = fleet(tmp_path)
    together = of.replicas[1]
    taken = {fabric_port(lock(of), together, host) for host in together.members}
    assert rendezvous_port(lock(of), together) not in taken
    assert not any(8100 <= port < 8300 or port >= EPHEMERAL[0] for port in {*taken, 28600})


def test_an_engine_with_a_network_reaches_its_other_members_only(tmp_path: Path) -> None:
    of = fleet(tmp_path)
    (confined,) = confined_to_members(of, "gpu2")
    assert confined.user == "rw-assistant"
    assert [str(peer) for peer in confined.peers] == ["10.0.0.11", "10.0.0.13"]
    assert confined_to_members(of, "gate1") == ()
    alone = fleet(tmp_path, PLACED.replace("[gpu2, [gpu1, gpu2, gpu3]]", "[gpu2]"))
    assert confined_to_members(alone, "gpu2") == ()


def test_only_the_first_host_answers_and_all_compute(tmp_path: Path) -> None:
    found = models(tmp_path)
    first, second, third = (found[name] for name in ("gpu1", "gpu2", "gpu3"))
    assert [unit.name for unit in second.replicas] == ["assistant@1", "assistant@2"]
    assert [unit.reach for unit in second.replicas] == [Reach.LOOPBACK, Reach.MEMBERS]
    assert [len(model.replica_groups) for model in (first, second, third)] == [1, 1, 1]
    assert [[probe.replica for probe in model.probes] for model in (first, second, third)] == [
        ["assistant@2"],
        ["assistant@1"],
        [],
    ]
    assert third.host_proxy is None
    assert third.model_store is not None
    assert [runtime.gpus for runtime in third.runtimes] == [True]
    assert first.host_proxy is not None
    assert [one.replica for one in first.host_proxy.replicas] == ["assistant@2"]


def test_what_binds_members_is_kept_by_the_next_apply(tmp_path: Path) -> None:
    for model in (models(tmp_path)[name] for name in ("gpu1", "gpu3")):
        (replica_group,) = model.replica_groups
        assert set(replica_group.units) <= set(model.layout.keep_units)
        assert set(replica_group.scripts.values()) <= set(model.layout.keep_files)


def test_the_gateways_know_one_backend_of_a_replica_over_several_hosts(tmp_path: Path) -> None:
    gateway = models(tmp_path)["gate1"].gateway
    assert gateway is not None
    (model,) = gateway.models
    assert [(one.host, one.port) for one in model.servers] == [("gpu2", 8100), ("gpu1", 8100)]


@pytest.mark.parametrize("host", ["gpu1", "gpu2", "gpu3"])
def test_a_unit_names_the_member_that_it_is(tmp_path: Path, host: str) -> None:
    unit = next(unit for unit in models(tmp_path)[host].replicas if unit.name == "assistant@2")
    rank = ["gpu1", "gpu2", "gpu3"].index(host)
    assert unit.command[unit.command.index("--node-rank") + 1] == str(rank)
    assert ("--headless" in unit.command) == (rank > 0)
    assert str(unit.fabric) == ["10.0.0.11", "10.40.0.12", "10.0.0.13"][rank]
    assert [str(one) for one in unit.members] == ["10.0.0.11", "10.40.0.12", "10.0.0.13"]
