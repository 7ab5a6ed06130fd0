"""The baseline on a real host: each item on a fresh host, on its own result, and next to existing configuration."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

import pytest

from rackwright.lab.hosts import Lab
from rackwright.roles.journald.settings import DROP_IN as JOURNALD
from rackwright.roles.journald.settings import RSYSLOG
from rackwright.roles.journald.settings import Settings as Journald
from rackwright.roles.sysctl.settings import DROP_IN as SYSCTL
from rackwright.roles.sysctl.settings import Settings as Sysctl
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

_SERVER = """
import socket
one, _ = socket.create_server(("127.0.0.1", 5140)).accept()
with open("/run/got", "ab", buffering=0) as got:
    while bytes := one.recv(65536):
        got.write(bytes)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("baseline", "plain") as lab:
        yield lab


@pytest.fixture
def plain(lab: Lab) -> LabHost:
    return LabHost(lab, lab.fleet(), "plain")


def limited(settings: Journald) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.roles.journald.role import journald

        journald(settings=settings)

    return deploy


def test_the_journal_keeps_to_its_limits_and_loses_nothing(plain: LabHost) -> None:
    plain.tell("systemd-run --quiet --unit=talker sh -c 'n=0; while n=$((n+1)); do echo line $n; sleep 0.02; done'")
    wait_until(lambda: plain.holds("journalctl -u talker | grep -q 'line 5$'"))
    deploy = limited(Journald(system_max_use="100M", max_retention="30d"))
    plain.applied(deploy)
    reached = int(plain.tell("journalctl -u talker -o cat -n 1").split()[1])
    wait_until(lambda: plain.holds(f"journalctl -u talker | grep -q 'line {reached + 20}$'"))
    plain.tell("systemctl stop talker")
    said = [line for line in plain.tell("journalctl -u talker -o cat").splitlines() if line.startswith("line ")]
    assert said == [f"line {number}" for number in range(1, len(said) + 1)]
    assert "max 95.3M" in plain.tell("journalctl -u systemd-journald -o cat | tail -n 20")
    assert plain.plan(deploy).changes == 0


def test_a_later_file_that_wins_is_named_and_left(plain: LabHost) -> None:
    deploy = limited(Journald(system_max_use="100M", max_retention="30d"))
    later = "/etc/systemd/journald.conf.d/90-site.conf"
    plain.tell(f"printf '[Journal]\\nSystemMaxUse=80M\\n' >{later}")
    run = plain.applied(deploy)
    assert [step.note for step in run.notes] == [
        f"{later} sets SystemMaxUse=80M, and is read after rackwright's (100000000)"
    ]
    assert (run.changes, plain.tell(f"tail -n 1 {later}; rm {later}")) == (0, "SystemMaxUse=80M")


def test_a_syslog_server_gets_the_lines_until_it_is_no_longer_named(plain: LabHost) -> None:
    plain.tell(f"systemd-run --quiet --collect --unit=server python3 -c {shlex.quote(_SERVER)}")
    deploy = limited(Journald(forward_to="127.0.0.1:5140"))
    plain.applied(deploy)
    assert plain.plan(deploy).changes == 0
    plain.tell("logger -t rackwright-access 'a line of the access log'")
    wait_until(
        lambda: plain.holds("grep -q 'plain rackwright-access [0-9-]* - - *a line of the access log' /run/got")
    )
    none = limited(Journald())
    plain.applied(none)
    assert plain.plan(none).changes == 0
    assert not plain.holds(f"test -e {RSYSLOG} || ss -Htn state established dport = :5140 | grep -q .")


def test_a_journal_that_is_not_managed_is_left_as_it_is(plain: LabHost) -> None:
    plain.tell(f"echo '# mine' >{JOURNALD}")
    assert plain.applied(limited(Journald(manage="no"))).changes == 0
    assert plain.tell(f"cat {JOURNALD}") == "# mine"


def hardened(settings: Sysctl) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.roles.sysctl.role import sysctl

        sysctl(settings=settings)

    return deploy


def running(host: LabHost, setting: str) -> set[str]:
    return set(host.tell(f"cat /proc/sys/{setting}").split())


def test_the_running_kernel_and_the_next_boot_get_the_networks_settings(plain: LabHost) -> None:
    deploy = hardened(Sysctl(kernel="no", values={"net.core.somaxconn": 8192}))
    assert running(plain, "net/ipv4/conf/*/accept_redirects") == {"0", "1"}
    plain.applied(deploy)
    for setting in ("accept_redirects", "send_redirects", "secure_redirects", "accept_source_route"):
        assert running(plain, f"net/ipv4/conf/*/{setting}") == {"0"}
    assert running(plain, "net/ipv6/conf/*/accept_redirects") == {"0"}
    assert running(plain, "net/ipv4/conf/all/rp_filter") == {"2"}
    assert running(plain, "net/core/somaxconn") == {"8192"}
    assert plain.plan(deploy).changes == 0
    plain.lab.reboot("plain")
    assert running(plain, "net/ipv4/conf/*/accept_redirects") == {"0"}
    assert plain.plan(deploy).changes == 0


