"""The units of both proxies: the users that they run as, what they start with and how they end."""

from __future__ import annotations

import pytest

from rackwright.roles.gateway.role import gateway
from rackwright.roles.host_proxy.role import host_proxy
from tests.fakes import play
from tests.roles.test_gateway import SETTINGS
from tests.roles.test_host_proxy import settings

GATEWAY = play(gateway, settings=SETTINGS).uploads["/etc/systemd/system/rackwright-gateway.service.rackwright-new"]
HOST_PROXY = play(host_proxy, settings=settings()).uploads[
    "/etc/systemd/system/rackwright-host-proxy.service.rackwright-new"
]


@pytest.mark.parametrize(("name", "text"), [("gateway", GATEWAY), ("host-proxy", HOST_PROXY)])
def test_a_proxy_runs_as_nobody_special_starts_again_for_ever_and_lets_answers_end(name: str, text: str) -> None:
    run, script = f"/run/rackwright-{name}", f"/etc/rackwright/{name}"
    assert {
        "Wants=network-online.target",
        "After=network-online.target nss-lookup.target",
        "StartLimitIntervalSec=0",
        "Type=notify",
        "User=haproxy",
        "Group=haproxy",
        # Root's own folder, with the keys, is above the user's.
        f"RuntimeDirectory=rackwright-{name}/sockets",
        "RuntimeDirectoryMode=0700",
        f"ExecStart=/usr/sbin/haproxy -Ws -f {script}/haproxy.cfg -S {run}/sockets/master.sock,mode,600",
        f"ExecReload=+{script}/proxy reload",
        f"ExecStopPost=+{script}/proxy stop",
        "KillMode=mixed",
        "KillSignal=SIGUSR1",
        "TimeoutStopSec=60",
        "Restart=always",
        "RestartSec=1",
        "LimitNOFILE=65536",
        # A core dump contains keys.
        "LimitCORE=0",
        "LogRateLimitIntervalSec=0",
        "WantedBy=multi-user.target",
    } <= {*text.splitlines()}


def test_only_a_gateway_has_drains_to_take_up_and_ports_below_1024() -> None:
    script = "/etc/rackwright/gateway/proxy"
    drains = {f"ExecStartPre=+{script} start", f"ExecStartPost=+{script} drains"}
    assert [drains & {*text.splitlines()} for text in (GATEWAY, HOST_PROXY)] == [drains, set()]
    assert "ExecStartPre=+/etc/rackwright/host-proxy/proxy prepare" in HOST_PROXY.splitlines()
    for kind in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert f"{kind}=CAP_NET_BIND_SERVICE" in GATEWAY.splitlines()
        assert f"{kind}=" in HOST_PROXY.splitlines()


def test_only_a_host_proxy_waits_for_the_mount_of_engine_sockets() -> None:
    needs = "RequiresMountsFor=/run/rackwright"
    assert [needs in text.splitlines() for text in (GATEWAY, HOST_PROXY)] == [False, True]
