"""The effect of `p2p` and shared model folders on each host."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.ports import assign_ports
from rackwright.fleet.sections.p2p import parse_rate
from rackwright.roles.firewall.rules import rules
from rackwright.values.file import File
from tests.fleet.test_load import GOOD

PLACED = GOOD.replace("on: gpu1", "on: [gpu1, gpu2]")
WITH_P2P = f"{PLACED}p2p: {{rate: 400Mbit}}\n"
FILE = File(path="m.gguf", size=1, sha256="1" * 64, url="https://huggingface.co/acme/tiny/resolve/c/m.gguf")


def fleet(tmp_path: Path, text: str) -> Fleet:
    path = tmp_path / "fleet.yml"
    path.write_text(text)
    return load_fleet(path)


def models(tmp_path: Path, text: str = WITH_P2P) -> dict[str, HostSpec]:
    of = fleet(tmp_path, text)
    entry = ModelLock(source="hf:acme/tiny", digest=model_digest([FILE]), files=(FILE,))
    lock = Lock(
        fleet="acme",
        models=dict.fromkeys(of.file.models, entry),
        runtimes={"llama_cpp-b1": RuntimeLock(kind="llama_cpp", version="b1", files=(FILE,))},
        ports=assign_ports(of, None),
    )
    return dict(host_specs(of, lock))


def writers(found: dict[str, HostSpec]) -> dict[str, dict[str, str | None]]:
    """Host → model → the host that writes it there."""
    stores = {name: host.model_store for name, host in found.items() if host.model_store}
    return {name: {model.name: model.writer for model in store.models} for name, store in stores.items()}


@pytest.mark.parametrize(("written", "bytes_a_second"), [("400Mbit", 50_000_000), ("2.5Gbit", 312_500_000)])
def test_a_rate_is_bits_on_paper_and_bytes_within(written: str, bytes_a_second: int) -> None:
    assert parse_rate(written) == bytes_a_second


@pytest.mark.parametrize("written", ["400", 400, "400MB", "400 Mbit", "-1Mbit"])
def test_what_is_no_rate_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"should be a rate per second, like 400Mbit or 2\.5Gbit"):
        parse_rate(written)


def test_each_serving_host_has_a_part_and_the_gateway_none(tmp_path: Path) -> None:
    found = models(tmp_path)
    assert found["gate1"].p2p is None
    part = found["gpu1"].p2p
    assert part is not None
    assert (str(part.address), part.port, part.rate) == ("10.0.0.11", 8301, 50_000_000)
    assert [str(peer) for peer in part.peers] == ["10.0.0.12"]
    assert "rw_p2p" in found["gpu1"].layout.keep_users
    assert "/etc/rackwright/p2p" in found["gpu1"].layout.keep_files


def test_without_the_section_or_anyone_to_share_with_there_is_no_part_and_no_port(tmp_path: Path) -> None:
    for text in (PLACED, f"{GOOD}p2p: {{}}\n"):
        host = models(tmp_path, text)["gpu1"]
        assert host.p2p is None
        assert all(opening.port != 8301 for opening in host.firewall.openings)
        assert "/etc/rackwright/p2p" not in host.layout.keep_files


def test_the_port_is_open_to_the_other_serving_hosts_in_the_fabric_network_alone(tmp_path: Path) -> None:
    text = WITH_P2P.replace("10.0.0.11}", "10.0.0.11, fabric: 10.40.0.11}").replace(
        "10.0.0.12}", "10.0.0.12, fabric: 10.40.0.12}"
    )
    filtered = rules(models(tmp_path, text)["gpu1"].firewall)
    (line,) = (line.strip() for line in filtered.splitlines() if "8301" in line)
    assert line == 'ip saddr { 10.40.0.12/32 } tcp dport 8301 accept comment "weights from host to host"'
    assert filtered.index("chain fabric {") < filtered.index(line) < filtered.index("chain input {")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("p2p: {from: gpu9}", "p2p.from: unknown host 'gpu9'; did you mean 'gpu2'?"),
        ("p2p: {from: gate1}", "p2p.from: no model is placed on gate1; name a host that serves"),
        ("p2p: {port: 8100}", "p2p.port: the replicas use ports 8100 to 8299; choose another port"),
        ("p2p: {port: 8300}", "p2p.port: the gateways use port 8300; choose another port"),
        ("p2p: {port: 22}", "p2p.port: sshd uses port 22 on gpu1; choose another port"),
        ("p2p: {rate: 400}", "p2p.rate: should be a rate per second, like 400Mbit or 2.5Gbit"),
        ("p2p: {rate: 0.5Mbit}", "p2p.rate: "),
        ("p2p: {form: gpu1}", "p2p.form: unknown key; did you mean 'from'?"),
    ],
)
def test_what_is_wrong_in_the_section_is_told(tmp_path: Path, section: str, said: str) -> None:
    with pytest.raises(FleetError) as refused:
        fleet(tmp_path, f"{PLACED}{section}\n")
    assert said in str(refused.value)


def test_a_host_that_others_cannot_reach_and_one_that_is_out_are_refused(tmp_path: Path) -> None:
    unreached = WITH_P2P.replace("address: 10.0.0.12", "address: gpu2.acme.internal, service: 10.0.0.12")
    with pytest.raises(
        FleetError, match=r"gpu2 has no address that other hosts can reach; give hosts\.gpu2 a fabric"
    ):
        fleet(tmp_path, unreached)
    out = PLACED.replace("10.0.0.12}", "10.0.0.12, disabled: broken}") + "p2p: {from: gpu2}\n"
    with pytest.raises(FleetError, match=r"p2p\.from: gpu2 is out of service; name a host in service"):
        fleet(tmp_path, out)


def test_a_port_that_the_firewall_allows_to_others_is_refused(tmp_path: Path) -> None:
    allowed = WITH_P2P.replace(
        "clients_from: [10.0.0.0/8]",
        "clients_from: [10.0.0.0/8], allow: [{on: gpu1, from: 10.9.0.1, port: 8301, why: mine}]",
    )
    with pytest.raises(
        FleetError, match="p2p uses port 8301 on gpu1; rackwright opens it to the other serving hosts"
    ):
        fleet(tmp_path, allowed)


def test_one_host_writes_a_shared_folder_and_the_others_read(tmp_path: Path) -> None:
    shared = f"{PLACED}defaults: {{models_at: {{path: /data/models, shared: yes}}}}\n"
    found = models(tmp_path, shared)
    assert {host: store.root for host in ("gpu1", "gpu2") if (store := found[host].model_store)} == {
        "gpu1": "/data/models",
        "gpu2": "/data/models",
    }
    assert writers(found) == {"gpu1": {"assistant": None}, "gpu2": {"assistant": "gpu1"}}


def test_each_model_of_a_shared_folder_is_written_by_a_host_that_serves_it(tmp_path: Path) -> None:
    coder = "  coder:\n" + PLACED.partition("  assistant:\n")[2].partition("gateway:")[0]
    coder = coder.replace("[gpu1, gpu2]", "[gpu2, gpu3]").replace("[assistant]", "[coder]")
    shared = f"{PLACED}defaults: {{models_at: {{path: /data/models, shared: yes}}}}\n"
    shared = shared.replace("gateway:", f"{coder}gateway:")
    third = "  gpu2: {address: 10.0.0.12}\n  gpu3: {address: 10.0.0.13}\n"
    shared = shared.replace("  gpu2: {address: 10.0.0.12}\n", third)
    assert writers(models(tmp_path, shared)) == {
        "gpu1": {"assistant": None},
        "gpu2": {"assistant": "gpu1", "coder": None},
        "gpu3": {"coder": "gpu2"},
    }
    out = shared.replace("10.0.0.11}", "10.0.0.11, disabled: broken}")
    assert writers(models(tmp_path, out))["gpu2"] == {"assistant": None, "coder": None}


def test_folders_of_their_own_have_no_other_writer(tmp_path: Path) -> None:
    apart = f"{PLACED}defaults: {{models_at: {{path: /data/models}}}}\n"
    assert writers(models(tmp_path, apart)) == {"gpu1": {"assistant": None}, "gpu2": {"assistant": None}}


@pytest.mark.parametrize("path", ["/etc/models", "models"])
def test_the_path_of_a_shared_folder_is_checked_as_any(tmp_path: Path, path: str) -> None:
    with pytest.raises(FleetError, match=r"defaults\.models_at\.path: "):
        fleet(tmp_path, f"{PLACED}defaults: {{models_at: {{path: {path}, shared: yes}}}}\n")
