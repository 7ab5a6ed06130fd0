"""Root writes, locks and changes owners only in its own folders: a check of all rendered scripts and units."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from itertools import chain

import pytest

import rackwright
from rackwright.deploys.site import site
from rackwright.fleet.hosts.compose import host_specs
from rackwright.gateway.scripts import helpers
from rackwright.lifecycle.p2p import unit as p2p
from rackwright.operations.facts.interface import InterfaceOf
from rackwright.operations.filesystem.file import SUFFIX
from rackwright.operations.haproxy.paths import DRAINS
from rackwright.roles.backup.role import backup
from rackwright.roles.cloud.role import cloud
from rackwright.roles.gateway.configuration import PATHS
from rackwright.roles.host_proxy.now import works_command
from rackwright.roles.tool.role import tool
from rackwright.values.secrets import Secret
from tests.fakes import Played, play
from tests.fleet import test_members as members
from tests.roles.rootwork import roots_lines, trespasses, users_folders
from tests.roles.test_backup import ACCESS
from tests.roles.test_backup import SETTINGS as BACKUP
from tests.roles.test_cloud import SETTINGS as CLOUDS
from tests.roles.test_cloud import access as access_to_clouds
from tests.roles.test_host_proxy import settings as host_proxy
from tests.roles.test_tool import GIVEN as TOOL
from tests.roles.test_tool_units import SETTINGS as SCHEDULED

PLACED = members.PLACED.replace("gateway: {on: [gate1],", "p2p: {}\ngateway: {on: [gate1, gate2], vip: 10.0.0.9,")
PLACED = PLACED.replace("hosts:\n", "hosts:\n  gate2: {address: 10.0.0.14}\n")
SECRETS = dict.fromkeys(SCHEDULED.secrets, Secret("x"))
EXCUSED = {
    ("/etc/rackwright/vip/check", "timeout 1 socat "): "keepalived runs it as haproxy (script_user)",
    ("/etc/rackwright/tool/rackwright", "exec systemd-run "): "systemd changes to that folder as its user",
    ("commands of roles", "install -d -m 0700 -o rw_tool "): "the folder above it is root's",
    ("commands of roles", "useradd "): "it makes no home",
    ("rackwright.lifecycle.p2p.scripts.START", ""): "the unit has ended, and what leads elsewhere has been removed",
}
"""Script and beginning of a command → why it may be there. The test fails if one is no longer needed."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[Played]:
    """What all roles do that have a user, or scripts of root, host by host."""
    of = members.fleet(tmp_path_factory.mktemp("fleet"), PLACED)
    specs = host_specs(of, members.lock(of))
    return [
        play(backup, settings=BACKUP, access=ACCESS),
        play(
            tool, **{**TOOL, "settings": SCHEDULED, "secrets": lambda: dict.fromkeys(SCHEDULED.secrets, Secret("x"))}
        ),
        play(cloud, settings=CLOUDS, access=access_to_clouds),
        *(play(site, model=spec, facts={InterfaceOf: "eth0"}) for spec in specs.values()),
    ]


@pytest.fixture(scope="module")
def texts(played: list[Played]) -> dict[str, str]:
    """Every file that is written to a host."""
    return {path.removesuffix(SUFFIX): text for one in played for path, text in one.uploads.items()}


@pytest.fixture(scope="module")
def folders(texts: dict[str, str]) -> set[str]:
    """Every folder that systemd gives to a user of ours."""
    units = [text for path, text in texts.items() if path.endswith(".service")]
    return set().union(*map(users_folders, [*units, "\n".join(p2p.PROPERTIES)]))


def constants() -> Iterator[tuple[str, str]]:
    """Yield all texts that modules keep, which are the scripts that no role writes to a host, by name."""
    for info in pkgutil.walk_packages(rackwright.__path__, "rackwright."):
        if ".lab" not in info.name and not info.name.endswith("__main__"):
            for name, value in vars(importlib.import_module(info.name)).items():
                if isinstance(value, str) and "\n" in value and not name.startswith("__"):
                    yield f"{info.name}.{name}", value


