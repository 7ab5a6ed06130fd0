from __future__ import annotations

from hashlib import sha256

from rackwright.operations.facts.account import GroupExists
from rackwright.operations.facts.ours import OurUnits, OurUsers
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import Unit, UnitState
from rackwright.roles.layout.role import layout, retire
from rackwright.roles.layout.settings import SOCKETS, SOCKETS_UNIT, Settings
from rackwright.roles.layout.sockets import UNIT_TEXT
from tests.fakes import commands

_FOLDER = Found("directory", 0o755, "root", "root")
_MOUNT = f"/etc/systemd/system/{SOCKETS_UNIT}"
_LOG = Found("regular file", 0o640, "root", "adm", "0" * 64)


def settings(*, serves: bool = True) -> Settings:
    return Settings(
        fleet="acme", host="gpu1", serves=serves, keep_units=("rackwright-kept.service",), keep_users=("rw-kept",)
    )


def test_a_bare_host_gets_folders_log_and_group() -> None:
    made = commands(layout, settings=settings())
    (mount,) = (number for number, command in enumerate(made) if command == f"upload {_MOUNT}.rackwright-new")
    assert made[-1] == "systemctl daemon-reload"
    assert [command.split()[-1] for command in made[:mount]] == [
        "/etc/rackwright",
        "/etc/rackwright/certificates",
        "/var/lib/rackwright",
        "/opt/rackwright",
        "/opt/rackwright/runtimes",
        "/var/lib/rackwright/audit.log",
        "rackwright",
    ]


def test_a_host_that_serves_nothing_needs_no_runtimes_no_group_and_no_mount() -> None:
    made = " ".join(commands(layout, settings=settings(serves=False)))
    assert "/opt/rackwright" not in made
    assert "groupadd" not in made
    assert _MOUNT not in made


def test_in_the_folder_of_sockets_no_link_is_followed() -> None:
    lines = UNIT_TEXT.splitlines()
    assert f"Where={SOCKETS}" in lines
    assert f"{SOCKETS[1:].replace('/', '-')}.mount" == SOCKETS_UNIT
    (options,) = (line.removeprefix("Options=").split(",") for line in lines if line.startswith("Options="))
    assert {"nosymfollow", "nosuid", "nodev", "noexec", "mode=0755", "size=64M"} == {*options}


def test_a_second_run_changes_nothing() -> None:
    facts = {PathState: _FOLDER, (PathState, "/var/lib/rackwright/audit.log"): _LOG, GroupExists: True}
    facts[PathState, _MOUNT] = Found("regular file", 0o644, "root", "root", sha256(UNIT_TEXT.encode()).hexdigest())
    facts[UnitState] = Unit("loaded", "active", "static")
    assert commands(layout, settings=settings(), facts=facts) == []
    facts = {OurUnits: ("rackwright-kept.service",), OurUsers: ("rw-kept",)}
    assert commands(retire, settings=settings(), facts=facts) == []


def test_what_the_fleet_no_longer_names_is_removed() -> None:
    facts = {OurUnits: ("rackwright-kept.service", "rackwright-old.timer"), OurUsers: ("rw-kept", "rw-old")}
    removed = commands(retire, settings=settings(), facts=facts)
    assert removed[0] == "systemctl --quiet disable --now -- rackwright-old.timer"
    assert removed[-1] == "userdel -- rw-old"
    assert "kept" not in " ".join(removed)
