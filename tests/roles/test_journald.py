from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from rackwright.operations.facts.path_state import Existing, Found, PathState
from rackwright.operations.facts.unit import SystemUnitStates, Unit, WrittenAt
from rackwright.roles.journald.role import configuration, journald, limits
from rackwright.roles.journald.settings import DROP_IN, RSYSLOG, Settings
from tests.fakes import commands, play, systemctl

_SETTINGS = Settings(system_max_use="500M", max_retention="30d")
_TEXT = configuration(limits(_SETTINGS))


def test_a_syslog_server_gets_every_line_once_its_file_is_checked() -> None:
    settings = Settings(forward_to="[fd00::9]:514")
    played = play(journald, settings=settings, facts=facts(None))
    sent = played.uploads[f"{RSYSLOG}.rackwright-new"]
    assert 'target="fd00::9" port="514" protocol="tcp"' in sent
    assert "rsyslogd -N1 -f" in " ".join(played.commands)
    assert "install --no-install-recommends -- rsyslog logrotate" in " ".join(played.commands)
    assert "ForwardToSyslog=yes" in configuration(limits(settings))


def test_a_server_that_is_no_longer_named_gets_no_more() -> None:
    state = {**facts(_TEXT), Existing: (RSYSLOG,)}
    assert commands(journald, settings=_SETTINGS, facts=state) == [
        f"rm -rf --one-file-system -- {RSYSLOG}",
        "systemctl try-restart -- rsyslog.service",
    ]


@pytest.mark.parametrize(
    "server", ["logs", "logs:", "logs:0", "logs:70000", "fd00::9:514", "@local:5", "a b:5", 'a":5']
)
def test_a_server_is_a_host_and_a_port(server: str) -> None:
    with pytest.raises(ValidationError):
        Settings(forward_to=server)


def facts(text: str | None, *, written: float = 1.0) -> Mapping[object, object]:
    found = text and Found("regular file", 0o644, "root", "root", hashlib.sha256(text.encode()).hexdigest())
    return {
        PathState: found or None,
        SystemUnitStates: {"systemd-journald.service": Unit("loaded", "active", "static", started=2.0)},
        WrittenAt: {DROP_IN: written} if text else {},
    }


def test_the_journal_is_kept_on_disk_within_its_limits() -> None:
    assert _TEXT.splitlines()[1:] == [
        "[Journal]",
        "Storage=persistent",
        "SystemMaxUse=500000000",
        "MaxRetentionSec=2592000s",
    ]


def test_new_limits_are_written_and_then_read() -> None:
    played = play(journald, settings=_SETTINGS, facts=facts(None, written=3.0) | {WrittenAt: {DROP_IN: 3.0}})
    assert played.uploads == {f"{DROP_IN}.rackwright-new": _TEXT}
    assert played.commands[-1] == systemctl("restart", "systemd-journald.service")


def test_a_second_run_changes_nothing() -> None:
    assert commands(journald, settings=_SETTINGS, facts=facts(_TEXT)) == []


def test_an_earlier_run_that_was_cut_off_before_the_restart_is_finished() -> None:
    late = facts(_TEXT, written=3.0)
    assert commands(journald, settings=_SETTINGS, facts=late) == [systemctl("restart", "systemd-journald.service")]


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(journald, settings=Settings(manage="no"), facts=facts(None)).operations == []
