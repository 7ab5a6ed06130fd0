"""A bare machine, an apply with the whole baseline, and a reboot: what then holds on the machine's own kernel."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rackwright.lab.vm import Vm
from rackwright.roles.auditd.rules import rules as audit_rules
from rackwright.roles.auditd.settings import Settings as Auditd
from rackwright.roles.sysctl.hardening import wanted as kernel_settings
from rackwright.roles.sysctl.settings import Settings as Sysctl
from tests.lab.alone import alone
from tests.lab.operator import Operator

pytestmark = [pytest.mark.heavy, pytest.mark.machine]
COVERS = (
    "deploys/baseline.py",
    "deploys/confirm.py",
    "roles/apparmor",
    "roles/auditd",
    "roles/fail2ban",
    "roles/firewall",
    "roles/journald",
    "roles/sshd",
    "roles/sysctl",
    "roles/time_sync",
    "roles/updates",
)
_QEMU = "10.0.2.0/24"
"""QEMU's own network: the machine sees our connections come from there."""


@dataclass(frozen=True)
class Hardened:
    vm: Vm
    operator: Operator

    def tell(self, command: str) -> str:
        """Return what the command prints, run as root."""
        return self.vm.exec(command).out.strip()

    def holds(self, command: str) -> bool:
        return self.vm.exec(command, check=False).code == 0


@pytest.fixture(scope="module")
def hardened(vm: Vm, tmp_path_factory: pytest.TempPathFactory) -> Hardened:
    """A machine after an apply and a reboot."""
    operator = alone(tmp_path_factory.mktemp("site"), vm.target(), admins=_QEMU)
    operator("apply", "--yes", timeout=1800)
    vm.reboot()
    return Hardened(vm, operator)


def test_everything_has_started_at_boot(hardened: Hardened) -> None:
    assert hardened.tell("systemctl list-units --failed --plain --no-legend") == ""


def test_the_kernel_has_the_settings_at_boot(hardened: Hardened) -> None:
    wanted = {key: value for key, value in kernel_settings(Sysctl()).items() if "*" not in key}
    assert len(wanted) > 10
    found = hardened.tell(f"sysctl {' '.join(wanted)}").splitlines()
    assert dict(line.split(" = ") for line in found) == wanted
    of_interfaces = "sysctl -n $(sysctl -aN | grep -E '^net.ipv4.conf.[^.]+.accept_redirects$')"
    assert set(hardened.tell(of_interfaces).split()) == {"0"}


def test_the_packet_filter_acts_at_boot_before_there_is_a_network(hardened: Hardened) -> None:
    assert '"ssh from admins"' in hardened.tell("nft list table inet rackwright")
    filtered, connected = (
        int(hardened.tell(f"systemctl show -P ActiveEnterTimestampMonotonic {unit}"))
        for unit in ("rackwright-firewall.service", "systemd-networkd.service")
    )
    assert 0 < filtered < connected


def test_apparmor_is_enforced(hardened: Hardened) -> None:
    assert hardened.tell("cat /sys/module/apparmor/parameters/enabled") == "Y"
    assert "(enforce)" in hardened.tell("cat /sys/kernel/security/apparmor/profiles")


def test_what_decides_over_the_host_is_audited_since_boot(hardened: Hardened) -> None:
    wanted = audit_rules(Auditd())
    key = wanted[0].rpartition(" ")[2]
    assert hardened.tell(f"auditctl -l | grep -c {key}") == str(len(wanted))
    hardened.tell("touch /etc/sudoers.d/noticed && rm /etc/sudoers.d/noticed")
    assert hardened.holds(f"ausearch --input-logs -k {key} | grep -F /etc/sudoers.d/noticed")
    assert not hardened.holds(f"ausearch --input-logs -k {key} | grep -F /etc/sudoers.d/unnoticed")


def test_one_daemon_keeps_the_clock(hardened: Hardened) -> None:
    states = hardened.tell("systemctl is-active chrony.service systemd-timesyncd.service || true").split()
    assert sorted(states) == ["active", "inactive"]


def test_keys_alone_get_in_and_who_fails_is_shut_out(hardened: Hardened) -> None:
    assert "passwordauthentication no" in hardened.tell("/usr/sbin/sshd -T").splitlines()
    hardened.tell("fail2ban-client set sshd banip 192.0.2.99")
    assert "192.0.2.99" in hardened.tell("nft list table inet f2b-table")
    hardened.tell("fail2ban-client set sshd unbanip 192.0.2.99")


def test_the_journal_reaches_back_over_the_reboot(hardened: Hardened) -> None:
    assert len(hardened.tell("journalctl --list-boots --no-pager -q").splitlines()) == 2


def test_a_second_apply_changes_nothing(hardened: Hardened) -> None:
    assert hardened.operator("apply", "--yes", "--json").json["changed"] == 0
