"""How the tool on a control host runs: its secrets, root's scripts, its units."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from pyinfra.api.deploy import deploy

from rackwright.operations.facts.credential import CredentialDigests
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit
from rackwright.operations.unit import UNITS
from rackwright.roles.tool import settings as names
from rackwright.roles.tool.running import runs
from rackwright.roles.tool.settings import Settings, credential_file
from rackwright.roles.tool.units import check_timer_text, command_text, hand_over_text, timer_text, unit_text
from rackwright.values.secrets import Secret
from tests.fakes import commands, play
from tests.waiting import wait_until

NAME = "0123456789abcdef0123456789abcdef"
SETTINGS = Settings(
    version="0.1.0+1a2b3c4d", secrets=(NAME,), calendar=("Sun *-*-* 02:00:00 Europe/Berlin", "*-*-* 04:30:00 UTC")
)
PACKAGES = frozenset({"openssh-client", "git", "ca-certificates", "tzdata"})
TEXTS = {
    names.UNIT: unit_text(SETTINGS),
    names.TIMER: timer_text(SETTINGS),
    names.CHECK_TIMER: check_timer_text(),
}


@deploy("runs")
def role(settings: Settings = SETTINGS) -> None:
    runs(settings, lambda: {NAME: Secret("hunter2\n")})


def file(text: str, mode: int = 0o644) -> Found:
    return Found("regular file", mode, "root", "root", sha256(text.encode()).hexdigest())


def there(settings: Settings = SETTINGS) -> dict[object, object]:
    """Return the facts of a host that has all of it."""
    return {
        InstalledPackages: PACKAGES | {"restic"},
        CredentialDigests: {credential_file(NAME): sha256(b"hunter2\n").hexdigest()},
        (PathState, names.HAND_OVER): file(hand_over_text(), 0o700),
        (PathState, names.COMMAND): file(command_text(settings), 0o700),
        **{(PathState, f"{UNITS}/{unit}"): file(text) for unit, text in TEXTS.items()},
        OurUnitStates: {
            names.UNIT: Unit("loaded", "inactive", "static", started=2.0),
            names.TIMER: Unit("loaded", "active", "enabled", started=2.0),
            names.CHECK_TIMER: Unit("loaded", "active", "enabled", started=2.0),
        },
    }


def test_a_fresh_host_gets_all_of_it_and_the_timers_start() -> None:
    played = play(role, facts={InstalledPackages: frozenset()})
    assert "restic" not in played.commands[0]
    assert all(name in played.commands[0] for name in PACKAGES)
    written = {path.removesuffix(".rackwright-new"): text for path, text in played.uploads.items()}
    units = {f"{UNITS}/{unit}": text for unit, text in TEXTS.items()}
    scripts = {names.HAND_OVER: hand_over_text(), names.COMMAND: command_text(SETTINGS)}
    assert written == {**scripts, **units}
    acts = [one for one in played.commands if one.startswith("systemctl") and "daemon" not in one]
    # The unit itself is neither started nor enabled: a run in progress goes on as it was started.
    assert [act for act in acts if names.UNIT in act] == []
    assert len([act for act in acts if names.TIMER in act]) == len([act for act in acts if names.CHECK_TIMER in act])
    assert "hunter2" not in "".join((*played.commands, *played.uploads.values()))


def test_a_second_run_changes_nothing() -> None:
    assert commands(role, facts=there()) == []


def test_without_anything_due_there_are_no_timers() -> None:
    settings = SETTINGS.model_copy(update={"calendar": ()})
    played = play(role, settings=settings, facts={InstalledPackages: PACKAGES})
    assert not any("systemctl" in command for command in played.commands)
    assert (settings.units, SETTINGS.units) == ((), (names.UNIT, names.TIMER, names.CHECK_TIMER))


def test_drills_need_restic() -> None:
    settings = SETTINGS.model_copy(update={"drills": True})
    facts = there(settings)
    assert commands(role, settings=settings, facts=facts) == []
    (install,) = commands(role, settings=settings, facts={**facts, InstalledPackages: PACKAGES})
    assert "restic" in install


def test_another_secret_is_written_and_others_are_kept_by_name() -> None:
    facts = {**there(), CredentialDigests: {credential_file(NAME): sha256(b"other\n").hexdigest()}}
    (written,) = commands(role, facts=facts)
    assert f"--name={NAME}" in written
    assert SETTINGS.files[-1] == f"{names.FOLDER}/{NAME}.cred"


def test_the_unit_runs_the_schedule_as_its_user_with_its_secrets_and_dies_at_once() -> None:
    assert {
        "Type=oneshot",
        "User=rw_tool",
        "Group=rw_tool",
        "StateDirectory=rackwright-tool",
        "StateDirectoryMode=0700",
        "Environment=HOME=/var/lib/rackwright-tool LANG=C.UTF-8 RACKWRIGHT_TOOL=1",
        f"LoadCredentialEncrypted={NAME}:/etc/rackwright/tool/{NAME}.cred",
        "ExecStartPre=+/etc/rackwright/tool/hand-over",
        "ExecStart=/opt/rackwright/tool-0.1.0+1a2b3c4d/bin/python -m rackwright schedule run",
        "TimeoutStartSec=infinity",
        "KillSignal=SIGKILL",
        "PrivateTmp=yes",
    } <= {*TEXTS[names.UNIT].splitlines()}
    assert "Restart" not in TEXTS[names.UNIT].replace("RestrictRealtime", "")
    assert "[Install]" not in TEXTS[names.UNIT]


def test_both_timers_start_that_unit() -> None:
    lines = TEXTS[names.TIMER].splitlines()
    assert [line for line in lines if line.startswith("On")] == [
        "OnCalendar=Sun *-*-* 02:00:00 Europe/Berlin",
        "OnCalendar=*-*-* 04:30:00 UTC",
    ]
    checks = TEXTS[names.CHECK_TIMER].splitlines()
    assert {"OnBootSec=1min", "OnUnitInactiveSec=5min", "AccuracySec=5s"} <= {*checks}
    assert "AccuracySec=1s" in lines
    for one in (lines, checks):
        assert {f"Unit={names.UNIT}", "WantedBy=timers.target"} <= {*one}


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    paths = []
    for unit, text in TEXTS.items():
        text = text.replace(SETTINGS.python, str(program)).replace(names.HAND_OVER, str(program))
        (tmp_path / unit).write_text(text)
        paths.append(str(tmp_path / unit))
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *paths]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def ran(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of root's scripts with all its paths below the folder."""
    for path in ("/var/lib/", "/run/", "/etc/"):
        script = script.replace(path, f"{folder}{path}")
    script = script.replace(f"-g {names.USER}", "-g root").replace(f"chgrp {names.USER}", "chgrp root")
    (folder / "script").write_text(script)
    command = ["sh", str(folder / "script"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(folder), timeout=60)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for name in ("var/lib/rackwright/fleet", "run", "etc/rackwright/tool", "bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "var/lib/rackwright/fleet/site.yml").write_text("fleet: acme\n")
    return tmp_path


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to root")


@needs_root
def test_root_hands_over_the_applied_fleet_as_one_file_that_only_the_tool_reads(host: Path) -> None:
    def handed() -> list[str]:
        done = ran(host, hand_over_text())
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        made = host / names.HANDED.lstrip("/")
        assert (made.stat().st_mode & 0o777, made.parent.stat().st_mode & 0o777) == (0o640, 0o750)
        boot = host / names.BOOT.lstrip("/")
        assert sorted(path.name for path in made.parent.iterdir()) == ["boot", "fleet.tar"]
        assert boot.stat().st_mode & 0o777 == 0o640
        kernel, init = boot.read_text().split()
        assert kernel == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert init == Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
        if not made.stat().st_size:
            return []
        with tarfile.open(made) as archive:
            return sorted(member.name for member in archive if member.isfile())

    assert handed() == ["./site.yml"]
    assert (host / "var/lib/rackwright/fleet.lock").stat().st_mode & 0o777 == 0o600
    folder = host / "var/lib/rackwright/fleet"
    # An apply was interrupted between its two renames.
    folder.rename(folder.with_name("fleet.old"))
    assert handed() == ["./site.yml"]
    shutil.rmtree(folder.with_name("fleet.old"))
    assert handed() == []


def waits(process: subprocess.Popen[str]) -> bool:
    """Return whether the script waits for a lock, or has ended."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if process.poll() is not None:
        return True
    found = [Path(f"/proc/{child}/cmdline") for child in children.read_text().split()]
    return any(path.exists() and path.read_bytes().startswith(b"flock\0") for path in found)


@needs_root
def test_the_hand_over_waits_for_an_apply_that_writes_the_fleet(host: Path) -> None:
    assert ran(host, hand_over_text()).returncode == 0
    with (host / "var/lib/rackwright/fleet.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(["sh", host / "script"], text=True)
        wait_until(lambda: waits(process))
        assert process.poll() is None
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert process.wait(60) == 0


@needs_root
def test_root_runs_the_tool_by_hand_with_the_units_properties(host: Path) -> None:
    (host / "etc/rackwright/tool/hand-over").write_text("#!/bin/sh\necho handed over\n")
    (host / "etc/rackwright/tool/hand-over").chmod(0o700)
    (host / "bin/systemd-run").write_text('#!/bin/sh\nfor one in "$@"; do printf \'[%s]\\n\' "$one"; done\n')
    (host / "bin/systemd-run").chmod(0o755)
    done = ran(host, command_text(SETTINGS), "status", "--json", "a b $HOME")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "handed over"
    assert lines[-6:] == [
        "[/opt/rackwright/tool-0.1.0+1a2b3c4d/bin/python]",
        *("[-m]", "[rackwright]", "[status]", "[--json]", "[a b $HOME]"),
    ]
    given = {line.removeprefix("[--property=").removesuffix("]") for line in lines if line.startswith("[--property=")}
    of_unit = {line for line in TEXTS[names.UNIT].splitlines() if "=" in line and not line.startswith("#")}
    left = {line.replace("/etc/", f"{host}/etc/").replace("/var/", f"{host}/var/") for line in of_unit} - given
    assert {line.partition("=")[0] for line in left} == {
        *("Description", "Wants", "After", "Type", "ExecStartPre", "ExecStart", "TimeoutStartSec", "KillSignal"),
        "RestrictNamespaces",
    }
    # Of a transient unit, systemd writes `yes` as an empty list when units are reloaded: no restriction.
    assert "RestrictNamespaces=cgroup" in given
    assert any(re.fullmatch(rf"\[--unit={names.BY_HAND}-[0-9]+\]", line) for line in lines)
    assert {"[--pipe]", "[--quiet]", "[--wait]", "[--collect]", "[--expand-environment=no]"} <= {*lines}
    for both in (True, False):
        ours, theirs = pty.openpty()
        stdin = theirs if both else subprocess.DEVNULL
        subprocess.run(["sh", host / "script"], stdin=stdin, stdout=theirs, check=True, env=environment(host))
        os.close(theirs)
        said = "".join(said_at(ours))
        assert ("[--pty]" in said, "[--pipe]" in said) == (both, not both)
        os.close(ours)


def said_at(terminal: int) -> Iterator[str]:
    """Yield what was written to the terminal, whose other side is closed. One read may return only a part."""
    with contextlib.suppress(OSError):
        while True:
            yield os.read(terminal, 65536).decode()
