"""sshd on real hosts: which logins it accepts, which it never locks out, and how old settings are restored."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rackwright.errors import ExitCode
from rackwright.lab.hosts import Lab
from rackwright.operations.facts.sshd import DROP_IN, PENDING, SSHD
from rackwright.roles.sshd.settings import Settings
from rackwright.run import Run
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.operator import operator
from tests.lab.sshd import RELOAD
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

_RESET = f"""systemctl stop {SSHD.timer} 2>/dev/null
rm -rf {DROP_IN} {SSHD.folder} /etc/ssh/sshd_config.d/00-aaa.conf /etc/ssh/sshd_config.d/90-*.conf
if systemctl -q is-active ssh.socket; then systemctl stop ssh.socket ssh.service; fi
{RELOAD}systemctl start ssh.service"""
_KEYS = Settings()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("sshd", "gate1", "locked") as lab:
        yield lab


@pytest.fixture
def locked(lab: Lab) -> Iterator[LabHost]:
    yield LabHost(lab, lab.fleet(), "locked")
    lab.exec("locked", _RESET)


def pending(settings: Settings = _KEYS, seconds: int = 60) -> Callable[[], None]:
    def begin() -> None:
        from rackwright.roles.sshd.role import sshd

        sshd(settings=settings, confirm_seconds=seconds)

    return begin


def confirmed(settings: Settings = _KEYS) -> Callable[[], None]:
    def keep() -> None:
        from rackwright.roles.sshd.role import confirm_sshd

        confirm_sshd(settings=settings)

    return keep


def admits_nobody() -> None:
    """Settings that pass every check but admit no one, as if by our mistake."""
    from rackwright.operations.sshd import INCLUDE, sshd_pending

    sshd_pending(
        name="Admit nobody",
        content=f"{INCLUDE}\nAllowUsers somebody-else\n",
        keywords=("allowusers",),
        acts=False,
        confirm_seconds=3,
    )


def admit_keys_only(host: LabHost, settings: Settings = _KEYS) -> None:
    host.applied(pending(settings))
    host.applied(confirmed(settings))


def gets_in(host: LabHost) -> bool:
    return not host.plan(lambda: None).failed_hosts


def said(run: Run) -> list[str]:
    return [line for step in run.steps for line in step.output]


def effective(host: LabHost, *keywords: str) -> dict[str, str]:
    told = (line.split(" ", 1) for line in host.tell("/usr/sbin/sshd -T").splitlines())
    return {keyword: value for keyword, value in told if keyword in keywords}


def audited(host: LabHost) -> dict[str, list[str]]:
    """Return the algorithms that ssh-audit reports as failures and warnings, by level."""
    program = Path(sys.executable).with_name("ssh-audit")
    done = subprocess.run([program, "-j", "--skip-rate-test", host.address], capture_output=True, text=True)
    report = json.loads(done.stdout)
    found: dict[str, list[str]] = {"fail": [], "warn": []}
    for kind in ("kex", "key", "enc", "mac"):
        for algorithm in report[kind]:
            for level in found:
                found[level] += [algorithm["algorithm"]] if algorithm["notes"].get(level) else []
    return found


def test_keys_alone_get_in_ssh_audit_finds_no_failure_and_a_second_run_changes_nothing(
    locked: LabHost, record_property: Callable[[str, object], None]
) -> None:
    locked.tell(
        "printf 'PasswordAuthentication yes\\nPermitRootLogin yes\\n' > /etc/ssh/sshd_config.d/90-cloud.conf" + RELOAD
    )
    before = audited(locked)
    step = locked.plan(pending()).steps[-1]
    assert "overrides /etc/ssh/sshd_config.d/90-cloud.conf:1 PasswordAuthentication yes" in (step.diff or "")
    admit_keys_only(locked)
    assert effective(locked, "passwordauthentication", "permitrootlogin", "kbdinteractiveauthentication") == {
        "passwordauthentication": "no",
        "permitrootlogin": "no",  # the lab's own file says so, which is stricter than ours
        "kbdinteractiveauthentication": "no",
    }
    after = audited(locked)
    failures = [len(audit["fail"]) for audit in (before, after)]
    record_property("ssh-audit", f"{failures[0]} failures before, {failures[1]} after")
    assert "ecdh-sha2-nistp256" in before["fail"]
    assert after["fail"] == []
    assert set(after["warn"]) <= {"curve25519-sha256", "curve25519-sha256@libssh.org"}
    assert locked.tell("cat /etc/ssh/sshd_config.d/90-cloud.conf").startswith("PasswordAuthentication yes")
    assert locked.apply(pending()).changes == 0
    assert locked.apply(confirmed()).changes == 0
    assert not locked.holds(f"test -e {PENDING} || systemctl -q is-active {SSHD.timer}")


def test_an_open_session_stays_open(locked: LabHost) -> None:
    from rackwright.remote import Remote

    with Remote([locked.target()]) as remote:
        before = remote.connection("locked").run("echo $PPID").stdout
        admit_keys_only(locked)
        assert remote.connection("locked").run("echo $PPID").ok
        assert before
        assert remote.counters["locked"].commands == 2


_MISTAKEN = """
import functools, sys
from rackwright.__main__ import main
import rackwright.deploys.baseline as baseline
from rackwright.roles.sshd import configuration

