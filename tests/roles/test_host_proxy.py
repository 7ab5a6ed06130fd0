from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.operations.haproxy.paths import Paths
from rackwright.roles.host_proxy.configuration import haproxy_cfg
from rackwright.roles.host_proxy.role import host_proxy
from rackwright.roles.host_proxy.settings import Proxied, Settings
from tests.fakes import play, systemctl
from tests.gateway.certificates import CertificateAuthority
from tests.roles.test_gateway import accepted


def settings(address: str = "10.30.0.11") -> Settings:
    replicas = tuple(
        Proxied(
            replica=f"assistant@{number}",
            port=8099 + number,
            socket=f"/run/rackwright/assistant@{number}/engine.sock",
            agent_port=18099 + number,
            slots=8,
        )
        for number in (1, 2)
    )
    return Settings(
        address=ip_address(address), certificate="host-proxy", gateways=("gate1", "gate2"), replicas=replicas
    )


@pytest.mark.parametrize("address", ["10.30.0.11", "fd00::11"])
def test_haproxy_accepts_the_configuration(tmp_path: Path, address: str) -> None:
    CertificateAuthority(tmp_path).issue("host-proxy", ("gpu1",), client=False)
    pem = (tmp_path / "host-proxy.crt").read_text() + (tmp_path / "host-proxy.key.cred").read_text()
    (tmp_path / "host-proxy.pem").write_text(pem)
    paths = Paths(configuration=str(tmp_path), run=str(tmp_path), certificates=str(tmp_path))
    accepted(haproxy_cfg(settings(address), paths), tmp_path)


def test_every_replica_admits_the_named_gateways_only() -> None:
    configuration = haproxy_cfg(settings())
    assert configuration.count("verify required alpn http/1.1") == 2
    assert configuration.count("session reject unless { ssl_c_s_dn(cn) -m str gate1 gate2 }") == 2


def test_a_first_run_starts_the_proxy_and_leaves_debians_alone() -> None:
    played = play(host_proxy, settings=settings())
    assert played.commands[-1] == systemctl("start", "rackwright-host-proxy.service")
    assert any("mask --runtime -- haproxy.service" in command for command in played.commands)


def test_the_unit_opens_engines_sockets_by_their_group() -> None:
    unit = play(host_proxy, settings=settings()).uploads[
        "/etc/systemd/system/rackwright-host-proxy.service.rackwright-new"
    ]
    assert "SupplementaryGroups=rackwright\n" in unit
    assert "CapabilityBoundingSet=\n" in unit
