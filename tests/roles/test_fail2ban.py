from __future__ import annotations

import configparser
import hashlib
from collections.abc import Mapping
from ipaddress import ip_network

from rackwright.operations.facts.filters import parse_filters
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import SystemUnitStates, Unit, WrittenAt
from rackwright.roles.fail2ban.bans import bans_us
from rackwright.roles.fail2ban.role import UNIT, configuration, fail2ban
from rackwright.roles.fail2ban.settings import JAIL, Settings
from tests.fakes import play, systemctl

_SETTINGS = Settings(maxretry=3, findtime="5m", bantime="2h")
_NEVER = (ip_network("10.20.0.0/24"), ip_network("10.20.0.11/32"), ip_network("10.20.0.0/24"))
_GIVEN = {"settings": _SETTINGS, "ssh_port": 2222, "ignoreip": _NEVER}
_RUNS = Unit("loaded", "active", "enabled", started=2.0)
_TEXT = configuration(_SETTINGS, 2222, _NEVER)


def facts(text: str | None, unit: Unit = _RUNS) -> Mapping[object, object]:
    found = text and Found("regular file", 0o644, "root", "root", hashlib.sha256(text.encode()).hexdigest())
    return {
        InstalledPackages: frozenset({"fail2ban", "python3-systemd"}),
        PathState: found or None,
        SystemUnitStates: {UNIT: unit},
        WrittenAt: {JAIL: 1.0},
    }


def test_the_jail_says_who_is_shut_out_and_who_never_is() -> None:
    jail = configparser.ConfigParser()
    jail.read_string(_TEXT)
    assert {key: jail["sshd"][key] for key in ("port", "maxretry", "findtime", "bantime", "ignoreip")} == {
        "port": "2222",
        "maxretry": "3",
        "findtime": "300",
        "bantime": "7200",
        "ignoreip": "127.0.0.0/8 ::1 10.20.0.0/24 10.20.0.11/32",
    }
    assert jail["sshd"]["banaction"] == "nftables"
    assert "_SYSTEMD_UNIT" not in jail["sshd"]["journalmatch"]


def test_the_jail_is_tried_within_the_whole_folder_before_it_takes_its_place() -> None:
    played = play(fail2ban, facts=facts("old\n"), **_GIVEN)
    assert played.uploads == {f"{JAIL}.rackwright-new": _TEXT}
    script = played.commands[1]
    assert script.index('fail2ban-client -c "$d" -t') < script.index("mv -fT")
    assert played.commands[-1] == systemctl("restart", UNIT)


def test_a_second_run_changes_nothing() -> None:
    assert play(fail2ban, facts=facts(_TEXT), **_GIVEN).commands == []


def test_it_is_installed_without_starting_on_somebody_elses_settings() -> None:
    fresh = {**facts(None, Unit()), InstalledPackages: frozenset[str](), WrittenAt: {}}
    commands = play(fail2ban, facts=fresh, **_GIVEN).commands
    assert f"mask --runtime -- {UNIT}" in commands[0]
    assert "fail2ban python3-systemd" in commands[0]
    assert commands[-1] == systemctl("start", UNIT)


def test_one_that_somebody_masked_is_left_and_named() -> None:
    played = play(fail2ban, facts=facts(_TEXT, Unit("masked", "inactive", "masked")), **_GIVEN)
    assert (played.commands, list(played.notes.values())) == ([], [f"{UNIT} is masked"])


def test_not_managed_nothing_is_asked_or_done() -> None:
    assert play(fail2ban, settings=Settings(manage="no"), ssh_port=22, ignoreip=()).operations == []


def test_its_table_is_no_packet_filter_that_fights_with_ours() -> None:
    listed = "table inet f2b-table {\n\tchain f2b-chain {\n\t\ttype filter hook input priority filter - 1\n"
    chains = "\n".join(f"chain {line.split()[1]}" for line in listed.splitlines() if line.split()[0] == "chain")
    assert parse_filters(chains).active == ()


def test_who_runs_this_command_must_be_among_those_that_are_never_shut_out() -> None:
    assert bans_us(_SETTINGS, _NEVER, "10.20.0.7") is None
    assert bans_us(_SETTINGS, _NEVER, "::ffff:10.20.0.7") is None
    assert bans_us(_SETTINGS, _NEVER, "127.0.0.1") is None
    assert bans_us(Settings(manage="no"), _NEVER, "10.21.0.7") is None
    assert bans_us(_SETTINGS, _NEVER, "fd00::7") is not None
    problem = bans_us(_SETTINGS, _NEVER, "10.21.0.7")
    assert problem is not None
    assert str(problem) == (
        "baseline.fail2ban.ignoreip: 10.21.0.7, where this command runs, could be banned; "
        "add 10.21.0.7 or its network to ignoreip"
    )
