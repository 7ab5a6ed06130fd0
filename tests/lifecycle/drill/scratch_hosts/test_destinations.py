"""What a scratch host may reach: the repositories and the download sources, by name and port, and nothing else."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError, ProofError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock
from rackwright.lifecycle.drill.scratch_hosts.destinations import Destination, archives, destinations, opened
from rackwright.lifecycle.drill.scratch_hosts.fleet_addresses import hosts_addresses, places_of, production_of
from rackwright.lifecycle.drill.scratch_hosts.isolation import Isolation, close_off
from rackwright.lifecycle.drill.scratch_hosts.surroundings import Surroundings, look_around, parse_surroundings
from rackwright.values.file import File
from rackwright.values.network import Address
from tests.fleet.fleets import make_fleet
from tests.lifecycle.drill.scratch_host import host

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDRACwPpQUw3aZlQk8a0XnQ3kCMGkS1x1yrgJ2Dq6d8G"
REST = {
    "name": "vault",
    "url": "rest:https://vault.lab:8000/{host}",
    "password": "env:A",
    "user": "{host}",
    "login": "file:l-{host}",
}
SFTP = {
    "name": "box",
    "url": "sftp:{host}@Box.lab:/srv",
    "password": "env:A",
    "key": "file:k-{host}",
    "host_key": KEY,
}
PORTED = SFTP | {"name": "far", "url": "sftp://{host}@[fd00::7]:2022//srv"}
DISK = {"name": "disk", "url": "/srv/backup", "password": "env:A"}


def fleet(*repositories: dict[str, str], **sections: Any) -> Fleet:
    backup = {"backup": {"to": list(repositories)}} if repositories else {}
    return make_fleet(Path("/nowhere/site.yml"), **backup, **sections)


def lock(url: str = "https://hub.lab/acme/tiny/resolve/abc/tiny.gguf") -> Lock:
    weights = File(path="tiny.gguf", url=url, size=1, sha256="0" * 64)
    build = File(path="b.tgz", url="https://github.lab/b.tgz", size=1, sha256="0" * 64)
    return Lock(
        fleet="acme",
        models={"assistant": ModelLock(source="hf:acme/tiny", revision="abc", digest="0" * 64, files=(weights,))},
        runtimes={"llama_cpp-b1": RuntimeLock(kind="llama_cpp", version="b1", files=(build,))},
        ports={"gpu1": {"assistant@1": 8100}},
    )


def named(found: tuple[Destination, ...]) -> set[tuple[str, int, bool]]:
    return {(one.name, one.port, one.repository) for one in found}


def around(*lines: str) -> Surroundings:
    return parse_surroundings("".join(f"{line}\n" for line in (*lines, "end")))


def test_repositories_by_their_kind_and_port() -> None:
    found = named(destinations(fleet(REST, SFTP, PORTED, DISK), lock(), ("gate1",)))
    assert found == {("vault.lab", 8000, True), ("box.lab", 22, True), ("fd00::7", 2022, True)}


def test_only_what_the_restored_hosts_need_is_downloaded() -> None:
    assert named(destinations(fleet(), lock(), ("gate1",))) == set()
    assert named(destinations(fleet(), lock(), ("gpu1",))) == {("hub.lab", 443, False), ("github.lab", 443, False)}
    assert named(destinations(fleet(), lock("file:tiny.gguf"), ("gpu1",))) == {("github.lab", 443, False)}


def test_the_proxy_takes_the_place_of_servers_that_are_reached_through_it() -> None:
    downloads = {
        "proxy": "http://proxy.lab:3128",
        "no_proxy": ["hub.lab"],
        "package_index": "https://pypi.lab/simple",
    }
    found = named(destinations(fleet(REST, SFTP, downloads=downloads), lock(), ("gpu1",)))
    assert found == {("proxy.lab", 3128, True), ("box.lab", 22, True), ("hub.lab", 443, False)}


def test_package_archives_are_those_of_the_fleet_file_and_of_the_host_itself() -> None:
    mirror = {"url": "http://mirror.lab/debian", "suites": ["trixie"]}
    site = fleet(downloads={"apt_mirror": mirror, "apt_existing": "replace"})
    assert named(destinations(site, lock(), ("gate1",))) == {("mirror.lab", 80, False)}
    own = archives(
        site, around("apt http://deb.debian.org", "apt http://10.0.0.7:3142", "apt file:/srv", "apt cdrom:x")
    )
    assert named(own) == {("deb.debian.org", 80, False), ("10.0.0.7", 3142, False)}


def test_addresses_of_the_host_itself_are_never_opened() -> None:
    wanted = (Destination("a.lab", 443, "x"), Destination("10.0.0.5", 80, "y"), Destination("gone.lab", 1, "z"))
    lines = [f"name a.lab {address}" for address in ("127.0.0.1", "::1", "fe80::2%eth0", "0.0.0.0", "224.0.0.1")]
    found = opened(wanted, around(*lines, "name a.lab 10.0.0.8", "name a.lab ::ffff:10.0.0.9"))
    assert set(found.servers) == {
        (ip_address("10.0.0.8"), 443),
        (ip_address("10.0.0.9"), 443),
        (ip_address("10.0.0.5"), 80),
    }
    assert [one.name for one in found.unresolved] == ["gone.lab"]


@pytest.mark.parametrize("line", ["name a.lab 10.0.0.8; drop", "name a.lab 10.0.0", "resolver }", "shell x"])
def test_what_is_no_address_never_becomes_a_rule(line: str) -> None:
    with pytest.raises(HostError, match="can't read: its network"):
        look_around(host("s1", f"{line}\nend\n"))


def test_a_name_that_is_no_name_is_not_asked_for() -> None:
    asked: list[str] = []

    def answer(_: str, text: str) -> str:
        asked.append(text)
        return "end\n"

    look_around(host("s1", answer), ["a.lab", "b; reboot", "-x", "a.lab", "10.0.0.7"])
    assert asked == ["a.lab\n10.0.0.7\n"]


def isolate(answer: str) -> None:
    wanted = (Destination("vault.lab", 8000, "the repository vault", repository=True),)
    close_off({"gate1": host("s1", answer)}, Isolation(fleet(), wanted, {}, ()))


def test_a_repository_without_an_address_stops_before_anything_is_closed() -> None:
    with pytest.raises(ProofError, match=r"gate1: vault.lab, the server of the repository vault, has no address"):
        isolate("controller 10.0.0.1 22\nend\n")


def test_a_connection_that_the_isolation_would_cut_is_refused() -> None:
    with pytest.raises(HostError, match="isn't an SSH connection"):
        isolate("name vault.lab 10.0.0.7\nend\n")


ADDRESSES: dict[str, tuple[Address, ...]] = {
    "llm.acme.internal": (ip_address("10.0.0.88"),),
    "jump.lab": (ip_address("10.0.0.5"),),
    "vault.lab": (ip_address("10.0.0.60"),),
}


def test_production_is_every_address_of_the_fleet_file_and_the_repositories_servers() -> None:
    hosts = {
        "gate1": {"address": "10.0.0.9", "service": "10.1.0.9", "ssh": {"jump": "jump.lab", "port": 2222}},
        "gpu1": {"address": "10.0.0.10", "fabric": "fd00::10", "disabled": "broken", "models_at": "/data/models"},
    }
    site = fleet(REST, hosts=hosts, gateway={"on": ["gate1"], "domain": "llm.acme.internal", "vip": "10.1.0.77"})
    lookup = lambda name: ADDRESSES.get(name, ())  # noqa: E731
    expected = {"10.0.0.9", "10.1.0.9", "10.0.0.5", "10.0.0.10", "fd00::10", "10.1.0.77", "10.0.0.88"}
    assert {str(address) for address in hosts_addresses(site, lookup=lookup)} == expected
    known = production_of(site, lock(), {}, destinations(site, lock(), ("gate1",)), lookup=lookup)
    assert {str(address) for address in known.addresses} == expected | {"10.0.0.60"}
    assert known.ports == {443, 8100, 8300}
    assert set(known.models_at) == {"/srv/models", "/data/models"}
    asked = {(str(place.address), place.port) for place in places_of(site, lookup=lookup)}
    assert {("10.0.0.9", 2222), ("10.0.0.9", 443), ("10.1.0.77", 443), ("10.0.0.10", 22)} <= asked
