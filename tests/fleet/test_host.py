"""What the fleet file means for one host."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.load import load_fleet
from rackwright.roles.boot.settings import FILES as BOOT_FILES
from rackwright.roles.firewall.settings import At
from rackwright.roles.gateway.configuration import haproxy_cfg
from rackwright.roles.gpu_faults.settings import FILES as GPU_FAULTS_FILES
from rackwright.roles.gpu_faults.settings import UNITS as GPU_FAULTS_UNITS
from rackwright.roles.layout.settings import SOCKETS_UNIT
from tests.wheel_plan import lock

_FLEET = """
fleet: acme
hosts:
  gate1: {address: 10.20.0.10, service: 10.30.0.10}
  gpu1: {address: 10.20.0.11, service: 10.30.0.11, fabric: 10.40.0.11}
models:
  tiny:
    source: https://models.example/tiny.gguf#sha256=%s
    runtime: {kind: llama_cpp, version: b1}
    place: [{on: gpu1, gpus: 0}]
    names: [tiny]
    context: 2048
gateway: {on: [gate1], domain: llm.acme.internal}
firewall:
  admin_from: [10.20.0.0/24]
  clients_from: [10.0.0.0/8]
  allow: [{on: gpu1, from: 10.20.0.30, port: 9100, at: address, why: monitoring}]
