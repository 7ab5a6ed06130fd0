from __future__ import annotations

import pytest

from rackwright.operations.facts.clock import keepers
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Existing, PathState
from rackwright.operations.facts.unit import SystemUnitStates, Unit
from rackwright.roles.time_sync.role import time_sync
from rackwright.roles.time_sync.settings import CHRONY, TIMESYNCD, Settings
from tests.fakes import Played, play, systemctl

RUNS, OFF = Unit("loaded", "active", "enabled"), Unit("loaded", "inactive", "disabled")
ENABLED, MASKED, ABSENT = Unit("loaded", "inactive", "enabled"), Unit("masked", "inactive", "masked"), Unit()


def sync(units: dict[str, Unit], *servers: str, there: tuple[str, ...] = ()) -> Played:
    named = {f"{name}.service": unit for name, unit in units.items()}
    facts = {
        SystemUnitStates: named,
        InstalledPackages: frozenset({"chrony"} if "chrony" in units else ()),
        Existing: there,
        PathState: None,
    }
    return play(time_sync, settings=Settings(servers=servers), facts=facts)


@pytest.mark.parametrize(
    ("units", "kept"),
    [
        ({"chrony": RUNS, "systemd-timesyncd": ENABLED}, ("chrony",)),
        ({"chrony": OFF, "systemd-timesyncd": RUNS}, ("systemd-timesyncd",)),
        ({"chrony": RUNS, "ntpsec": RUNS}, ("chrony", "ntpsec")),
        ({"chrony": OFF, "ntpsec": ENABLED}, ("ntpsec",)),
        ({"systemd-timesyncd": OFF}, ("systemd-timesyncd",)),
        ({"systemd-timesyncd": MASKED, "chrony": ABSENT}, ()),
    ],
)
def test_a_running_daemon_is_kept_before_an_enabled_one_and_that_before_an_installed_one(
    units: dict[str, Unit], kept: tuple[str, ...]
) -> None:
    named = {f"{name}.service": unit for name, unit in units.items()}
    assert keepers(named) == tuple(f"{name}.service" for name in kept)


@pytest.mark.parametrize("name", ["chrony", "ntpsec", "openntpd", "systemd-timesyncd"])
def test_a_daemon_that_sets_the_clock_already_is_adopted_and_nothing_changes(name: str) -> None:
    played = sync({name: RUNS})
    assert (played.commands, played.notes) == ([], {})


def test_chrony_is_installed_only_where_there_is_no_time_daemon_to_start() -> None:
    assert "install --no-install-recommends -- chrony" in sync({}).commands[0]
    assert "install" not in " ".join(sync({"systemd-timesyncd": OFF}).commands)
    assert sync({"systemd-timesyncd": OFF}).commands == [
        "systemctl --quiet enable -- systemd-timesyncd.service",
        systemctl("start", "systemd-timesyncd.service"),
    ]


def test_two_at_once_are_named_and_left() -> None:
    played = sync({"chrony": RUNS, "systemd-timesyncd": RUNS})
    assert played.commands == []
    assert list(played.notes.values()) == [
        "both systemd-timesyncd.service and chrony.service set the clock: stop one of them"
    ]


def test_servers_are_written_for_the_daemon_that_is_there_and_told() -> None:
    played = sync({"chrony": RUNS}, "10.0.0.1", "ntp.acme.internal")
    (text,) = played.uploads.values()
    assert text.splitlines()[1:] == ["server 10.0.0.1 iburst prefer", "server ntp.acme.internal iburst prefer"]
    assert "chronyc reload sources" in played.commands[-1]
    played = sync({"systemd-timesyncd": RUNS}, "10.0.0.1", "10.0.0.2")
    (text,) = played.uploads.values()
    assert text.splitlines()[1:] == ["[Time]", "NTP=", "NTP=10.0.0.1 10.0.0.2"]
    assert played.commands[-1] == "systemctl try-restart -- systemd-timesyncd.service"


def test_a_daemon_that_reads_no_file_of_ours_is_named() -> None:
    played = sync({"ntpsec": RUNS}, "10.0.0.1")
    assert played.commands == []
    assert "ntpsec.service sets the clock, and rackwright can't configure its servers" in next(
        iter(played.notes.values())
    )


def test_servers_that_are_no_longer_named_are_taken_away() -> None:
    assert sync({"chrony": RUNS}, there=(CHRONY,)).commands[0] == f"rm -f -- {CHRONY}"
    assert sync({"chrony": RUNS}, "10.0.0.1", there=(TIMESYNCD,)).commands[0] == f"rm -f -- {TIMESYNCD}"


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(time_sync, settings=Settings(manage="no"), facts={}).operations == []
