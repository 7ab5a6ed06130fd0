from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.passwords import STACK, PasswordsChecked
from rackwright.roles.logins.role import logins, profile
from rackwright.roles.logins.settings import PROFILE, Settings
from tests.fakes import play

_WITH_PACKAGE = {InstalledPackages: frozenset({"cracklib-runtime", "libpam-pwquality"})}


def timeout_at(terminal: str, settings: Settings) -> str:
    """Return the TMOUT of a shell and of a shell in it, at this terminal."""
    script = f"tty() {{ echo '{terminal}'; }}\n{profile(settings)}\necho \"$TMOUT $(bash -c 'echo $TMOUT')\""
    return subprocess.run(
        ["bash", "-s"], input=script, capture_output=True, text=True, check=True, env={}
    ).stdout.strip()


@pytest.mark.parametrize("terminal", ["/dev/console", "/dev/tty1", "/dev/ttyS0", "/dev/ttyAMA0", "/dev/hvc0"])
def test_an_idle_shell_at_the_console_ends(terminal: str) -> None:
    assert timeout_at(terminal, Settings()) == "900 900"
    assert timeout_at(terminal, Settings(console_timeout="5m")) == "300 300"


@pytest.mark.parametrize("terminal", ["/dev/pts/0", "not a tty", "/dev/tty", ""])
def test_a_shell_over_ssh_stays(terminal: str) -> None:
    assert timeout_at(terminal, Settings()) == ""


def test_a_fresh_host_gets_both_and_its_shell_reads_the_file_first() -> None:
    played = play(logins, settings=Settings(), facts={PathState: None})
    assert played.uploads == {f"{PROFILE}.rackwright-new": profile(Settings())}
    assert f"sh -n {PROFILE}.rackwright-new" in " ".join(played.commands)
    assert "install --no-install-recommends -- cracklib-runtime libpam-pwquality" in played.commands[-1]


def test_a_second_run_changes_nothing() -> None:
    digest = hashlib.sha256(profile(Settings()).encode()).hexdigest()
    facts = {PathState: Found("regular file", 0o644, "root", "root", digest), **_WITH_PACKAGE}
    assert play(logins, settings=Settings(), facts=facts).commands == []


def test_a_stack_that_was_edited_manually_is_reported_once_the_package_is_there() -> None:
    for facts in ({}, {**_WITH_PACKAGE, PasswordsChecked: True}):
        assert play(logins, settings=Settings(), facts={PathState: None, **facts}).notes == {}
    (note,) = play(logins, settings=Settings(), facts={PathState: None, **_WITH_PACKAGE}).notes.values()
    assert note.startswith(f"{STACK} doesn't check new passwords.")


@pytest.mark.parametrize(
    ("line", "checked"),
    [
        ("password\trequisite\tpam_pwquality.so retry=3", True),
        ("password [success=2 default=ignore] pam_passwdqc.so", True),
        ("# password requisite pam_pwquality.so", False),
        ("password [success=1 default=ignore] pam_unix.so obscure", False),
        (None, False),
    ],
)
def test_pams_stack_says_whether_new_passwords_are_checked(tmp_path: Path, line: str | None, checked: bool) -> None:
    path = tmp_path / "common-password"
    if line:
        path.write_text(f"# first\n{line}\n")
    command = PasswordsChecked().command().replace(STACK, str(path))
    printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert PasswordsChecked().process(printed.stdout.splitlines()) == checked


@pytest.mark.parametrize("seconds", ["0", "59", "2d"])
def test_a_timeout_is_between_a_minute_and_a_day(seconds: str) -> None:
    with pytest.raises(ValidationError):
        Settings(console_timeout=seconds)


def test_what_is_not_managed_is_not_even_looked_at() -> None:
    assert play(logins, settings=Settings(manage="no"), facts={}).operations == []
