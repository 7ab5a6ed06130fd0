"""The tool on a control host: what the role does to a fresh host, and which versions stay."""

from __future__ import annotations

import shlex
from hashlib import sha256

import pytest

from rackwright.operations.facts.account import Account, UserAccount
from rackwright.operations.facts.ours import OurTools
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.stored_folder import FreeRoom, Marker, Room
from rackwright.operations.retired import retired_tools
from rackwright.roles.tool.role import PROOF, UNPACKED, tool
from rackwright.roles.tool.settings import COMMAND, FOLDER, HAND_OVER, ROOT, STATE, USER, Settings, folder_of
from rackwright.roles.tool.units import command_text, hand_over_text
from rackwright.route import Route
from rackwright.values.file import File
from tests.fakes import play

VERSION = "0.1.0+1a2b3c4d"
SETTINGS = Settings(version=VERSION)
WHEEL = File(path="click-8.2-py3-none-any.whl", size=1000, sha256="1" * 64, url="https://pypi.example/click.whl")
GIVEN = {"settings": SETTINGS, "wheels": (WHEEL,), "digest": "d" * 64, "route": Route(), "secrets": dict}
ROOTS = Found("directory", 0o755, "root", "root")


def script(text: str) -> Found:
    return Found("regular file", 0o700, "root", "root", sha256(text.encode()).hexdigest())


def scripts(settings: Settings) -> dict[object, object]:
    """Return the facts of a host that has root's scripts."""
    texts = {HAND_OVER: hand_over_text(), COMMAND: command_text(settings)}
    return {(PathState, path): script(text) for path, text in texts.items()}


THERE: dict[object, object] = {
    InstalledPackages: frozenset({"curl", "ca-certificates", "python3.13-venv", "openssh-client", "git", "tzdata"}),
    UserAccount: Account(STATE, "/usr/sbin/nologin", frozenset()),
    (PathState, STATE): Found("directory", 0o700, USER, USER),
    (PathState, FOLDER): ROOTS,
    (PathState, ROOT): ROOTS,
    (Marker, SETTINGS.folder): "d" * 64,
    **scripts(SETTINGS),
}


def test_a_fresh_host_gets_a_user_without_a_shell_and_the_wheels() -> None:
    done = play(tool, facts={InstalledPackages: frozenset(), FreeRoom: Room(free=10**12)}, **GIVEN).commands
    assert "python3.13-venv" in done[0]
    (user,) = (line for line in done if line.startswith("useradd"))
    assert user.split()[1:] == [
        *("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "--comment", "rackwright"),
        *("--home-dir", STATE, "--", USER),
    ]
    assert f"install -d -m 0700 -o {USER} -g {USER} -- {STATE}" in done
    (installed,) = (line for line in done if PROOF in line)
    words = shlex.split(installed)[-7:]
    assert words == [
        *("/usr/bin/python3.13", f"{ROOT}/.incoming", f"/opt/rackwright/tool-{VERSION}", "d" * 64, PROOF),
        *(WHEEL.sha256, WHEEL.path),
    ]


def test_a_second_run_changes_nothing() -> None:
    assert play(tool, facts=THERE, **GIVEN).commands == []


@pytest.mark.parametrize(
    "change",
    [
        {(PathState, STATE): Found("directory", 0o755, USER, USER)},
        {(PathState, STATE): Found("directory", 0o700, "root", "root")},
        {(PathState, FOLDER): Found("directory", 0o755, USER, USER)},
        {UserAccount: Account(STATE, "/bin/bash", frozenset())},
        {(Marker, SETTINGS.folder): "e" * 64},
    ],
)
def test_each_part_is_corrected(change: dict[object, object]) -> None:
    assert play(tool, facts={**THERE, FreeRoom: Room(free=10**12), **change}, **GIVEN).commands


def test_a_full_disk_is_an_error_before_anything_is_fetched() -> None:
    facts = {**THERE, (Marker, SETTINGS.folder): None, FreeRoom: Room(free=WHEEL.size * UNPACKED)}
    done = play(tool, facts=facts, **GIVEN)
    assert "GB free, should have" in done.commands[0]


@pytest.mark.parametrize("version", ["0.1.0", "0.1.0+1A2B3C4D", "../x+1a2b3c4d", "0.1+1a2b3c4d/..", "0 +1a2b3c4d"])
def test_a_version_is_no_path(version: str) -> None:
    with pytest.raises(ValueError, match="should be a version and eight hexadecimal digits"):
        Settings(version=version)


NEW, NOW, BEFORE, FIRST = (folder_of(f"0.1.{number}+0000000{number}") for number in (4, 3, 2, 1))
LEFT = f"{BEFORE}.partial"


@pytest.mark.parametrize(
    ("keep", "found", "gone"),
    [
        (NOW, (NOW, BEFORE, FIRST), [FIRST]),
        (NOW, (NOW, BEFORE), []),
        (NOW, (LEFT, NOW, BEFORE, FIRST), [LEFT, FIRST]),
        # A plan: the new one isn't there yet.
        (NEW, (NOW, BEFORE), [BEFORE]),
        # Back to an earlier one.
        (BEFORE, (NOW, BEFORE, FIRST), [FIRST]),
        (None, (NOW, BEFORE, LEFT), [NOW, BEFORE, LEFT]),
        (None, (), []),
    ],
)
def test_the_version_before_stays(keep: str | None, found: tuple[str, ...], gone: list[str]) -> None:
    done = play(retired_tools, facts={OurTools: found}, keep=keep).commands
    assert [shlex.split(line) for line in done] == ([["rm", "-rf", "--one-file-system", "--", *gone]] if gone else [])
