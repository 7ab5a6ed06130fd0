"""Updates, clock, audit and AppArmor on a real host, as far as a container allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rackwright.lab.hosts import Lab
from rackwright.roles.auditd.settings import RULES
from rackwright.roles.auditd.settings import Settings as Auditd
from rackwright.roles.time_sync.settings import CHRONY
from rackwright.roles.time_sync.settings import Settings as TimeSync
from rackwright.roles.updates.settings import APT, NEEDRESTART
from rackwright.roles.updates.settings import Settings as Updates
from rackwright.run import Run
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

_PACKAGE = """set -e; d=$(mktemp -d); mkdir $d/DEBIAN
printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: a\\nDescription: x\\n' "$1" "$2" \\
  >$d/DEBIAN/control
dpkg-deb -b $d "$3/$1_$2.deb" >/dev/null"""
_REPOSITORY = """set -e; cd "$1"; apt-ftparchive packages . >Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=Debian -o APT::FTPArchive::Release::Label="$2" \\
  -o APT::FTPArchive::Release::Codename="$3" release . >/tmp/release; mv /tmp/release Release
echo "deb [trusted=yes] file:$1 ./" >>/etc/apt/sources.list.d/test.list"""
_OTHER_SETTINGS = """cat >$1 <<'END'
APT::Periodic::Unattended-Upgrade "0";
Unattended-Upgrade::Origins-Pattern:: "site=acme";
END"""
_OLD_PROGRAM = """cp /bin/sleep /opt/$1; systemd-run --quiet -p Type=exec --unit=$2 /opt/$1 infinity
cp /bin/sleep /opt/new; mv /opt/new /opt/$1"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("updates", "kept") as lab:
        yield lab


@pytest.fixture
def kept(lab: Lab) -> LabHost:
    return LabHost(lab, lab.fleet(), "kept")


def script(host: LabHost, text: str, *words: str) -> str:
    quoted = " ".join(words)
    return host.tell(f"cat >/tmp/script <<'EOF'\n{text}\nEOF\nsh /tmp/script {quoted}")


def notes(run: Run) -> list[str]:
    return [line for step in run.notes for line in (step.note or "").splitlines()]


def clock(settings: TimeSync) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.roles.time_sync.role import time_sync

        time_sync(settings=settings)

    return deploy


def audit(settings: Auditd) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.roles.auditd.role import auditd

        auditd(settings=settings)

    return deploy


def armour() -> None:
    from rackwright.roles.apparmor.role import apparmor
    from rackwright.roles.apparmor.settings import Settings

    apparmor(settings=Settings())


def update(settings: Updates) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.roles.updates.role import updates

        updates(settings=settings)

    return deploy


def test_a_daemon_that_sets_the_clock_already_is_adopted_and_no_other_is_installed(kept: LabHost) -> None:
    unit = "/etc/systemd/system/openntpd.service"
    kept.tell(f"printf '[Service]\\nExecStart=sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >{unit}")
    kept.tell("systemctl daemon-reload; systemctl start openntpd")
    run = kept.applied(clock(TimeSync(servers=("10.0.0.1",))))
    assert kept.tell("systemctl is-enabled openntpd") == "enabled"
    assert not kept.holds("test -e /usr/sbin/chronyd")
    assert notes(run) == [
        "openntpd.service sets the clock, and rackwright can't configure its servers: write them to its own files"
    ]
    assert kept.plan(clock(TimeSync(servers=("10.0.0.1",)))).changes == 0
    kept.tell(f"systemctl disable --now openntpd; rm {unit}; systemctl daemon-reload")


def test_where_nothing_keeps_the_clock_chrony_does_and_asks_the_servers_that_are_named(kept: LabHost) -> None:
    run = kept.applied(clock(TimeSync()))
    held = "chrony.service can't run here: its own conditions aren't met (systemctl status chrony.service)"
    assert notes(run) == [held]
    assert kept.plan(clock(TimeSync())).changes == 0
    # A container can't set the clock: let chrony run here without setting it.
    kept.tell(
        "sed -i 's/^DAEMON_OPTS=.*/DAEMON_OPTS=-x/' /etc/default/chrony; mkdir /etc/systemd/system/chrony.service.d"
    )
    unconditional = "/etc/systemd/system/chrony.service.d/lab.conf"
    kept.tell(f"printf '[Unit]\\nConditionCapability=\\n' >{unconditional}; systemctl daemon-reload")
    kept.tell("systemctl start chrony")
    named = clock(TimeSync(servers=("10.0.0.1", "10.0.0.2")))
    assert notes(kept.applied(named)) == []
    assert {"10.0.0.1", "10.0.0.2"} <= set(kept.tell("chronyc -N -c sources | cut -d, -f3").split())
    assert kept.plan(named).changes == 0
    kept.applied(clock(TimeSync()))
    assert not kept.holds(f"test -e {CHRONY}")
    assert "10.0.0.1" not in kept.tell("chronyc -N -c sources | cut -d, -f3").split()
    assert kept.plan(clock(TimeSync())).changes == 0