_ADVERTISE = """
import socket, struct
from socket import IPPROTO_IPV6, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF
prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0, socket.inet_pton(socket.AF_INET6, "2001:db8:7::"))
sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sender.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255)
sender.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_IF, socket.if_nametoindex("NAME"))
sender.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix, ("ff02::1", 0))
"""
"""Sends one router advertisement: a default route, and a prefix for addresses."""


def test_router_advertisements_are_refused_unless_an_interface_lives_on_them(plain: LabHost) -> None:
    deploy = hardened(Sysctl(kernel="no"))
    plain.applied(deploy)
    assert running(plain, "net/ipv6/conf/*/accept_ra") == {"0"}
    plain.tell("ip netns add router")
    for name in ("lives", "hostile"):
        plain.tell(
            f"ip link add {name} type veth peer name to-{name} netns router; ip link set {name} up; "
            f"ip netns exec router ip link set to-{name} up"
        )
    # A host that got its addresses before rackwright came.
    plain.tell("sysctl -qw net.ipv6.conf.lives.accept_ra=1")

    def advertise(name: str, until: str) -> None:
        script = shlex.quote(_ADVERTISE.replace("NAME", f"to-{name}"))
        wait_until(lambda: plain.holds(f"ip netns exec router python3 -c {script} && {until}"))

    has = "ip -6 -o address show dev lives scope global dynamic | grep -q 2001:db8:7:"
    advertise("lives", f"{has} && ip -6 route show default | grep -q 'dev lives'")
    run = plain.applied(deploy)
    assert "lives has or had addresses or routes from IPv6 router advertisements" in (run.notes[0].note or "")
    assert running(plain, "net/ipv6/conf/lives/accept_ra") == {"1"}
    assert plain.holds(f"{has} && grep -qxF 'net/ipv6/conf/lives/accept_ra = 1' {SYSCTL}")
    plain.tell("/usr/lib/systemd/systemd-sysctl")
    assert running(plain, "net/ipv6/conf/lives/accept_ra") == {"1"}
    assert running(plain, "net/ipv6/conf/hostile/accept_ra") == {"0"}
    assert plain.plan(deploy).changes == 0
    # Its router is gone, and what it advertised has expired.
    plain.tell("ip link set lives down; ip -6 address flush dev lives; ip -6 route flush dev lives")
    assert plain.plan(deploy).changes == 0
    assert "lives has or had" in (plain.applied(deploy).notes[0].note or "")
    assert running(plain, "net/ipv6/conf/lives/accept_ra") == {"1"}
    # The counter shows that the hostile router's advertisement has arrived.
    arrived = "grep -q '^Icmp6InRouterAdvertisements[[:space:]]*[1-9]' /proc/net/dev_snmp6/hostile"
    advertise("hostile", arrived)
    assert not plain.holds(
        "ip -6 -o address show dev hostile scope global | grep . || ip -6 route show default | grep 'dev hostile'"
    )
    named = hardened(Sysctl(kernel="no", values={"net.ipv6.conf.lives.accept_ra": 0}))
    assert plain.applied(named).notes == ()
    assert running(plain, "net/ipv6/conf/*/accept_ra") == {"0"}
    plain.tell("ip link del lives; ip link del hostile; ip netns del router")


def test_the_systems_own_reader_takes_the_same_of_two_files_as_we_do(plain: LabHost) -> None:
    deploy = hardened(Sysctl(kernel="no"))
    plain.tell("printf 'net.ipv4.conf.lo.accept_redirects = 1\\n' >/etc/sysctl.d/10-site.conf")
    plain.tell("printf 'net.ipv4.conf.*.send_redirects = 1\\n' >/etc/sysctl.d/90-site.conf")
    plain.applied(deploy)
    plain.tell("/usr/lib/systemd/systemd-sysctl")
    assert running(plain, "net/ipv4/conf/lo/accept_redirects") == {"1"}
    assert running(plain, "net/ipv4/conf/eth0/accept_redirects") == {"0"}
    assert running(plain, "net/ipv4/conf/*/send_redirects") == {"1"}
    run = plain.applied(deploy)
    assert run.changes == 0
    assert {line.partition(",")[0] for step in run.notes for line in (step.note or "").splitlines()} == {
        "/etc/sysctl.d/10-site.conf sets net.ipv4.conf.lo.accept_redirects=1",
        "/etc/sysctl.d/90-site.conf sets net.ipv4.conf.*.send_redirects=1",
    }
    plain.tell("rm /etc/sysctl.d/10-site.conf /etc/sysctl.d/90-site.conf")


def test_what_a_container_can_not_set_is_named_and_nothing_fails(plain: LabHost) -> None:
    run = plain.applied(hardened(Sysctl()))
    assert "kernel.kptr_restrict is 0, should be 1, and can't be set here" in (run.notes[0].note or "")
    assert plain.plan(hardened(Sysctl())).changes == 0
    assert "kernel.kptr_restrict = 1" in plain.tell(f"cat {SYSCTL}")