configuration.ALGORITHMS += (configuration.Directive("AllowUsers", "somebody-else"),)
baseline.sshd = functools.partial(baseline.sshd, confirm_seconds=5)
main()
"""


def test_settings_that_lock_us_out_go_by_themselves_and_apply_says_so(locked: LabHost, tmp_path: Path) -> None:
    admit_keys_only(locked)
    before = locked.tell(f"cat {DROP_IN}; /usr/sbin/sshd -T")
    tool = operator(tmp_path, locked.fleet)
    pins = tool.path.with_suffix(".known_hosts")
    good, key = pins.read_text(), locked.tell("cut -d' ' -f1,2 /etc/ssh/ssh_host_ecdsa_key.pub")
    pins.write_text(
        f"{locked.address} {key}\n{good}".replace(f"{locked.address} ssh-ed25519", "192.0.2.1 ssh-ed25519")
    )
    refused = tool("plan", "--only", "sshd", "--limit", "locked", check=ExitCode.FLEET_INVALID)
    assert "locked: sshd: the pinned host key is of a type that sshd would no longer offer (ecdsa" in refused.err
    pins.write_text(good)
    done = subprocess.run(
        [sys.executable, "-c", _MISTAKEN, *tool.argv("apply", "--yes", "--only", "sshd", "--limit", "locked")[3:]],
        capture_output=True,
        text=True,
        env=tool.environment,
    )
    assert done.returncode == ExitCode.HOSTS_FAILED, done.stdout + done.stderr
    assert "its old packet filter and sshd settings are restored automatically" in done.stdout
    wait_until(lambda: gets_in(locked))
    assert locked.tell(f"cat {DROP_IN}; /usr/sbin/sshd -T") == before
    assert "AllowUsers" not in locked.tell(f"cat {DROP_IN}")


def test_where_the_old_settings_came_back_nothing_is_kept(locked: LabHost) -> None:
    locked.applied(pending(seconds=1))
    wait_until(lambda: not locked.holds(f"test -e {PENDING}"))
    run = locked.apply(confirmed())
    assert said(run) == ["sshd: the new settings are not active; the old ones came back; run: rackwright apply"]
    assert locked.tell(f"cat {DROP_IN}") == f"Include {PENDING}"


def test_a_sshd_that_a_socket_starts_is_changed_and_changed_back(locked: LabHost) -> None:
    locked.tell("systemctl stop ssh.service; systemctl start ssh.socket")
    admit_keys_only(locked)
    assert "hmac-sha1" not in effective(locked, "macs")["macs"]
    locked.applied(admits_nobody)
    assert not gets_in(locked)
    wait_until(lambda: gets_in(locked))
    assert locked.plan(pending()).changes == 0
    assert locked.holds("systemctl is-active ssh.socket")


def test_one_host_key_is_enough(locked: LabHost) -> None:
    away = (
        "rm -rf /root/away; mkdir /root/away; mv /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key* /root/away"
    )
    try:
        locked.tell(f"{away}{RELOAD}")
        admit_keys_only(locked)
        assert "hmac-sha1" not in effective(locked, "macs")["macs"]
    finally:
        locked.tell("mv /root/away/* /etc/ssh")


def test_what_wins_over_ours_is_named_and_left_and_keep_takes_it_over(locked: LabHost) -> None:
    locked.tell(
        "cd /etc/ssh/sshd_config.d; echo 'PasswordAuthentication yes' > 00-aaa.conf; "
        "printf 'Match User backup\\n  PermitRootLogin yes\\n' > 90-match.conf" + RELOAD
    )
    run = locked.applied(pending())
    assert run.notes[0].note == (
        "/etc/ssh/sshd_config.d/00-aaa.conf:1 says PasswordAuthentication yes and is read before rackwright's (no)\n"
        "/etc/ssh/sshd_config.d/90-match.conf:2 says PermitRootLogin yes within `Match User backup`"
    )
    locked.applied(confirmed())
    assert effective(locked, "passwordauthentication") == {"passwordauthentication": "yes"}
    assert locked.plan(pending()).changes == 0
    keep = Settings(existing="keep")
    admit_keys_only(locked, keep)
    assert effective(locked, "passwordauthentication", "x11forwarding") == {
        "passwordauthentication": "yes",
        "x11forwarding": "yes",
    }
    run = locked.plan(pending(keep))
    assert (run.changes, run.notes) == (0, ())


def test_what_others_wrote_and_sshd_has_not_read_yet_is_not_put_to_work(locked: LabHost) -> None:
    locked.tell("echo 'AllowUsers somebody-else' > /etc/ssh/sshd_config.d/90-late.conf")
    run = locked.apply(pending())
    assert said(run)[0] == "sshd: changed since sshd read it: /etc/ssh/sshd_config.d/90-late.conf"
    assert gets_in(locked)


def test_not_managed_nothing_is_touched(locked: LabHost) -> None:
    no = Settings(manage="no")
    assert locked.applied(pending(no)).changes == 0
    assert locked.applied(confirmed(no)).changes == 0
    assert not locked.holds(f"test -e {DROP_IN}")


def test_a_change_that_waits_does_not_act_after_a_reboot(locked: LabHost) -> None:
    before = effective(locked, "ciphers", "macs")
    locked.applied(pending(seconds=600))
    assert effective(locked, "ciphers", "macs") != before
    locked.lab.reboot("locked")
    assert effective(locked, "ciphers", "macs") == before
    assert locked.apply(confirmed()).failed_hosts
    assert gets_in(locked)
