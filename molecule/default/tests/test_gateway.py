"""The gateway's unit, files and sockets on the host."""

from __future__ import annotations

import pytest
from testinfra.host import Host

ADMIN = "socat - UNIX-CONNECT:/run/rackwright-gateway/sockets/admin.sock"


def test_the_gateway_runs_and_starts_at_boot_and_debians_own_unit_does_not(gate1: Host) -> None:
    assert gate1.service("rackwright-gateway").is_running
    assert gate1.service("rackwright-gateway").is_enabled
    assert not gate1.service("haproxy").is_running


def test_keys_hashes_are_read_by_the_gateway_alone(gate1: Host) -> None:
    file = gate1.file("/etc/rackwright/gateway/keys.map")
    assert (file.user, file.group, file.mode) == ("root", "haproxy", 0o640)


@pytest.mark.parametrize("name", ["gateway", "gateway-client"])
def test_certificates_last_and_their_keys_are_encrypted(gate1: Host, name: str) -> None:
    stem = f"/etc/rackwright/certificates/{name}"
    assert gate1.run(f"openssl x509 -in {stem}.crt -noout -checkend {300 * 86400}").rc == 0
    assert gate1.file(f"{stem}.key.cred").mode == 0o600
    assert not gate1.file(f"{stem}.key.cred").contains("PRIVATE KEY")
    decrypted = gate1.file(f"/run/rackwright-gateway/{name}.pem")
    assert (decrypted.user, decrypted.group, decrypted.mode) == ("root", "haproxy", 0o640)


def test_a_gateway_alone_shares_with_its_own_next_worker_only(gate1: Host) -> None:
    peers = gate1.check_output(f"echo 'show peers' | {ADMIN}")
    assert "id=gate1(local" in peers
    assert "(remote" not in peers
    assert not gate1.socket(f"tcp://{gate1.backend.hostname}:8300").is_listening
