from __future__ import annotations

import pytest

from rackwright.operations.facts.apparmor import AppArmor, AppArmorState
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.unit import SystemUnitStates, Unit
from rackwright.roles.apparmor.role import apparmor
from rackwright.roles.apparmor.settings import Settings
from tests.fakes import Played, play, systemctl

_AT_WORK = Unit("loaded", "active", "enabled")


def look(state: AppArmor, unit: Unit = _AT_WORK) -> Played:
    facts = {
        InstalledPackages: frozenset({"apparmor"}),
        SystemUnitStates: {"apparmor.service": unit},
        AppArmorState: state,
    }
    return play(apparmor, settings=Settings(), facts=facts)


def test_where_it_is_at_work_nothing_is_touched() -> None:
    played = look(AppArmor("Y", 12))
    assert (played.commands, played.notes) == ([], {})


def test_profiles_are_loaded_now_and_at_boot() -> None:
    assert look(AppArmor("Y", 0), Unit("loaded", "inactive", "disabled")).commands == [
        "systemctl --quiet enable -- apparmor.service",
        systemctl("start", "apparmor.service"),
    ]


@pytest.mark.parametrize(
    ("state", "note"),
    [
        (AppArmor("N"), "AppArmor is off: boot the kernel without apparmor=0"),
        (AppArmor(""), "this kernel has no AppArmor"),
        (AppArmor("Y", 0), "AppArmor enforces no profile (aa-status)"),
    ],
)
def test_where_it_is_not_at_work_that_is_named(state: AppArmor, note: str) -> None:
    played = look(state)
    assert played.commands == []
    assert [found.startswith(note) for found in played.notes.values()] == [True]


def test_it_is_installed_where_it_is_missing() -> None:
    played = play(apparmor, settings=Settings(), facts={AppArmorState: AppArmor("Y", 3)})
    assert "install --no-install-recommends -- apparmor" in played.commands[0]


def test_the_kernels_words_are_read() -> None:
    assert AppArmorState().process(["Y", "37"]) == AppArmor("Y", 37)
    assert AppArmorState().process(["N", "0"]) == AppArmor("N")
    assert AppArmorState().process([""]) == AppArmor("")


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(apparmor, settings=Settings(manage="no"), facts={}).operations == []
