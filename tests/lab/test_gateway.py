"""Gateway and host proxy as units on a real lab host, with a stand-in for the engine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from typing import TypeVar

import pytest

from rackwright.errors import HostError
from rackwright.fleet.ca import CertificateAuthority
from rackwright.gateway import Gateways
from rackwright.remote import Remote
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.gateway.access_log import parse_access
from rackwright.roles.gateway.settings import Key, RoutedModel, Server
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.host_proxy.now import works_command
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
PROXIED = Proxied(replica="assistant@1", port=8100, socket=SOCKET, agent_port=18100, slots=4)
# Every file that is there, and the names that root gives to a file until it is whole; sockets stay as they are.
PLANT = r"""
for run in /run/rackwright-gateway /run/rackwright-host-proxy; do
    mv -T $run $run.aside
    mv -T $run/sockets $run/aside && mkdir $run/sockets
    for name in $(ls $run) keys keys.loaded keys.pushed proxy; do
        for link in $name $name.new ${{name%.*}}.new $name.lock; do
            for folder in $run $run/sockets; do
                [ -S $folder/$link ] || ln -sfnT {target} $folder/$link
            done
        done
    done
done
true
"""
Result = TypeVar("Result")
UNITS = ("rackwright-gateway.service", "rackwright-host-proxy.service")


def api_key(name: str) -> str:
    return f"rw-{name}-{name[0] * 43}"


def as_haproxy(script: str) -> str:
    return f"setpriv --reuid=haproxy --regid=haproxy --clear-groups sh -c {shlex.quote(script)} 2>/dev/null"


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
        host_proxy(
            settings=HostProxy(address=address, certificate="host-proxy", gateways=(name,), replicas=(PROXIED,))
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
    ca = CertificateAuthority("lab", folder / "ca.crt", folder)
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
    places = "/run/rackwright-gateway /run/rackwright-host-proxy"
    modes = serving.host.tell(f"find {places} -not -name keys.loaded -printf '%y %m %u:%g\\n' | sort -u").splitlines()
    assert modes == ["d 700 haproxy:haproxy", "d 750 root:haproxy", "f 640 root:haproxy", "s 600 haproxy:haproxy"]


@pytest.mark.parametrize("prize", ["file", "folder"])
def test_links_made_by_haproxys_user_lead_root_to_no_other_file(serving: Serving, prize: str) -> None:
    host, units = serving.host, " ".join(UNITS)
    host.tell("mkdir -p /root/prize/folder && echo kept >/root/prize/file")
    seen = r"find /root/prize -printf '%p %u:%g %m %s %T@\n'; cat /root/prize/file"
    before = host.tell(seen)
    added = Key(id="added", sha256=sha256(b"added").hexdigest())
    try:
        for act in ("reload", "restart"):
            host.tell(as_haproxy(PLANT.format(target=f"/root/prize/{prize}")))
            with suppress(HostError):
                serving.gateways(lambda gateways: gateways.put_key(added, note="added"))
            acted = host.holds(f"systemctl {act} {units}")
            assert host.tell(seen) == before
            assert acted
            wait_until(lambda: serving.ask() == 200)
    finally:
        host.tell(f"rm /etc/rackwright/gateway/keys.pushed; systemctl restart {units}")
        wait_until(lambda: serving.ask() == 200)


def test_root_asks_no_socket_that_haproxys_user_may_not_ask(serving: Serving) -> None:
    host = serving.host
    listen = "socat -u UNIX-LISTEN:/root/asked.sock,fork OPEN:/root/asked,creat,append"
    host.tell(f"systemd-run -q --unit=asked {listen}")
    wait_until(lambda: host.holds("test -S /root/asked.sock"))
    try:
        for name in ("gateway", "host-proxy"):
            for socket in ("admin", "master"):
                link = f"/run/rackwright-{name}/sockets/{socket}.sock"
                host.tell(as_haproxy(f"ln -sfT /root/asked.sock {link}"))
            assert not host.holds(f"systemctl reload rackwright-{name}")
        with pytest.raises(HostError):
            serving.gateways(lambda gateways: gateways.servers())
        host.holds(works_command(PROXIED))
        # The listener takes one after another: once this has arrived, so has all before it.
        host.tell("echo end | socat -u - UNIX-CONNECT:/root/asked.sock")
        wait_until(lambda: "end" in host.tell("cat /root/asked"))
        assert host.tell("cat /root/asked") == "end"
    finally:
        host.tell(f"systemctl stop asked; rm -f /root/asked*; systemctl restart {' '.join(UNITS)}")
        wait_until(lambda: serving.ask() == 200)


def test_debians_own_unit_is_not_started(serving: Serving) -> None:
    assert serving.host.tell("systemctl is-active haproxy.service || true") == "inactive"
    assert serving.host.tell("systemctl is-enabled haproxy.service || true") == "disabled"


def test_a_revoked_key_is_refused_after_an_apply_that_restarts_and_reloads_nothing(serving: Serving) -> None:
    pids = serving.main_pids()
    master = "socat - UNIX-CONNECT:/run/rackwright-gateway/sockets/master.sock"
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