def test_a_container_gets_the_rules_and_is_told_that_its_kernel_audits_nothing(kept: LabHost) -> None:
    deploy = audit(Auditd(watch=("/etc/postgresql",)))
    run = kept.applied(deploy)
    assert notes(run) == ["the kernel doesn't audit here (auditctl -s)"]
    assert "-w /etc/postgresql -p wa -k rackwright-" in kept.tell(f"cat {RULES}")
    assert kept.plan(deploy).changes == 0
    # auditctl reads every line before it asks the kernel.
    refused = kept.lab.exec("kept", f"auditctl -R {RULES}", check=False)
    assert "unknown" not in refused.err.lower()


def test_a_kernel_without_apparmor_is_named(kept: LabHost) -> None:
    run = kept.applied(armour)
    assert notes(run) == ["this kernel has no AppArmor"]
    assert kept.plan(armour).changes == 0


def test_masked_timers_are_named_and_then_updates_are_on(kept: LabHost) -> None:
    run = kept.applied(update(Updates(exclude=("kept-back", "kept-too*"))))
    assert notes(run) == ["apt-daily.timer is masked", "apt-daily-upgrade.timer is masked"]
    kept.tell("systemctl unmask apt-daily.timer apt-daily-upgrade.timer")
    deploy = update(Updates(exclude=("kept-back", "kept-too*")))
    assert notes(kept.applied(deploy)) == []
    assert kept.tell("systemctl is-active apt-daily.timer apt-daily-upgrade.timer") == "active\nactive"
    assert kept.plan(deploy).changes == 0


def test_security_updates_install_themselves_and_nothing_else_does(kept: LabHost) -> None:
    packages = ("library", "haproxy", "linux-image-x", "nvidia-driver-x", "kept-back", "kept-too-x")
    kept.tell("mkdir -p /srv/old /srv/security /srv/other; mv /etc/apt/sources.list.d/* /srv/old")
    for package in (*packages, "feature"):
        script(kept, _PACKAGE, package, "1", "/srv/old")
        script(kept, _PACKAGE, package, "2", "/srv/other" if package == "feature" else "/srv/security")
    kept.tell("dpkg -i /srv/old/*.deb")
    script(kept, _REPOSITORY, "/srv/security", "Debian-Security", "trixie-security")
    script(kept, _REPOSITORY, "/srv/other", "Debian", "trixie")
    kept.tell("apt-get -q update && unattended-upgrade -v")
    versions = kept.tell(f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {' '.join(packages)} feature")
    assert {line for line in versions.splitlines() if line.endswith(" 2")} == {"library 2"}
    kept.tell("rm /etc/apt/sources.list.d/test.list; mv /srv/old/*.sources /etc/apt/sources.list.d")


def test_engines_and_proxies_are_never_restarted_for_an_update(kept: LabHost) -> None:
    script(kept, _OLD_PROGRAM, "engine", "rackwright-assistant@1")
    script(kept, _OLD_PROGRAM, "other", "other")
    before = {unit: kept.tell(f"systemctl show -P MainPID {unit}") for unit in ("rackwright-assistant@1", "other")}
    kept.tell("needrestart -q </dev/null")
    wait_until(lambda: kept.tell("systemctl show -P MainPID other") != before["other"])
    assert kept.tell("systemctl show -P MainPID rackwright-assistant@1") == before["rackwright-assistant@1"]
    assert "rackwright-assistant@1" in kept.tell("needrestart -b -r l")
    kept.tell("systemctl stop rackwright-assistant@1 other")


def test_another_file_of_apts_that_says_otherwise_is_named_and_left(kept: LabHost) -> None:
    other = "/etc/apt/apt.conf.d/90site"
    script(kept, _OTHER_SETTINGS, other)
    run = kept.applied(update(Updates(exclude=("kept-back", "kept-too*"))))
    assert run.changes == 0
    assert notes(run) == [
        'another file in /etc/apt/apt.conf.d sets APT::Periodic::Unattended-Upgrade to "0"',
        'another file in /etc/apt/apt.conf.d adds "site=acme" to Unattended-Upgrade::Origins-Pattern',
    ]
    assert "acme" in kept.tell(f"cat {other}; rm {other}")


def test_updates_that_are_not_managed_are_left_as_they_are(kept: LabHost) -> None:
    kept.tell(f"echo '// mine' >{APT}; echo '# mine' >{NEEDRESTART}")
    assert kept.applied(update(Updates(manage="no"))).steps == ()
    assert kept.tell(f"cat {APT} {NEEDRESTART}") == "// mine\n# mine"
