from __future__ import annotations

import pytest
from testinfra.host import Host

UNITS = ["rackwright-assistant@1", "rackwright-host-proxy", "rackwright-firewall"]


@pytest.mark.parametrize("unit", UNITS)
def test_the_serving_host_runs_its_units_and_starts_them_at_boot(gpu1: Host, unit: str) -> None:
    service = gpu1.service(unit)
    assert service.is_running
    assert service.is_enabled


def test_the_gateway_listens_on_443_and_not_on_80(gate1: Host) -> None:
    assert gate1.service("rackwright-gateway").is_running
    address = gate1.backend.hostname
    assert gate1.socket(f"tcp://{address}:443").is_listening
    assert not gate1.socket(f"tcp://{address}:80").is_listening


def test_the_engine_listens_nowhere_but_on_its_socket(gpu1: Host) -> None:
    assert gpu1.file("/run/rackwright/assistant@1/engine.sock").is_socket
    assert "llama-server" not in gpu1.check_output("ss -Hltnp")


def test_the_engine_runs_as_its_own_user(gpu1: Host) -> None:
    assert gpu1.process.get(comm="llama-server").user == "rw-assistant"


def test_weights_are_read_only_and_roots(gpu1: Host) -> None:
    (weights,) = gpu1.check_output("find /srv/models -name '*.gguf'").split()
    file = gpu1.file(weights)
    assert (file.user, file.mode) == ("root", 0o444)


@pytest.mark.parametrize("path", ["/etc/rackwright/certificates/host-proxy.key.cred"])
def test_private_keys_are_encrypted_and_roots_alone(gpu1: Host, path: str) -> None:
    file = gpu1.file(path)
    assert (file.user, file.mode) == ("root", 0o600)
    assert not file.contains("PRIVATE KEY")


def test_the_journal_is_kept_on_disk_within_its_limits(gpu1: Host) -> None:
    assert gpu1.file("/etc/systemd/journald.conf.d/60-rackwright.conf").contains("^SystemMaxUse=4294967296$")
    assert gpu1.file("/var/log/journal").is_directory
    assert gpu1.service("systemd-journald").is_running


@pytest.mark.parametrize("setting", ["accept_redirects", "send_redirects", "accept_source_route"])
def test_no_other_host_can_change_routes(gpu1: Host, setting: str) -> None:
    assert gpu1.sysctl(f"net.ipv4.conf.eth0.{setting}") == 0


def test_what_a_container_can_not_have_is_left_alone(gpu1: Host) -> None:
    assert not gpu1.file("/etc/audit/rules.d/60-rackwright.rules").exists
    assert not gpu1.file("/etc/apt/apt.conf.d/60-rackwright.conf").exists


def test_the_packet_filter_drops_by_default(gpu1: Host) -> None:
    assert "policy drop" in gpu1.check_output("nft list table inet rackwright")