"""


def composed(tmp_path: Any, text: str = _FLEET) -> dict[str, HostSpec]:
    path = tmp_path / "acme.yml"
    path.write_text(text % ("0" * 64))
    fleet = load_fleet(path)
    return host_specs(fleet, lock(fleet))


def open_at(model: HostSpec, at: At) -> set[int]:
    return {opening.port for opening in model.firewall.admitted_at(at)}


def test_each_network_of_a_host_has_its_own_ports(tmp_path: Any) -> None:
    models = composed(tmp_path)
    assert open_at(models["gpu1"], "address") == {22, 9100}
    assert open_at(models["gpu1"], "service") == {8100}
    assert open_at(models["gpu1"], "fabric") == set()
    assert open_at(models["gate1"], "address") == {22}
    assert open_at(models["gate1"], "service") == {443}
    assert str(models["gpu1"].firewall.fabric) == "10.40.0.11"


def test_only_a_host_whose_replicas_have_gpus_watches_for_their_faults(tmp_path: Any) -> None:
    without = composed(tmp_path)["gpu1"]
    assert (without.gpu_faults, without.probes[0].gpus_file) == (None, None)
    assert not set(without.layout.keep_units) & set(GPU_FAULTS_UNITS)
    with_gpus = composed(tmp_path, _FLEET.replace("gpus: 0", "gpus: 1"))["gpu1"]
    assert with_gpus.gpu_faults
    assert with_gpus.probes[0].gpus_file == with_gpus.replicas[0].gpus_file
    assert set(with_gpus.layout.keep_units) >= set(GPU_FAULTS_UNITS)
    assert set(with_gpus.layout.keep_files) >= set(GPU_FAULTS_FILES)


@pytest.mark.parametrize(
    ("task", "gpus", "context", "deadline"),
    [("embed", 0, 2048, 40), ("embed", 0, 100_000, 163), ("embed", 1, 2048, 10), ("generate", 0, 2048, 10)],
)
def test_a_long_step_of_an_encoder_on_a_cpu_is_no_hang(
    tmp_path: Any, task: str, gpus: int, context: int, deadline: int
) -> None:
    text = _FLEET.replace("gpus: 0", f"gpus: {gpus}").replace("names:", f"task: {task}\n    names:")
    text = text.replace("context: 2048", f"context: {context}")
    assert composed(tmp_path, text)["gpu1"].probes[0].deadline_seconds == deadline


def test_a_host_of_the_driver_can_boot_a_kernel_once(tmp_path: Any) -> None:
    hosts = composed(tmp_path, f"{_FLEET}driver: {{manage: adopt, on: gpu1}}\n")
    assert [hosts[name].boot is not None for name in ("gate1", "gpu1")] == [False, True]
    assert [set(BOOT_FILES) <= set(hosts[name].layout.keep_files) for name in ("gate1", "gpu1")] == [False, True]


def test_only_a_host_with_engines_keeps_the_mount_of_their_sockets(tmp_path: Any) -> None:
    models = composed(tmp_path)
    assert [SOCKETS_UNIT in models[name].layout.keep_units for name in ("gate1", "gpu1")] == [False, True]


def test_one_network_for_all_has_all_ports(tmp_path: Any) -> None:
    together = _FLEET.replace(", service: 10.30.0.11, fabric: 10.40.0.11", "").replace(
        ", service: 10.30.0.10", ", service: 10.20.0.10"
    )
    models = composed(tmp_path, together)
    assert open_at(models["gpu1"], "address") == {22, 8100, 9100}
    assert open_at(models["gate1"], "address") == {22, 443}
    assert models["gate1"].firewall.service is None


def test_a_fabric_that_is_the_service_network_is_not_apart(tmp_path: Any) -> None:
    (shared,) = {
        composed(tmp_path, _FLEET.replace("fabric: 10.40.0.11", "fabric: 10.30.0.11"))["gpu1"].firewall.fabric
    }
    assert shared is None


def test_ssh_answers_everywhere_where_the_fleet_says_so(tmp_path: Any) -> None:
    models = composed(tmp_path, _FLEET.replace("admin_from:", "admin_at: any\n  admin_from:"))
    assert open_at(models["gpu1"], "service") == {22, 8100}
    assert open_at(models["gpu1"], "fabric") == {22}


_TWO = _FLEET.replace("  gpu1:", "  gate2: {address: 10.20.0.20, service: 10.30.0.20}\n  gpu1:").replace(
    "on: [gate1], domain", "on: [gate1, gate2], vip: 10.30.0.9, domain"
)


def test_a_virtual_address_makes_the_gateways_peers_of_one_another(tmp_path: Any) -> None:
    models = composed(tmp_path, _TWO)
    first, second = models["gate1"].vip, models["gate2"].vip
    assert first is not None
    assert second is not None
    assert (str(first.own), [str(peer) for peer in first.peers]) == ("10.30.0.10", ["10.30.0.20"])
    assert first.priority > second.priority
    assert first.router_id == second.router_id
    assert [str(peer) for peer in models["gate2"].firewall.vrrp_from] == ["10.30.0.10"]
    assert models["gpu1"].vip is None
    assert models["gpu1"].firewall.vip is None


def test_the_virtual_address_stands_in_what_clients_see(tmp_path: Any) -> None:
    model = composed(tmp_path, _TWO)["gate1"]
    (shown,) = [certificate for certificate in model.certificates if certificate.name == "gateway"]
    assert shown.names == ("llm.acme.internal", "10.30.0.10", "10.30.0.9")
    assert model.gateway is not None
    assert "bind 10.30.0.9:443 maxconn 4000 transparent ssl" in haproxy_cfg(model.gateway)
    assert "rackwright-vip.service" in model.layout.keep_units
    assert "/etc/rackwright/vip" in model.layout.keep_files


def test_without_one_nothing_speaks_of_it(tmp_path: Any) -> None:
    model = composed(tmp_path)["gate1"]
    assert model.vip is None
    assert model.gateway is not None
    assert "transparent" not in haproxy_cfg(model.gateway)
    assert "rackwright-vip.service" not in model.layout.keep_units


@pytest.mark.parametrize(
    ("vip", "problem"),
    [
        ("10.40.0.11", "10.40.0.11 is gpu1's own address; name one that no machine has"),
        ("fd00::9", "gate1 has an IPv4 address; name an IPv4 address"),
    ],
)
def test_a_virtual_address_that_cannot_be_is_refused(tmp_path: Any, vip: str, problem: str) -> None:
    with pytest.raises(FleetError, match=re.escape(problem)):
        composed(tmp_path, _TWO.replace("10.30.0.9", vip))
