"""A gateway whose only model is a cloud's: keys, egress, addresses that change, and a proxy. The tests build on one
another.

The cloud is a stand-in on this machine. A lab host outside of the fleet stands for the internet: it leads to the
cloud from two addresses, and has a real proxy.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rackwright.lab.fleet_file import BASELINE, DOMAIN
from rackwright.lab.hosts import Lab
from rackwright.lifecycle.client.request import FromController, Request, Response, ask
from rackwright.values.secrets import Secret
from tests.gateway.certificates import CertificateAuthority
from tests.gateway.fixed_cloud import fixed_cloud
from tests.lab.operator import Operator
from tests.lab.standard import standard_lab
from tests.stand_in_cloud import StandInCloud
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/fleet/hosts/cloud_access.py",
    "rackwright/fleet/hosts/clouds.py",
    "rackwright/gateway/clouds.py",
    "rackwright/lifecycle/check/clouds.py",
    "roles/cloud",
    "roles/gateway",
)
NAME, PORT, PROXY_PORT = "cloud.lab.internal", 8443, 8888
KEY = "sk-" + "c" * 40
TINYPROXY = 'Port {port}\nTimeout 60\nMaxClients 50\nLogFile "/run/tinyproxy.log"\nConnectPort {cloud}\n'
SETUP = """set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update && apt-get -qq -y --no-install-recommends install socat tinyproxy-bin iproute2 >/dev/null
ip address add {second}/24 dev eth0
echo '{first} {name}' >>/etc/hosts
systemd-run -q --unit=relay socat TCP-LISTEN:{port},fork,reuseaddr TCP:{controller}:{cloud}
systemd-run -q --unit=proxy tinyproxy -d -c /etc/proxy.conf
"""
FLEET = """\
fleet: {fleet}
defaults:
  ssh: {{user: {user}, key: {key}}}
{baseline}
hosts:
  gate1: {{address: {gate1}}}
clouds:
  acme: {{url: "https://{name}:{port}/v1", key: file:cloud.key, names: [gpt-4o-mini], ca: cloud.pem}}
models:
  chat: {{cloud: acme, names: [gpt-4o-mini]}}
gateway: {{on: [gate1], domain: {domain}}}
firewall:
  admin_from: [{controller}/32]
  clients_from: [{subnet}]
