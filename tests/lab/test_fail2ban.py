"""fail2ban on a real host: it bans addresses that fail to log in, but no exempt ones; our rules still load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest

from rackwright.lab.hosts import Lab
from rackwright.operations.facts.filters import FILTERS_COMMAND, parse_filters
from rackwright.roles.fail2ban.settings import JAIL, Settings
from rackwright.roles.firewall.settings import Opening
from rackwright.roles.firewall.settings import Settings as Firewall
from rackwright.roles.layout.settings import Settings as Layout
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.sshd import RELOAD
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

_SETTINGS = Settings(maxretry=2)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("fail2ban", "watched", "stranger", "friend") as lab:
        for host in ("stranger", "friend"):
            lab.exec(host, "ssh-keygen -q -t ed25519 -N '' -f /root/unknown")
        # As baseline.sshd sets it: sshd then also logs each key of a person that isn't the right one.
        lab.exec("watched", f"echo 'LogLevel VERBOSE' >/etc/ssh/sshd_config.d/90-verbose.conf{RELOAD}")
        yield lab


def named(lab: Lab, name: str) -> LabHost:
    return LabHost(lab, lab.fleet(), name)


@pytest.fixture
def watched(lab: Lab) -> LabHost:
    return named(lab, "watched")


def watching(host: LabHost, settings: Settings = _SETTINGS) -> Callable[[], None]:
    never = [ip_network(address) for address in (host.fleet.controller, host.fleet.hosts["friend"])]

    def deploy() -> None:
        from rackwright.roles.fail2ban.role import fail2ban

        fail2ban(settings=settings, ssh_port=22, ignoreip=tuple(never))

    return deploy


def walled(host: LabHost) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.roles.firewall.role import confirm_firewall, firewall
        from rackwright.roles.layout.role import layout

        wanted = Firewall(openings=(Opening(port=22, sources=(host.fleet.subnet,), why="ssh"),))
        layout(settings=Layout(fleet="acme", host="watched", serves=False))
        firewall(settings=wanted)
        confirm_firewall(settings=wanted)

    return deploy


def fails_to_log_in(host: LabHost, to: LabHost) -> str:
    """Return what ssh prints for an unknown key."""
    options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=5"
    return host.tell(f"ssh -i /root/unknown {options} ops@{to.address} true 2>&1 || true")


def banned(host: LabHost) -> list[str]:
    return host.tell("fail2ban-client get sshd banip").split()


def test_a_host_without_it_gets_it_watching_and_a_second_run_changes_nothing(watched: LabHost) -> None:
    assert watched.applied(watching(watched)).changes == 3
    wait_until(lambda: watched.holds("fail2ban-client status sshd"))
    assert watched.tell("fail2ban-client get sshd maxretry; systemctl is-enabled fail2ban") == "2\nenabled"
    assert watched.plan(watching(watched)).changes == 0


def test_failed_logins_shut_a_host_out_but_no_exempt_one_and_our_rules_still_load(watched: LabHost) -> None:
    watched.applied(walled(watched))
    stranger, friend = named(watched.lab, "stranger"), named(watched.lab, "friend")
    for host in (stranger, friend):
        for _ in range(2):
            assert "Permission denied" in fails_to_log_in(host, watched)
    wait_until(lambda: banned(watched) == [stranger.address])
    assert "refused" in fails_to_log_in(stranger, watched)
    watched.tell("systemctl reload rackwright-firewall.service")
    assert "refused" in fails_to_log_in(stranger, watched)
    assert "Permission denied" in fails_to_log_in(friend, watched)
    assert parse_filters(watched.tell(FILTERS_COMMAND)).active == ()
    assert watched.plan(walled(watched)).changes == 0


def test_new_settings_act_and_whom_it_shut_out_stays_so(watched: LabHost) -> None:
    before = banned(watched)
    watched.applied(watching(watched, Settings(maxretry=4)))
    wait_until(lambda: watched.holds("fail2ban-client get sshd maxretry | grep -qx 4"))
    wait_until(lambda: banned(watched) == before)
    assert before


def test_a_jail_that_fail2ban_does_not_take_is_not_put_in_place(watched: LabHost) -> None:
    before = watched.tell(f"cat {JAIL}")
    watched.tell("printf '[sshd]\\nbackend = nonsense\\n' > /etc/fail2ban/jail.local")
    assert watched.apply(watching(watched, Settings(maxretry=7))).failed_hosts == ("watched",)
    assert watched.tell(f"cat {JAIL}; ls /etc/fail2ban/jail.d | grep -c new || true") == f"{before}\n0"
    watched.tell("rm /etc/fail2ban/jail.local")


def test_not_managed_nothing_is_touched(watched: LabHost) -> None:
    watched.tell(f"echo '# mine' > {JAIL}")
    assert watched.applied(watching(watched, Settings(manage="no"))).changes == 0
    assert watched.tell(f"cat {JAIL}") == "# mine"