@pytest.fixture(scope="module")
def scripts(played: list[Played], texts: dict[str, str]) -> dict[str, str]:
    """Everything that root runs, by name."""
    found = {path: roots_lines(text) for path, text in texts.items() if path.endswith(".service")}
    found |= {path: text for path, text in texts.items() if text.startswith("#!") or path.endswith(".sh")}
    found["commands of roles"] = "\n".join(chain.from_iterable(one.commands for one in played))
    gateway = helpers(PATHS, DRAINS)
    for name, value in constants():
        found[name] = gateway + value if name.startswith("rackwright.gateway.") else value
    found["works_command"] = works_command(host_proxy().replicas[0])
    return found


def test_root_only_reads_in_folders_of_other_users(scripts: dict[str, str], folders: set[str]) -> None:
    found = [(name, command) for name, text in scripts.items() for command in trespasses(text, folders)]
    needed = {
        one: excuse for one in found for excuse in EXCUSED if one[0] == excuse[0] and one[1].startswith(excuse[1])
    }
    assert [one for one in found if one not in needed] == []
    assert EXCUSED.keys() - needed.values() == set()


def test_every_user_of_a_unit_has_folders_that_are_watched(folders: set[str]) -> None:
    assert folders == {
        "/run/rackwright-gateway/sockets",
        "/run/rackwright-host-proxy/sockets",
        "/run/rackwright-p2p",
        "/run/rackwright-reader/sockets",
        "/var/lib/rackwright-tool",
        *(f"/{parent}/rackwright/assistant@{number}" for parent in ("run", "var/cache") for number in (1, 2)),
    }


@pytest.mark.parametrize(
    "script",
    [
        "echo x >/run/ours/file",
        "cat 2>>/run/ours/file",
        """run=/run/ours folder="$run/below"; install -m 0600 /dev/stdin "$folder/x.new\"""",
        "chown -h ours: /run/ours/x",
        "exec 9</run/ours/lock",
        "[ -e /run/ours/x ] || touch /run/ours/x",
        'folder=/run/ours; if true; then mv -fT x "${folder}/x"; fi',
        "sed -i s/a/b/ /run/ours/x",
        "grep -q x <<END || rm /run/ours/x",
        "keys() { cat >$1/key; }; keys /run/ours",
        "cd /run/ours",
        "socat - UNIX-CONNECT:/run/ours/x.sock",
        "setpriv --reuid=root sh -c 'echo >/run/ours/x'",
        'chown ours:ours -- "$made"; echo >"$made/x"',
        "install -d -o ours -- /srv/made; echo >/srv/made/x",
    ],
)
def test_a_command_that_may_write_is_found(script: str) -> None:
    assert list(trespasses(script, {"/run/ours"}))


@pytest.mark.parametrize(
    "script",
    [
        "cat /run/ours/x | head -c 10 >/run/theirs",
        "x=$(stat -c %Y /run/ours/x 2>/dev/null)",
        "if [ ! -S /run/ours/x.sock ]; then echo none >&2; fi",
        "rm -rf -- /run/ours; mkdir -m 0700 -- /run/ours",
        "echo x >/run/ours.d/x; touch /run/ours-x",
        "# touch /run/ours/x",
        "socat - UNIX-CONNECT:/run/ours/x.sock,su-e=ours",
        "setpriv --reuid=ours --regid=ours sh -c 'umask 077; cat >/run/ours/x && mv /run/ours/x /run/ours/y'",
        "chown root:root -- /srv/made; echo >/srv/made/x",
    ],
)
def test_a_command_that_only_reads_or_runs_as_the_user_is_not(script: str) -> None:
    assert list(trespasses(script, {"/run/ours"})) == []


@pytest.mark.parametrize(
    ("unit", "lines"),
    [
        ("User=ours\nExecStartPre=+/bin/a\nExecStart=/bin/b\nExecStopPost=+/bin/c", "/bin/a\n/bin/c"),
        ("User=ours\nExecStart=/bin/a\nExecStopPost=-+/bin/b", "/bin/b"),
        ("User=root\nExecStart=-/bin/a", "/bin/a"),
        ("ExecStartPre=+/bin/sh -c 'echo $$x'", "\necho $x'"),
    ],
)
def test_root_runs_what_has_a_plus_and_all_of_its_own_units(unit: str, lines: str) -> None:
    assert roots_lines(unit) == lines
