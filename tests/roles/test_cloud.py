"""The role `cloud`: what it writes, and what the rules that it loads let HAProxy do."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from rackwright.operations.facts.credential import CredentialDigests
from rackwright.roles.cloud import units
from rackwright.roles.cloud.configuration import egress_rules
from rackwright.roles.cloud.role import cloud
from rackwright.roles.cloud.settings import Access, Proxy, Settings
from rackwright.roles.gateway.settings import Cloud
from rackwright.values.secrets import Secret
from tests.fakes import play
from tests.roles.walled import Walled, walled_host

DIRECT = Cloud(name="openai", host="api.openai.com", path="/v1")
OWN = Cloud(name="own", host="llm.partner.example", port=8443, own_ca=True, proxied=True)
SETTINGS = Settings(
    clouds=(DIRECT, OWN),
    proxy=Proxy(host="10.20.0.99", port=3128),
    replicas=("10.20.0.12", "fd20::12"),
    gateways=("10.20.0.13",),
)
KEY = "sk-" + "k" * 40


def access() -> dict[str, Access]:
    return {"openai": Access(Secret(KEY)), "own": Access(Secret(KEY), "PEM of a CA\n")}


def test_it_writes_what_belongs_to_its_clouds_and_starts_with_the_keys() -> None:
    played = play(cloud, settings=SETTINGS, access=access)
    written = {path.removesuffix(".rackwright-new") for path in played.uploads}
    unencrypted = {path for path in SETTINGS.files if not path.endswith(".cred")}
    assert written == {*unencrypted, *(f"/etc/systemd/system/{unit}" for unit in SETTINGS.units)}
    assert played.operations[-1] == "Follow the addresses of clouds"
    encrypted = [command for command in played.commands if "systemd-creds encrypt" in command]
    assert [name for name in ("openai.key", "own.key") if any(f"--name={name} " in one for one in encrypted)] == [
        "openai.key", "own.key"
    ]  # fmt: skip
    assert "useradd" in " ".join(played.commands)


def test_no_command_text_or_diff_has_a_key() -> None:
    played = play(cloud, settings=SETTINGS, access=access, facts={CredentialDigests: {}})
    everything = [*played.commands, *played.uploads.values(), *played.diffs.values(), *played.planned.values()]
    assert not [text for text in everything if KEY in text]


def test_without_a_proxy_there_are_neither_its_user_nor_its_sockets() -> None:
    played = play(cloud, settings=Settings(clouds=(DIRECT,)), access=access)
    assert "useradd" not in " ".join(played.commands)
    assert not [path for path in played.uploads if ".socket" in path or "@" in path]


def test_only_haproxys_user_may_use_the_way_through_the_proxy() -> None:
    lines = units.proxy_socket(OWN).splitlines()
    assert {"ListenStream=/run/rackwright-cloud/own.sock", "SocketUser=haproxy", "SocketMode=0600"} <= {*lines}
    target = "PROXY:${ADDRESS}:llm.partner.example:8443,proxyport=3128,connect-timeout=5"
    assert {
        "User=rw-cloud",
        f"ExecStart=/usr/bin/socat -t 60 - {target}",
        "StandardInput=socket",
        "StandardOutput=socket",
        "StandardError=journal",
        "PrivateIPC=yes",
    } <= {*units.connection(OWN, 3128).splitlines()}


def test_the_script_has_a_folder_of_roots_that_haproxy_can_look_into() -> None:
    assert {
        "RuntimeDirectory=rackwright-cloud",
        "RuntimeDirectoryMode=0755",
        "RuntimeDirectoryPreserve=yes",
        "PrivateIPC=yes",
    } <= {*units.service().splitlines()}


@pytest.fixture(scope="module")
def walled() -> Iterator[Walled]:
    if os.geteuid():
        pytest.skip("only root makes network namespaces")
    with walled_host() as walled:
        rules = egress_rules(SETTINGS).replace('"haproxy"', '"nobody"').replace('"rw-cloud"', '"daemon"')
        rules += "add element inet rackwright_cloud cloud-openai-4 { 203.0.113.1 }\n"
        rules += "add element inet rackwright_cloud cloud-openai-6 { fd20::7 }\n"
        rules += "add element inet rackwright_cloud proxy-4 { 10.20.0.12 }\n"
        rules += "add element inet rackwright_cloud proxy-6 { fd20::7 }\n"
        walled.load(rules)
        yield walled


@pytest.mark.parametrize(
    ("user", "kind", "address", "port", "leaves"),
    [
        ("nobody", socket.SOCK_STREAM, "10.20.0.12", 8100, True),
        ("nobody", socket.SOCK_STREAM, "10.20.0.12", 8300, False),
        ("nobody", socket.SOCK_STREAM, "10.20.0.12", 8099, False),
        ("nobody", socket.SOCK_STREAM, "203.0.113.1", 443, True),
        ("nobody", socket.SOCK_STREAM, "203.0.113.1", 444, False),
        ("nobody", socket.SOCK_STREAM, "203.0.113.2", 445, False),
        ("nobody", socket.SOCK_DGRAM, "203.0.113.1", 446, False),
        ("nobody", socket.SOCK_DGRAM, "10.20.0.7", 53, False),
        ("nobody", socket.SOCK_STREAM, "10.20.0.99", 3129, False),
        ("nobody", socket.SOCK_STREAM, "fd20::8", 450, False),
        ("daemon", socket.SOCK_STREAM, "10.20.0.12", 3128, True),
        ("daemon", socket.SOCK_STREAM, "10.20.0.12", 3130, False),
        ("daemon", socket.SOCK_STREAM, "203.0.113.1", 447, False),
        ("root", socket.SOCK_STREAM, "203.0.113.2", 448, True),
        ("root", socket.SOCK_DGRAM, "203.0.113.2", 449, True),
    ],
)
def test_haproxy_gets_out_to_clouds_host_proxies_and_gateways_only(
    walled: Walled, user: str, kind: socket.SocketKind, address: str, port: int, *, leaves: bool
) -> None:
    assert walled.lets_out(kind, address, port, user=user) is leaves


@pytest.mark.parametrize(("user", "port"), [("nobody", 443), ("daemon", 3128)])
def test_a_cloud_and_a_proxy_may_have_an_ipv6_address(walled: Walled, user: str, port: int) -> None:
    before = len(walled.sources_of(port))
    walled.lets_out(socket.SOCK_STREAM, "fd20::7", port, user=user)
    assert len(walled.sources_of(port)) > before


def test_what_was_connected_stays_connected() -> None:
    """An answer that is being sent outlasts its address."""
    lines = [line.strip() for line in egress_rules(SETTINGS).splitlines()]
    assert lines.index("ct state established,related accept") < lines.index('meta skuid "haproxy" goto haproxy')


def test_haproxy_asks_no_name_server_on_loopback() -> None:
    assert 'oif "lo" tcp dport != 53 accept' in egress_rules(SETTINGS)
