"""Gateway and host proxy as units on a real lab host, with a stand-in for the engine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from typing import TypeVar

import pytest

from rackwright.fleet.ca import CertificateAuthority
from rackwright.gateway import Gateways
from rackwright.remote import Remote
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.gateway.access_log import parse_access
from rackwright.roles.gateway.settings import Key, RoutedModel, Server
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.host_proxy.settings import Proxied
from rackwright.roles.host_proxy.settings import Settings as HostProxy
from rackwright.roles.layout.settings import Settings as Layout
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

ADDRESS = "one/assistant@1"
SOCKET = "/run/rackwright/assistant@1/engine.sock"
ANSWER = '{"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'
STAND_IN = f"""defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend engine
    bind unix@{SOCKET} group rackwright mode 660
    http-request return status 200 content-type application/json string '{ANSWER}'
"""
Result = TypeVar("Result")
UNITS = ("rackwright-gateway.service", "rackwright-host-proxy.service")


def api_key(name: str) -> str:
    return f"rw-{name}-{name[0] * 43}"


@dataclass
class Serving:
    host: LabHost
    ca: CertificateAuthority
    keys: list[str] = field(default_factory=lambda: ["good"])

    def deploy(self) -> None:
        from rackwright.roles.certificate.role import certificate
        from rackwright.roles.gateway.role import gateway
        from rackwright.roles.host_proxy.role import host_proxy
        from rackwright.roles.layout.role import layout

        name, address = self.host.name, ip_address(self.host.address)
        layout(settings=Layout(fleet="lab", host=name, serves=True))
        for settings in (
            Certificate(name="gateway", names=("llm.lab", str(address))),
            Certificate(name="gateway-client", names=(name,), client=True),
            Certificate(name="host-proxy", names=(name, str(address))),
        ):
            certificate(settings=settings, issuer=self.ca)
        proxied = Proxied(replica="assistant@1", port=8100, socket=SOCKET, agent_port=18100, slots=4)
        host_proxy(
            settings=HostProxy(address=address, certificate="host-proxy", gateways=(name,), replicas=(proxied,))
        )
        server = Server(replica="assistant@1", host=name, address=address, port=8100, slots=4)
        routed = RoutedModel(name="assistant", digest="d" * 64, names=("assistant",), servers=(server,))
        gateway(
            settings=Gateway(
                name=name,
                domain="llm.lab",
                address=address,
                certificate="gateway",
                client_certificate="gateway-client",
                models=(routed,),
                keys=tuple(Key(id=key, sha256=sha256(api_key(key).encode()).hexdigest()) for key in self.keys),
            )
        )

    def start_engine(self) -> None:
        """Start a stand-in: another HAProxy at the socket. It is gone after a reboot, because /run is, too."""
        self.host.lab.exec(self.host.name, "cat >/root/stand-in.cfg", input=STAND_IN)
        folder = SOCKET.rsplit("/", 1)[0]
        self.host.tell(
            f"install -d -m 0755 /run/rackwright && install -d -g rackwright -m 0750 {folder} && "
            "systemd-run -q --unit=stand-in haproxy -db -f /root/stand-in.cfg && "
            "systemd-run -q --unit=stand-in-agent socat TCP-LISTEN:18100,fork,reuseaddr 'SYSTEM:echo up'"
        )

    def ask(self, key: str = "good") -> int:
        """Return the status of a completion; 0 if nothing answers."""
        body = shlex.quote(json.dumps({"messages": [], "model": "assistant"}))
        return int(
            self.host.tell(
                f"curl -s -o /root/answer -w '%{{http_code}}' --cacert /etc/rackwright/certificates/gateway.ca.crt "
                f"--resolve llm.lab:443:{self.host.address} -H 'x-api-key: {api_key(key)}' -d {body} "
                "https://llm.lab/v1/chat/completions || true"
            )
        )

    def gateways(self, work: Callable[[Gateways], Result]) -> Result:
        with Remote([self.host.target()]) as remote:
            return work(Gateways(remote, [self.host.name]))

    def main_pids(self) -> str:
        return self.host.tell(f"systemctl show -p MainPID --value {' '.join(UNITS)}")


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("ca")
    ca = CertificateAuthority("lab", folder / "ca.crt", folder / "ca.key")
    with fresh_lab("gateway", "one") as lab:
        serving = Serving(LabHost(lab, lab.fleet(), "one"), ca)
        serving.host.applied(serving.deploy)
        serving.start_engine()
        wait_until(lambda: serving.ask() == 200)
        yield serving


def test_a_completion_goes_through_both_proxies_and_is_logged(serving: Serving) -> None:
    assert serving.ask() == 200
    assert json.loads(serving.host.tell("cat /root/answer"))["usage"]["total_tokens"] == 10
    line = serving.host.tell("journalctl -t rackwright-access -p info..info -o cat --no-pager | tail -1")
    seen = parse_access(line)
    assert (seen.key, seen.replica, seen.end, seen.prompt_tokens) == ("good", ADDRESS, "completed", 7)


def test_a_second_apply_changes_nothing(serving: Serving) -> None:
    assert serving.host.applied(serving.deploy).changes == 0


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_are_sandboxed(serving: Serving, unit: str) -> None:
    assert serving.host.holds(f"systemd-analyze security --threshold=20 {unit}")


def test_keys_are_readable_by_their_proxy_only(serving: Serving) -> None:
    modes = serving.host.tell("stat -c '%a %U' /run/rackwright-*/*.pem /run/rackwright-*/*.sock | sort -u")
    assert modes == "600 haproxy"


def test_debians_own_unit_is_not_started(serving: Serving) -> None:
    assert serving.host.tell("systemctl is-active haproxy.service || true") == "inactive"
    assert serving.host.tell("systemctl is-enabled haproxy.service || true") == "disabled"


def test_a_revoked_key_is_refused_after_an_apply_that_restarts_and_reloads_nothing(serving: Serving) -> None:
    pids = serving.main_pids()
    master = "socat - UNIX-CONNECT:/run/rackwright-gateway/master.sock"
    workers = f"echo 'show proc' | {master} | grep -w worker | grep -o ^[0-9]*"
    before = serving.host.tell(workers)
    serving.keys = ["later"]
    try:
        assert serving.host.applied(serving.deploy).changes == 3
        assert (serving.ask("good"), serving.ask("later")) == (401, 200)
    finally:
        serving.keys = ["good"]
        serving.host.applied(serving.deploy)
    assert (serving.main_pids(), serving.host.tell(workers)) == (pids, before)


def test_another_certificate_comes_by_reload(serving: Serving) -> None:
    pids = serving.main_pids()
    shown = (
        f"openssl s_client -connect {serving.host.address}:443 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    )
    before = serving.host.tell(shown)
    serving.host.tell("rm /etc/rackwright/certificates/gateway.*")
    serving.host.applied(serving.deploy)
    assert serving.host.tell(shown) != before
    assert serving.main_pids() == pids
    assert serving.ask() == 200


def test_a_drain_by_hand_outlives_a_reboot(serving: Serving) -> None:
    serving.gateways(lambda gateways: gateways.drain(ADDRESS, who="ada", reason="fan"))
    assert serving.ask() == 503
    serving.host.lab.reboot("one")
    serving.start_engine()
    wait_until(lambda: serving.gateways(lambda gateways: gateways.servers()[ADDRESS].up))
    state = serving.gateways(lambda gateways: gateways.servers()[ADDRESS])
    assert state.drained_manually
    assert state.record
    assert (state.record.who, serving.ask()) == ("ada", 503)
    serving.gateways(lambda gateways: gateways.undrain(ADDRESS))
    wait_until(lambda: serving.ask() == 200)
