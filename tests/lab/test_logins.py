"""Logins on a real host: no core dumps, strong passwords, blocked modules, and a banner that goes as it came."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from rackwright.roles.core_dumps.settings import Settings as CoreDumps
from rackwright.roles.logins.settings import Settings as Logins
from rackwright.roles.modules.settings import Settings as Modules
from rackwright.roles.sshd.settings import Settings as Sshd
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

_TEXT = "Authorized use only.\nAll activity is logged."


@pytest.fixture(scope="module")
def plain() -> Iterator[LabHost]:
    with fresh_lab("logins", "plain") as lab:
        yield host_of(lab)


def host_of(lab: Lab) -> LabHost:
    return LabHost(lab, lab.fleet(), "plain")


def ssh(host: LabHost, *options: str, command: str, agent: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Log in with OpenSSH's own client, as the lab's ordinary user."""
    target = host.target()
    asked = ("-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={target.known_hosts}")
    called = ["ssh", *asked, "-i", str(target.key), *options, f"{target.user}@{target.address}", command]
    offered = {**os.environ, "SSH_AUTH_SOCK": str(agent or "")}
    return subprocess.run(called, capture_output=True, text=True, check=True, timeout=60, env=offered)


def test_neither_a_user_nor_root_may_dump_core_after_a_new_login(plain: LabHost) -> None:
    def deploy() -> None:
        from rackwright.roles.core_dumps.role import core_dumps

        core_dumps(settings=CoreDumps())

    def limits() -> list[str]:
        return [ssh(plain, command="ulimit -Hc").stdout.strip(), plain.tell("su - -c 'ulimit -Hc'")]

    assert limits() == ["unlimited", "unlimited"]
    plain.applied(deploy)
    assert limits() == ["0", "0"]
    assert plain.plan(deploy).changes == 0


def test_a_blocked_module_is_not_loaded_and_another_is_looked_for(plain: LabHost) -> None:
    def deploy() -> None:
        from rackwright.roles.modules.role import modules

        modules(settings=Modules(block=("usb_storage",), allow=("rds",)))

    plain.applied(deploy)
    for module in ("sctp", "firewire-ohci", "usb-storage"):
        assert "/bin/false" in plain.tell(f"modprobe {module} 2>&1 || true")
    assert "/bin/false" not in plain.tell("modprobe rds 2>&1 || true")
    assert plain.plan(deploy).changes == 0


def test_a_weak_password_is_refused_and_a_login_over_ssh_has_no_timeout(plain: LabHost) -> None:
    def deploy() -> None:
        from rackwright.roles.logins.role import logins

        logins(settings=Logins())

    def changes_to(password: str) -> bool:
        return plain.holds(f"printf 'Old-Pass-77\\n{password}\\n{password}\\n' | su eve -c passwd")

    plain.tell("useradd -m eve && echo eve:Old-Pass-77 | chpasswd")
    assert plain.applied(deploy).notes == ()
    assert not changes_to("aaaabbbb")
    assert changes_to("correct-horse-7")
    assert ssh(plain, "-tt", command="bash -lc 'echo ${TMOUT:-none}'").stdout.split() == ["none"]
    assert plain.plan(deploy).changes == 0
    plain.tell("sed -i /pwquality/d /etc/pam.d/common-password")
    assert "doesn't check new passwords" in (plain.applied(deploy).notes[0].note or "")


def served(settings: Sshd) -> tuple[Callable[[], None], Callable[[], None]]:
    def begin() -> None:
        from rackwright.roles.sshd.role import sshd

        sshd(settings=settings)

    def keep() -> None:
        from rackwright.roles.sshd.role import confirm_sshd

        confirm_sshd(settings=settings)

    return begin, keep


def test_a_banner_is_shown_survives_an_update_and_the_original_returns(plain: LabHost) -> None:
    before = plain.tell("cat /etc/issue /etc/issue.net")
    for step in served(Sshd(banner=_TEXT)):
        plain.applied(step)
    assert _TEXT in ssh(plain, command="true").stderr
    assert plain.tell("cat /etc/issue") == _TEXT
    plain.tell(
        "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --reinstall base-files </dev/null"
    )
    assert plain.tell("cat /etc/issue.net") == _TEXT
    assert plain.plan(served(Sshd(banner=_TEXT))[0]).changes == 0
    for step in served(Sshd()):
        plain.applied(step)
    assert plain.tell("cat /etc/issue /etc/issue.net") == before
    assert ssh(plain, command="true").stderr == ""
    assert not plain.holds("ls /etc/issue*rackwright* || dpkg-divert --list | grep rackwright")


def test_only_if_the_fleet_file_says_so_an_agent_is_forwarded(plain: LabHost, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL)
    try:
        wait_until(agent.exists)
        for wanted in ("no", "yes"):
            for step in served(Sshd(agent_forwarding=wanted)):
                plain.applied(step)
            shown = ssh(plain, "-A", command="echo ${SSH_AUTH_SOCK:-none}", agent=agent).stdout.strip()
            assert (shown != "none") == (wanted == "yes")
    finally:
        running.terminate()
        running.wait()
