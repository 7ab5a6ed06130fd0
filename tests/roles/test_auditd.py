from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from rackwright.operations.facts.audit import Audit, AuditState
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import SystemUnitStates, Unit
from rackwright.roles.auditd.role import auditd
from rackwright.roles.auditd.rules import rules
from rackwright.roles.auditd.settings import RULES, Settings
from tests.fakes import Played, play, systemctl

_RULES = rules(Settings())
_KEY = _RULES[0].rpartition(" ")[2]
_LOADED = Audit(True, True, False, (_KEY,) * len(_RULES))
_LOAD = "augenrules --load >/dev/null"


def facts(audit: Audit, unit: Unit | None = None) -> Mapping[object, object]:
    text = "# Written by rackwright: baseline.auditd of the fleet file.\n" + "".join(f"{rule}\n" for rule in _RULES)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {
        InstalledPackages: frozenset({"auditd"}),
        PathState: Found("regular file", 0o640, "root", "root", digest),
        SystemUnitStates: {"auditd.service": unit or Unit("loaded", "active", "enabled")},
        AuditState: audit,
    }


def audited(audit: Audit, unit: Unit | None = None) -> Played:
    return play(auditd, settings=Settings(), facts=facts(audit, unit))


def test_a_second_run_changes_nothing() -> None:
    played = audited(_LOADED)
    assert (played.commands, played.notes) == ([], {})


@pytest.mark.parametrize("keys", [(), (_KEY,), ("rackwright-0badc0de",) * len(_RULES)])
def test_rules_that_the_kernel_has_not_are_loaded(keys: tuple[str, ...]) -> None:
    assert audited(Audit(True, True, False, keys)).commands == [_LOAD]


def test_a_daemon_that_stands_still_is_started_before_rules_are_loaded() -> None:
    still = Unit("loaded", "inactive", "enabled")
    commands = audited(Audit(True, True, False, ()), still).commands
    assert commands == [systemctl("start", "auditd.service"), _LOAD]


def test_a_bare_host_gets_package_rules_and_daemon() -> None:
    played = play(auditd, settings=Settings(), facts={PathState: None})
    assert "install --no-install-recommends -- auditd" in played.commands[0]
    assert played.commands[-1] == _LOAD
    assert played.notes == {}


def test_locked_rules_are_named_and_wait_for_the_next_boot() -> None:
    played = audited(Audit(True, True, True, ()))
    assert played.commands == []
    assert list(played.notes.values()) == [
        "the kernel's audit rules are locked: new ones take effect after the next boot"
    ]
    assert audited(Audit(True, True, True, _LOADED.keys)).notes == {}


def test_a_kernel_that_audits_nothing_is_named_and_no_unit_touched() -> None:
    played = audited(Audit(True, False, False, ()), Unit("loaded", "inactive", "disabled"))
    assert played.commands == []
    assert list(played.notes.values()) == ["the kernel doesn't audit here (auditctl -s)"]


def test_what_decides_over_the_host_is_watched_and_ones_own_files_too() -> None:
    listed = "\n".join(rules(Settings(watch=("/etc/postgresql",))))
    for path in ("/etc/rackwright", "/var/lib/rackwright", "/etc/sudoers", "/etc/passwd", "/etc/ssh/sshd_config"):
        assert f"-w {path} -p wa " in listed
    assert "-w /etc/postgresql -p wa " in listed
    assert listed.count("init_module,finit_module,delete_module") == 2


def test_other_rules_have_another_key() -> None:
    (key,) = {rule.rpartition(" ")[2] for rule in rules(Settings(watch=("/etc/x",)))}
    assert key != _KEY


def test_auditctl_is_read() -> None:
    told = ["installed", "enabled 1", "failure 1", f"-w /etc/passwd -p wa -k {_KEY}", "-w /etc/x -p wa -k other"]
    told += [f"-a always,exit -F arch=b64 -S init_module -F key={_KEY}"]
    assert AuditState().process(told) == Audit(True, True, False, (_KEY, _KEY))
    assert AuditState().process(["installed", "enabled 2"]) == Audit(True, True, True)
    assert AuditState().process(["installed"]) == Audit(True)


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(auditd, settings=Settings(manage="no"), facts={}).operations == []


def test_the_rules_stand_where_augenrules_looks() -> None:
    played = play(auditd, settings=Settings(), facts={PathState: None})
    assert list(played.uploads) == [f"{RULES}.rackwright-new"]
