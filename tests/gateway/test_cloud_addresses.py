"""The script that follows a cloud's addresses, with the real HAProxy and the real nft, in a network of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rackwright.roles.cloud.configuration import TABLE, egress_rules, follow_script
from rackwright.roles.cloud.settings import Proxy, Settings
from rackwright.roles.gateway.settings import Cloud, RoutedModel
from tests.gateway.stack import Stack, running_stack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")

CLOUD = Cloud(name="acme", host="cloud.test", port=8443, path="/v1")
SETTINGS = Settings(
    clouds=(CLOUD,), replicas=("10.20.0.11", "fd20::11"), gateways=("10.20.0.12",)
)  # fmt: skip
PROXIED = Settings(
    clouds=(CLOUD.model_copy(update={"proxied": True}),), proxy=Proxy(host="proxy.test", port=3128)
)  # fmt: skip


@dataclass
class Followed:
    stack: Stack
    folder: Path
    network: int
    """Process id of what keeps the network namespace that nft acts in."""

    def write(self, settings: Settings) -> None:
        (self.folder / "egress.nft").write_text(
            egress_rules(settings).replace('"haproxy"', '"nobody"').replace('"rw_cloud"', '"daemon"')
        )
        text = follow_script(
            settings, self.stack.gateway.paths, run=str(self.folder), rules=str(self.folder / "egress.nft")
        )
        (self.folder / "follow").write_text(text)
        (self.folder / "follow").chmod(0o755)

    def resolves(self, *addresses: str) -> None:
        """What stands in for name servers: a name service that answers with these addresses."""
        lines = "".join(f"{one}  {kind}\\n" for one in addresses for kind in ("STREAM cloud.test", "DGRAM", "RAW"))
        self.program("getent", f"printf '{lines}'")

    def program(self, name: str, text: str) -> None:
        (self.folder / "bin").mkdir(exist_ok=True)
        (self.folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.folder / "bin" / name).chmod(0o755)

    def follow(self, *, fails: bool = False) -> str:
        environment = os.environ | {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        done = subprocess.run(
            [self.folder / "follow"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stdout + done.stderr

    def admitted(self, name: str = "cloud-acme-4") -> set[str]:
        found = self.nft("list", "set", *TABLE.split(), name)
        _, _, listed = found.partition("elements = {")
        return {one.strip() for one in listed.partition("}")[0].split(",") if one.strip()}

    def nft(self, *words: str) -> str:
        command = ["nsenter", "-t", str(self.network), "-n", "/usr/sbin/nft", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def used(self) -> dict[str, str]:
        """Return server → address, of those that HAProxy may use."""
        rows = [line.split() for line in self.stack.gateway.ask("show servers state cloud.acme").splitlines()]
        return {row[3]: row[4] for row in rows if len(row) > 6 and row[1] == "cloud.acme" and not int(row[6]) & 1}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    with running_stack() as stack:
        Path(stack.folder, "acme.key.cred").write_text("sk-1")
        models = (
            *stack.settings.models,
            RoutedModel(name="chat", digest=None, names=("x",), servers=(), cloud="acme"),
        )
        stack.gateway.proxy = replace(stack.gateway.proxy, clouds=("acme",))
        Path(stack.gateway.proxy.script).write_text(stack.gateway.proxy.script_text())
        stack.write(stack.settings.model_copy(update={"models": models, "clouds": (CLOUD,)}))
        stack.gateway.reload()
        folder = tmp_path_factory.mktemp("follow")
        with subprocess.Popen(["unshare", "-n", "sleep", "infinity"]) as network:
            followed = Followed(stack, folder, network.pid)
            followed.program("nft", f'exec nsenter -t {network.pid} -n {shutil.which("nft")} "$@"')
            yield followed
            network.kill()


@pytest.fixture
def followed(started: Followed) -> Followed:
    """HAProxy has no address of a cloud, and nothing is admitted."""
    for server in CLOUD.servers:
        started.stack.gateway.ask(f"set server cloud.acme/{server} state maint")
    for path in started.folder.iterdir():
        if path.is_file():
            path.unlink()
    started.nft("flush", "ruleset")
    started.write(SETTINGS)
    return started


def test_the_script_is_short_and_shellcheck_finds_nothing() -> None:
    for settings in (SETTINGS, PROXIED):
        script = follow_script(settings)
        # workers.sh is tested with the proxies' script.
        done = subprocess.run(
            ["shellcheck", "-s", "sh", "-e", "SC2317,SC2034,SC2154,SC2015,SC2254", "-"],
            input=script,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_addresses_are_admitted_and_used(followed: Followed) -> None:
    followed.resolves("203.0.113.1", "203.0.113.2", "2001:db8::1")
    followed.follow()
    assert set(followed.used().values()) == {"203.0.113.1", "203.0.113.2", "2001:db8::1"}
    assert followed.admitted() == {"203.0.113.1", "203.0.113.2"}
    assert followed.admitted("cloud-acme-6") == {"2001:db8::1"}


def test_an_address_stays_where_it_is_as_long_as_it_belongs_to_the_name(followed: Followed) -> None:
    followed.resolves("203.0.113.1", "203.0.113.2")
    followed.follow()
    before = followed.used()
    followed.resolves("203.0.113.9", "203.0.113.2", "203.0.113.1")
    followed.follow()
    after = followed.used()
    assert {server: after[server] for server in before} == before
    assert set(after.values()) == {"203.0.113.1", "203.0.113.2", "203.0.113.9"}
    assert followed.follow() == ""


def test_addresses_in_use_come_before_others_of_the_name(followed: Followed) -> None:
    first = [f"203.0.113.{number}" for number in range(1, 5)]
    followed.resolves(*first)
    followed.follow()
    before = followed.used()
    followed.resolves(*(f"203.0.113.{number}" for number in range(5, 9)), *first)
    assert followed.follow() == ""
    assert followed.used() == before


def test_an_address_that_left_the_name_is_replaced_and_no_longer_admitted(followed: Followed) -> None:
    followed.resolves("203.0.113.1", "203.0.113.2")
    followed.follow()
    followed.resolves("203.0.113.2", "203.0.113.3")
    followed.follow()
    assert set(followed.used().values()) == followed.admitted() == {"203.0.113.2", "203.0.113.3"}
    followed.resolves("203.0.113.3")
    followed.follow()
    assert set(followed.used().values()) == followed.admitted() == {"203.0.113.3"}


def test_no_more_addresses_than_there_are_servers(followed: Followed) -> None:
    addresses = [f"203.0.113.{number}" for number in range(1, 10)]
    followed.resolves(*addresses)
    followed.follow()
    assert followed.admitted() == set(followed.used().values()) == {*addresses[:4]}


def test_an_address_is_admitted_before_haproxy_gets_it(followed: Followed) -> None:
    """If nft fails, HAProxy keeps what it has."""
    followed.resolves("203.0.113.1")
    followed.follow()
    real = (followed.folder / "bin" / "nft").read_text()
    try:
        followed.program("nft", "exit 1")
        followed.resolves("203.0.113.2")
        followed.follow(fails=True)
        assert set(followed.used().values()) == {"203.0.113.1"}
    finally:
        (followed.folder / "bin" / "nft").write_text(real)


def test_former_addresses_stay_while_the_name_has_none(followed: Followed) -> None:
    followed.resolves("203.0.113.1")
    followed.follow()
    followed.resolves()
    assert "cloud.test has no address now" in followed.follow(fails=True)
    assert set(followed.used().values()) == followed.admitted() == {"203.0.113.1"}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "fe80::1", "febf::1", "fe80::1%eth0",
        "224.0.0.1", "255.255.255.255", "ff02::1", "$(id)", "203.0.113.1;x",
    ],
)  # fmt: skip
def test_an_answer_that_is_no_other_machine_is_not_used(followed: Followed, address: str) -> None:
    followed.resolves("203.0.113.1", address)
    followed.follow()
    assert set(followed.used().values()) == {"203.0.113.1"}


def test_the_rules_return_after_all_tables_were_removed(followed: Followed) -> None:
    followed.resolves("203.0.113.1")
    followed.follow()
    followed.nft("flush", "ruleset")
    followed.follow()
    assert followed.admitted() == {"203.0.113.1"}


def test_the_rules_do_not_wait_for_name_servers(followed: Followed) -> None:
    """HAProxy may be running, and a name server may take ten seconds for each name."""
    seen = followed.folder / "seen"
    followed.program(
        "getent", f"nft list table {TABLE} >{seen} 2>&1; echo '203.0.113.1 STREAM cloud.test'"
    )  # fmt: skip
    followed.follow()
    assert "goto haproxy" in seen.read_text()
    assert "203.0.113.1" not in seen.read_text()
    # What was admitted is again, if only the table was removed.
    followed.nft("flush", "ruleset")
    followed.follow()
    assert "203.0.113.1" in seen.read_text()


def test_the_rules_do_not_wait_for_haproxy(followed: Followed) -> None:
    followed.resolves("203.0.113.1")
    sockets = Path(followed.stack.gateway.paths.sockets)
    sockets.rename(sockets.with_name("away"))
    try:
        followed.follow()
        assert followed.admitted() == {"203.0.113.1"}
    finally:
        sockets.with_name("away").rename(sockets)
    followed.follow()
    assert set(followed.used().values()) == {"203.0.113.1"}


def test_addresses_outlast_a_reload(followed: Followed) -> None:
    followed.resolves("203.0.113.1", "203.0.113.2")
    followed.follow()
    before = followed.used()
    followed.stack.gateway.reload()
    assert followed.used() == before
    followed.stack.gateway.wait_for_replaced()


def test_only_the_proxy_is_admitted_for_the_user_that_connects_to_it(followed: Followed) -> None:
    followed.write(PROXIED)
    followed.resolves("203.0.113.1", "203.0.113.2")
    followed.follow()
    assert (followed.folder / "proxy.env").read_text() == "ADDRESS=203.0.113.1\n"
    assert followed.admitted("proxy-4") == {"203.0.113.1"}
    followed.resolves("203.0.113.2", "203.0.113.1")
    followed.follow()
    assert (followed.folder / "proxy.env").read_text() == "ADDRESS=203.0.113.1\n"
    followed.resolves("2001:db8::1")
    followed.follow()
    assert (followed.folder / "proxy.env").read_text() == "ADDRESS=[2001:db8::1]\n"
    assert (followed.admitted("proxy-4"), followed.admitted("proxy-6")) == (set(), {"2001:db8::1"})


def test_a_proxy_that_has_no_address_yet_leaves_no_way_open(followed: Followed) -> None:
    followed.write(PROXIED)
    followed.resolves()
    assert "proxy.test has no address now" in followed.follow(fails=True)
    assert (followed.admitted("proxy-4"), (followed.folder / "proxy.env").exists()) == (set(), False)


def test_a_proxy_by_its_address_is_not_resolved(followed: Followed) -> None:
    followed.write(PROXIED.model_copy(update={"proxy": Proxy(host="10.20.0.99", port=3128)}))
    followed.program("getent", "exit 2")
    followed.follow()
    assert (followed.folder / "proxy.env").read_text() == "ADDRESS=10.20.0.99\n"


def test_a_name_may_end_in_a_digit(followed: Followed) -> None:
    cloud = CLOUD.model_copy(update={"host": "cloud1"})
    followed.write(PROXIED.model_copy(update={"clouds": (cloud,), "proxy": Proxy(host="squid01", port=3128)}))
    followed.resolves("203.0.113.1")
    followed.follow()
    assert (followed.folder / "proxy.env").read_text() == "ADDRESS=203.0.113.1\n"
    assert set(followed.used().values()) == followed.admitted() == {"203.0.113.1"}
