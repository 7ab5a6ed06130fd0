"""The effect of several control hosts on each host: etcd, its certificate, and its port."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.certificate import certificates_of
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.ports import assign_ports
from rackwright.roles.firewall.rules import rules
from rackwright.values.file import File
from tests.fleet.test_load import GOOD

FIVE = GOOD.replace(
    "  gpu2: {address: 10.0.0.12}\n",
    "  gpu2: {address: 10.0.0.12}\n  gpu3: {address: 10.0.0.13}\n  gpu4: {address: 10.0.0.14}\n",
)
THREE = f"{GOOD}control: [gate1, gpu1, gpu2]\n"
FILE = File(path="m.gguf", size=1, sha256="1" * 64, url="https://huggingface.co/acme/tiny/resolve/c/m.gguf")


def fleet(tmp_path: Path, text: str) -> Fleet:
    path = tmp_path / "fleet.yml"
    path.write_text(text)
    return load_fleet(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(FleetError) as raised:
        fleet(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in str(raised.value).splitlines()]


def specs(tmp_path: Path, text: str = THREE) -> dict[str, HostSpec]:
    of = fleet(tmp_path, text)
    entry = ModelLock(source="hf:acme/tiny", digest=model_digest([FILE]), files=(FILE,))
    lock = Lock(
        fleet="acme",
        models=dict.fromkeys(of.file.models, entry),
        runtimes={"llama_cpp-b1": RuntimeLock(kind="llama_cpp", version="b1", files=(FILE,))},
        ports=assign_ports(of, None),
    )
    return dict(host_specs(of, lock))


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("gate1, gpu1", "names 2 hosts, and two are worse than one: the loss of either stops writes"),
        ("gate1, gpu1, gpu2, gpu3", "names 4 hosts, and four are no better than three: the loss of two stops writes"),
    ],
)
def test_two_and_four_are_refused_with_the_reason(tmp_path: Path, named: str, problem: str) -> None:
    text = FIVE.replace("fleet: acme\n", f"fleet: acme\ncontrol: [{named}]\n")
    assert problems(tmp_path, text) == [f"fleet.yml:2 control: {problem}; name one, three or five"]


@pytest.mark.parametrize("named", ["gate1, gpu1, gpu2", "gate1, gpu1, gpu2, gpu3, gpu4"])
def test_three_and_five_have_etcd(tmp_path: Path, named: str) -> None:
    assert fleet(tmp_path, f"{FIVE}control: [{named}]\n").etcd_hosts == tuple(named.split(", "))


def test_one_alone_has_none(tmp_path: Path) -> None:
    of = fleet(tmp_path, f"{FIVE}control: [gpu2]\n")
    assert (of.control, of.etcd_hosts) == (("gpu2",), ())


def test_those_in_the_lock_are_the_control_hosts_and_keep_etcd_until_they_move(tmp_path: Path) -> None:
    (tmp_path / "fleet.lock").write_text("format: lock/1\ncontrol:\n  - gate1\n  - gpu1\n  - gpu2\nmodels: {}\n")
    of = fleet(tmp_path, f"{FIVE}control: [gate1, gpu1, gpu3]\n")
    assert (of.control, of.named_control) == (("gate1", "gpu1", "gpu2"), ("gate1", "gpu1", "gpu3"))
    assert of.etcd_hosts == ("gate1", "gpu1", "gpu2", "gpu3")


def test_one_out_of_service_stays_a_control_host(tmp_path: Path) -> None:
    (tmp_path / "fleet.lock").write_text("format: lock/1\ncontrol:\n  - gate1\n  - gpu1\n  - gpu2\n")
    of = fleet(tmp_path, THREE.replace("gpu2: {", "gpu2: {disabled: RMA 4711, "))
    assert (of.control, of.control_hosts) == (("gate1", "gpu1"), ("gate1", "gpu1", "gpu2"))


def test_if_all_in_the_lock_are_out_of_service_the_fleet_files_count(tmp_path: Path) -> None:
    (tmp_path / "fleet.lock").write_text("format: lock/1\ncontrol:\n  - gpu2\n")
    of = fleet(tmp_path, GOOD.replace("gpu2: {", "gpu2: {disabled: RMA 4711, "))
    assert of.control_hosts == ("gate1",)


def test_a_group_counts_as_its_hosts_and_a_disabled_host_still_counts(tmp_path: Path) -> None:
    group = "groups: {gpus: [gpu1, gpu2]}\n"
    (problem,) = problems(tmp_path, f"{group}{GOOD}control: [gpus]\n")
    assert problem.startswith("fleet.yml:17 control: names 2 hosts")
    text = THREE.replace("gpu2: {", "gpu2: {disabled: RMA 4711, ")
    of = fleet(tmp_path, text)
    assert (of.named_control, of.etcd_hosts) == (("gate1", "gpu1"), ("gate1", "gpu1", "gpu2"))
    assert specs(tmp_path, text).keys() == {"gate1", "gpu1"}


def test_a_name_that_is_unknown_is_the_only_problem(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"{GOOD}control: [gate1, gpu7]\n")
    assert "unknown host or group 'gpu7'" in problem


def test_control_hosts_reach_each_other(tmp_path: Path) -> None:
    at = THREE.replace("gpu2: {address: 10.0.0.12}", "gpu2: {address: 10.0.0.12, service: %s}")
    assert problems(tmp_path, at % "'fd00::12'") == [
        "fleet.yml:5 hosts.gpu2.service: control host gpu2 has an IPv6 address, gate1 has an IPv4 address; "
        "control hosts need addresses of one IP version"
    ]
    assert problems(tmp_path, at % "127.0.0.2") == [
        "fleet.yml:5 hosts.gpu2.service: the other control hosts can't reach gpu2 at 127.0.0.2; "
        "give it a 'service' they can reach"
    ]
    fleet(tmp_path, (at % "127.0.0.2").replace("[gate1, gpu1, gpu2]", "[gate1]"))


@pytest.mark.parametrize("port", [2379, 2380])
def test_etcds_ports_are_its_own(tmp_path: Path, port: int) -> None:
    allow = f"allow: [{{on: gpu2, port: {port}, from: 10.0.0.0/8, why: x}}], clients_from"
    text = THREE.replace("clients_from", allow).replace("gpu1: {", f"gpu1: {{ssh: {{port: {port}}}, ")
    assert problems(tmp_path, f"{text}p2p: {{port: {port}}}\n") == [
        f"fleet.yml:4 hosts.gpu1.ssh.port: the control hosts use port {port} on gpu1; choose another port",
        f"fleet.yml:15 firewall.allow[0].port: the control hosts use port {port} on gpu2; "
        "only control hosts may reach it",
        f"fleet.yml:17 p2p.port: the control hosts use port {port}; choose another port",
    ]
    alone = text.replace("[gate1, gpu1, gpu2]", "[gate1]").replace(f"ssh: {{port: {port}}}, ", "")
    fleet(tmp_path, f"{alone}p2p: {{port: {port}}}\n")


def test_each_control_host_has_etcd_and_keeps_it(tmp_path: Path) -> None:
    found = specs(tmp_path, FIVE + "control: [gate1, gpu1, gpu2]\n")
    assert {name for name, spec in found.items() if spec.etcd} == {"gate1", "gpu1", "gpu2"}
    etcd = found["gpu1"].etcd
    assert etcd is not None
    assert (etcd.host, etcd.peer_url) == ("gpu1", "https://10.0.0.11:2380")
    layout = found["gpu1"].layout
    assert "rackwright-etcd.service" in layout.keep_units
    assert "rw_etcd" in layout.keep_users
    assert {"/etc/rackwright/etcd", "/etc/rackwright/certificates/etcd.key.cred"} <= {*layout.keep_files}
    assert not any("etcd" in name for name in (*found["gpu3"].layout.keep_files, *found["gpu3"].layout.keep_users))


def test_an_ipv6_address_is_put_in_brackets(tmp_path: Path) -> None:
    etcd = specs(tmp_path)["gpu1"].etcd
    assert etcd is not None
    six = etcd.model_validate({**etcd.model_dump(), "address": "fd00::11"})
    assert six.peer_url == "https://[fd00::11]:2380"


def test_one_control_host_has_none(tmp_path: Path) -> None:
    for text in (GOOD, f"{GOOD}control: [gpu1]\n"):
        found = specs(tmp_path, text)
        assert all(spec.etcd is None for spec in found.values())
        assert all(opening.port != 2380 for spec in found.values() for opening in spec.firewall.openings)
        assert all(one.name != "etcd" for spec in found.values() for one in spec.certificates)


def test_the_certificates_of_control_hosts_and_no_others_have_their_common_name(tmp_path: Path) -> None:
    of = fleet(tmp_path, THREE.replace("[gate1, gpu1, gpu2]", "[gpu1, gate1, gpu2]"))
    common = "etcd.acme.rackwright.internal"
    for host, address in (("gate1", "10.0.0.10"), ("gpu1", "10.0.0.11"), ("gpu2", "10.0.0.12")):
        issued = certificates_of(of, host)
        (etcd,) = (one for one in issued if one.name == "etcd")
        assert (etcd.names, etcd.client) == ((common, host, address, "127.0.0.1", "localhost"), True)
        assert [one.name for one in issued if common in one.names] == ["etcd"]


def test_the_port_of_the_members_is_open_to_the_other_control_hosts_alone(tmp_path: Path) -> None:
    found = specs(tmp_path, FIVE.replace("gpu2: {", "gpu2: {disabled: RMA, ") + "control: [gate1, gpu1, gpu2]\n")
    assert "ip saddr { 10.0.0.10/32, 10.0.0.12/32 } tcp dport 2380 accept" in " ".join(
        rules(found["gpu1"].firewall).split()
    )
    (opening,) = (one for one in found["gate1"].firewall.openings if one.port == 2380)
    assert [str(network) for network in opening.sources] == ["10.0.0.11/32", "10.0.0.12/32"]
    assert opening.at == "service"
    for name in ("gpu3", "gpu4"):
        assert all(opening.port != 2380 for opening in found[name].firewall.openings)
    assert all(opening.port != 2379 for spec in found.values() for opening in spec.firewall.openings)