"""


@dataclass
class Site:
    lab: Lab
    operator: Operator
    cloud: StandInCloud
    first: str
    second: str
    key: Secret

    def on_gateway(self, script: str, *, check: bool = True) -> str:
        return self.lab.exec("gate1", script, check=check).out

    def resolves(self, *addresses: str) -> None:
        lines = "".join(f"{address} {NAME}\n" for address in addresses)
        # In place: a container's /etc/hosts is a mount.
        others = f"grep -v {NAME} /etc/hosts >/tmp/hosts || :"
        self.on_gateway(f"{others}; printf %s {shlex.quote(lines)} >>/tmp/hosts; cat /tmp/hosts >/etc/hosts")

    def used(self) -> set[str]:
        socket = "UNIX-CONNECT:/run/rackwright-gateway/sockets/admin.sock,su-e=haproxy"
        shown = self.on_gateway(f"echo show servers state cloud.acme | socat - {socket}")
        rows = [line.split() for line in shown.splitlines()]
        return {row[4] for row in rows if len(row) > 6 and row[1] == "cloud.acme" and not int(row[6]) & 1}

    def connects(self, address: str, port: int, *, user: str = "haproxy") -> bool:
        """Whether the user may open a connection from the gateway."""
        script = f"timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/{port}'"
        done = self.lab.exec("gate1", f"setpriv --reuid={user} --clear-groups {script}", check=False)
        return not done.code

    def ask(self) -> Response:
        body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Which color?"}]})
        request = Request(self.lab.fleet().hosts["gate1"], DOMAIN, "/v1/chat/completions", body, self.key)
        (response,) = ask(FromController(), self.operator.path.with_name("test.ca.crt").read_text(), (request,))
        return response

    def answers(self) -> bool:
        return self.ask().text == "Blue."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    ca = CertificateAuthority(folder)
    with (
        standard_lab("clouds", "gate1", "out1", bare=("out1",)) as lab,
        fixed_cloud(ca, NAME, address="0.0.0.0") as cloud,
    ):
        fleet = lab.fleet()
        first, second = fleet.hosts["out1"], str(fleet.subnet[201])
        proxy = TINYPROXY.format(port=PROXY_PORT, cloud=PORT)
        lab.exec("out1", f"printf %s {shlex.quote(proxy)} >/etc/proxy.conf")
        values = {"first": first, "second": second, "name": NAME, "port": PORT}
        lab.exec("out1", SETUP.format(**values, controller=fleet.controller, cloud=cloud.port))
        path = folder / "test.yml"
        path.write_text(
            FLEET.format(
                fleet=fleet.name, user=fleet.user, key=fleet.key, baseline=BASELINE, gate1=fleet.hosts["gate1"],
                name=NAME, port=PORT, domain=DOMAIN, controller=fleet.controller, subnet=fleet.subnet,
            )
        )  # fmt: skip
        path.with_suffix(".known_hosts").write_text(fleet.known_hosts.read_text())
        (folder / "cloud.pem").write_text(ca.pem)
        (folder / "cloud.key").write_text(f"{KEY}\n")
        operator = Operator(path)
        operator("lock")
        key = operator("key", "add", "tester", "--owner", "test", "--json", check=None).json["key"]
        made = Site(lab, operator, cloud, first, second, Secret(key))
        made.resolves(first)
        operator("apply", "--yes")
        yield made


def condition(site: Site, *, check: int) -> dict[str, Any]:
    found = site.operator("check", "--json", check=check).json["conditions"]
    (one,) = [one for one in found if one["what"] == "cloud"]
    return dict(one)


def test_clients_are_answered_by_the_cloud(site: Site) -> None:
    wait_until(site.answers)
    assert site.cloud.received[-1].headers["authorization"] == f"Bearer {KEY}"
    said = site.operator("status", "--json").json
    assert said["clouds"] == [
        {"gateway": "gate1", "cloud": "acme", "reached": True, "found": "1 of 1 addresses up"}
    ]  # fmt: skip
    site.operator("plan")
    site.operator("verify")


def test_nobody_else_finds_the_key_on_the_gateway(site: Site) -> None:
    written = (
        f"grep -rlsF {KEY} /etc /var /run /tmp /root /home /srv 2>/dev/null || :; "
        f"journalctl -q --no-pager | grep -cF {KEY} || :; "
        # Without this shell and grep themselves.
        "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ 2>/dev/null; "
        f'[ ${{p#/proc/}} = $$ ] || tr "\\0" " " <$p/cmdline 2>/dev/null; done | grep -v grep | grep -cF {KEY} || :'
    )
    assert site.on_gateway(written).split() == ["/run/rackwright-gateway/clouds.map", "0", "0"]
    assert site.on_gateway("stat -c '%a %U %G' /run/rackwright-gateway/clouds.map").split() == [
        "640", "root", "haproxy"
    ]  # fmt: skip
    assert site.on_gateway("stat -c '%a %U' /etc/rackwright/cloud/acme.key.cred").split() == ["600", "root"]
    as_nobody = "setpriv --reuid=nobody --clear-groups cat /run/rackwright-gateway/clouds.map 2>&1"
    assert "Permission denied" in site.on_gateway(as_nobody, check=False)


def test_haproxy_reaches_the_cloud_and_nothing_else(site: Site) -> None:
    controller = site.lab.fleet().controller
    assert site.connects(site.first, PORT)
    assert not site.connects(site.first, 22)
    assert not site.connects(site.second, PORT)
    assert not site.connects(controller, site.cloud.port)
    # The attempts themselves work, and nobody else is limited.
    assert site.connects(site.first, 22, user="root")
    assert site.connects(site.second, PORT, user="nobody")


def test_an_address_that_changes_is_followed(site: Site) -> None:
    site.resolves(site.second)
    wait_until(lambda: site.used() == {site.second})
    wait_until(site.answers)
    wait_until(lambda: not site.connects(site.first, PORT))
    assert site.connects(site.second, PORT)


def test_an_apply_and_a_restart_of_nftables_leave_the_cloud_reachable(site: Site) -> None:
    text = site.operator.path.read_text()
    site.operator.path.write_text(text.replace("clients_from: [", "clients_from: [10.99.0.0/24, "))
    site.operator("apply", "--yes")
    assert site.connects(site.second, PORT)
    assert not site.connects(site.first, PORT)
    wait_until(site.answers)
    site.on_gateway("nft flush ruleset; systemctl restart rackwright-firewall.service")
    wait_until(lambda: not site.connects(site.first, PORT))
    wait_until(site.answers)


def test_check_asks_the_cloud(site: Site) -> None:
    site.cloud.fix(content=b'{"data": [{"id": "gpt-4o-mini"}]}')
    found = condition(site, check=0)
    assert (found["state"], found["found"]) == ("ok", f"acme: {NAME} accepts the key and lists gpt-4o-mini")
    site.cloud.fix(401)
    assert condition(site, check=12)["found"] == f"acme: {NAME} refuses the key: HTTP 401"
    site.cloud.reset()


def test_a_new_key_is_used_without_a_restart(site: Site) -> None:
    before = site.on_gateway("systemctl show -P MainPID rackwright-gateway")
    site.operator.path.with_name("cloud.key").write_text(KEY.replace("c", "d"))
    site.operator("apply", "--yes")
    wait_until(site.answers)
    assert site.cloud.received[-1].headers["authorization"] == f"Bearer {KEY.replace('c', 'd')}"
    assert site.on_gateway("systemctl show -P MainPID rackwright-gateway") == before


def test_a_proxy_leads_to_the_cloud_and_the_gateway_needs_no_name_server(site: Site) -> None:
    text = site.operator.path.read_text()
    site.operator.path.write_text(text + f"downloads: {{proxy: 'http://{site.first}:{PROXY_PORT}'}}\n")
    site.resolves()
    site.operator("lock")
    site.operator("apply", "--yes")
    wait_until(site.answers)
    log = site.lab.exec("out1", "cat /run/tinyproxy.log").out
    assert f"CONNECT {NAME}:{PORT}" in log
    assert KEY.replace("c", "d") not in log
    assert not site.connects(site.first, PROXY_PORT)
    assert not site.connects(site.second, PORT)
    assert site.connects(site.first, PROXY_PORT, user="rw_cloud")
    assert not site.connects(site.first, 22, user="rw_cloud")
    assert site.operator("status", "--json").json["clouds"][0]["reached"]
    site.operator.path.write_text(text)


def test_without_clouds_nothing_of_them_is_left(site: Site) -> None:
    """A fleet needs a model, so that this one lets another cloud's take its place."""
    text = site.operator.path.read_text().replace("  acme:", "  other:").replace("cloud: acme", "cloud: other")
    site.operator.path.write_text(text)
    site.operator("lock")
    site.operator("apply", "--yes", "--drop-names")
    assert site.on_gateway("ls /etc/rackwright/cloud").split() == [
        "egress.nft", "follow", "other.ca.crt", "other.key.cred"
    ]  # fmt: skip
    assert "acme" not in site.on_gateway("cat /run/rackwright-gateway/clouds.map; ls /etc/systemd/system")
    assert site.on_gateway("getent passwd rw_cloud", check=False) == ""
