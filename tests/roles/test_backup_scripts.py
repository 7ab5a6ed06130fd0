"""How the backup scripts work with their environment: locks, files, time limits, systemd, sftp."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from rackwright.roles.backup import scripts, units
from tests.roles.test_backup import DISK, SETTINGS, SSH, WEB, Bench
from tests.waiting import wait_until


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def program(bench: Bench, name: str, text: str) -> None:
    """Have the scripts run this text instead of the program of this name."""
    (bench.folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (bench.folder / name).chmod(0o755)


@pytest.mark.parametrize("verb", ["run", "check"])
def test_one_run_waits_for_the_other(bench: Bench, verb: str) -> None:
    places = dict.fromkeys(("RUNTIME_DIRECTORY", "CACHE_DIRECTORY", "CREDENTIALS_DIRECTORY"), str(bench.folder))
    environment = {**os.environ, **places, "PATH": f"{bench.folder}:{os.environ['PATH']}"}
    lock = bench.folder / "disk.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        inode = str(lock.stat().st_ino)
        command = ["sh", str(bench.folder / f"{verb}.sh"), "disk"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:

            def waits() -> bool:
                assert process.poll() is None, "it didn't wait"
                lines = Path("/proc/locks").read_text().splitlines()
                return any("-> FLOCK" in line and f":{inode} " in line for line in lines)

            wait_until(waits)
            assert not (bench.folder / "asked").exists()
            fcntl.flock(held, fcntl.LOCK_UN)
            assert process.wait(60) == 0
    assert bench.asked


def test_what_the_host_remembers_is_on_disk_before_it_takes_the_old_ones_place(bench: Bench) -> None:
    for name in ("sync", "mv"):
        program(bench, name, f'echo "{name} $*" >>{bench.folder}/written; exec /bin/{name} "$@"')
    bench.play()
    state = f"{bench.folder}/disk.json"
    lines = (bench.folder / "written").read_text().splitlines()
    assert lines == [f"sync {state}.new", f"mv -fT {state}.new {state}"] * (len(lines) // 2)
    assert Path(state).stat().st_mode & 0o777 == 0o600


def test_a_failure_tells_the_log_what_restic_said_last_and_the_state_one_short_line(bench: Bench) -> None:
    said = [f"line {number}" for number in range(30)] + [f"Fatal: {'x' * 400}", "the end"]
    bench.tell("backup", code=1, err="\n".join(said))
    why = bench.play()["run_failed"]
    assert why == f"no complete snapshot: Fatal: {'x' * 400}"[:300]
    assert bench.stderr.splitlines() == [*said[-20:], why]


def test_what_restic_says_is_one_line_of_plain_text_in_the_state(bench: Bench) -> None:
    bench.tell("backup", code=1, err='Fatal: "a"\\b\tc\x01é')
    assert bench.play()["run_failed"] == "no complete snapshot: Fatal: 'a'/b c"


def test_a_check_that_fails_says_what_restic_said_last(bench: Bench) -> None:
    bench.tell("check", code=1, err="first\nlast")
    assert bench.play("check")["check_failed"] == "damaged, or not read completely: last"
    bench.tell("check")
    bench.tell("prune", code=1, err="Fatal: full")
    state = bench.play("check")
    assert (state["check_failed"], state["part"]) == ("not pruned: Fatal: full", "1")
    assert state["check_at"].endswith("Z")


def test_a_control_host_makes_no_snapshot_of_files_that_lack_what_etcd_holds(bench: Bench) -> None:
    script = bench.folder / "run.sh"
    script.write_text(script.read_text().replace("/etc/rackwright/etcd", str(bench.folder)))
    (bench.folder / "disk.exported.said").write_text("first\nthis host's etcd can't be read: it is down\n")
    assert "run_failed" not in bench.play()
    (bench.folder / "member.env").touch()
    why = "what etcd holds could not be written to files: this host's etcd can't be read: it is down"
    assert bench.play()["run_failed"] == why
    assert bench.asked == []
    (bench.folder / "disk.exported").touch()
    assert "run_failed" not in bench.play()


def test_a_file_counts_as_saved_only_under_its_whole_name(bench: Bench) -> None:
    bench.play()
    for other in (f"{bench.source}/file.old", f"/x{bench.source}/file", f"{bench.source}/fil"):
        bench.tell("backup", out=bench.saved(other))
        assert bench.play()["run_failed"] == f"{bench.source}/file is not in the snapshot"


def test_only_questions_about_the_repository_itself_have_a_time_limit(bench: Bench) -> None:
    program(bench, "timeout", f'echo "timeout $1" >>{bench.folder}/asked; shift; exec "$@"')
    bench.tell("cat", code=10, time=0)
    bench.play()
    limited = [after for before, after in zip(bench.asked, bench.asked[1:], strict=False) if before == "timeout 120"]
    listed = ["list snapshots --no-lock -q"]
    assert limited == ["cat config --no-lock", "init -q", "cat config --no-lock", *listed]
    assert [line.split()[0] for line in bench.asked if line not in limited] == ["timeout"] * 4 + ["backup"]


def test_a_lock_is_looked_at_without_one_of_its_own(bench: Bench) -> None:
    bench.tell("check", code=11, time=0)
    bench.tell("list", out="l1\nl2")
    bench.tell("lock", out=json.dumps({"hostname": os.uname().nodename, "pid": 4194304}))
    bench.play("check")
    looked = [line for line in bench.asked if line.startswith(("list locks", "cat lock", "unlock"))]
    assert looked == ["list locks --no-lock -q", "cat lock l1 --no-lock -q", "cat lock l2 --no-lock -q", "unlock -q"]


def test_people_get_restic_with_the_secrets_of_the_repository_and_of_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    for name in ("disk.password", "disk.key", "disks.password"):
        (folder / f"{name}.cred").touch()
    (tmp_path / "systemd-run").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/asked\n')
    (tmp_path / "systemd-run").chmod(0o755)
    text = scripts.FIXED["/etc/rackwright/backup/restic.sh"].replace("/etc/rackwright/backup", str(folder))
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", text, "restic.sh", "disk", "ls", "a b"], check=True, env=environment)
    options = ["--quiet", "--pipe", "--wait", "--collect", "--expand-environment=no"]
    for name in ("key", "password"):
        options += ["-p", f"LoadCredentialEncrypted={name}:{folder}/disk.{name}.cred"]
    options += ["-p", "CacheDirectory=rackwright-backup", "-p", "CacheDirectoryMode=0700"]
    options += ["sh", "-c", '. "$0"; talk "$@"', f"{folder}/disk.values"]
    assert (tmp_path / "asked").read_text().splitlines() == [*options, "ls", "a b"]


def test_an_sftp_server_is_known_by_its_key_and_asked_with_ours_alone() -> None:
    stem = "/etc/rackwright/backup/ssh"
    arguments = [
        "-i $CREDENTIALS_DIRECTORY/key -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes",
        "-o ConnectTimeout=20 -o ServerAliveInterval=30 -o ServerAliveCountMax=4",
        f"-o UserKnownHostsFile={stem}.known_hosts -o GlobalKnownHostsFile=/dev/null",
    ]
    talk = scripts.values(SETTINGS, SSH).splitlines()[-1]
    assert talk == f'talk() {{ ${{limit-}} restic -o "sftp.args={" ".join(arguments)}" "$@"; }}'


def test_what_differs_by_repository_is_in_its_values() -> None:
    disk, web = (scripts.values(SETTINGS, one).splitlines() for one in (DISK, WEB))
    assert {"mount=/mnt/disk", "append_only=no", "keep=720h", "parts=4", "patience=10m"} <= {*disk}
    assert "export RESTIC_REPOSITORY=/mnt/disk/gate1" in disk
    opened = 'export RESTIC_PASSWORD_FILE="$CREDENTIALS_DIRECTORY/password" RESTIC_CACHE_DIR="$CACHE_DIRECTORY"'
    assert opened in disk
    assert {"mount=''", "append_only=yes", opened} <= {*web}
    assert 'export RESTIC_REPOSITORY_FILE="$CREDENTIALS_DIRECTORY/repository"' in web
    assert web[-1] == 'talk() { ${limit-} restic --cacert /etc/rackwright/backup/web.ca.crt "$@"; }'


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_unit_gets_its_secrets_a_day_and_what_engines_leave(verb: str) -> None:
    stem = "/etc/rackwright/backup/ssh"
    assert {
        "Wants=network-online.target",
        "After=network-online.target",
        "Type=oneshot",
        f"ExecStart=/bin/sh /etc/rackwright/backup/{verb}.sh ssh",
        f"LoadCredentialEncrypted=password:{stem}.password.cred",
        f"LoadCredentialEncrypted=key:{stem}.key.cred",
        "RuntimeDirectory=rackwright-backup",
        "RuntimeDirectoryMode=0700",
        "RuntimeDirectoryPreserve=yes",
        "CacheDirectory=rackwright-backup",
        "CacheDirectoryMode=0700",
        "ReadWritePaths=/var/lib/rackwright/backup",
        "TimeoutStartSec=1d",
        "CPUWeight=20",
        "IOWeight=20",
    } <= {*units.service(SSH, verb).splitlines()}


@pytest.mark.parametrize(("version", "new"), [("0.16.4", False), ("0.17.0", True), ("0.18.1", True), ("1.0.0", True)])
def test_a_restic_that_is_too_old_fails_before_anything_is_written(
    tmp_path: Path, version: str, *, new: bool
) -> None:
    (tmp_path / "restic").write_text(f"#!/bin/sh\necho restic {version} compiled with go1.24 on linux/amd64\n")
    (tmp_path / "restic").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = scripts.new_enough("0.17.0")
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) is new
    assert (f"restic {version} is too old, should be 0.17.0 or newer" in done.stderr) is not new
