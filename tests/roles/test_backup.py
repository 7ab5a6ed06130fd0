from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from rackwright.operations.facts.credential import CredentialDigests
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, Unit, WrittenAt
from rackwright.roles.backup import scripts, units
from rackwright.roles.backup.role import backup
from rackwright.roles.backup.settings import PARTS, Access, Repository, Settings, is_old
from rackwright.roles.etcd.settings import EXPORT, MEMBER
from rackwright.route import Route
from rackwright.values.secrets import Secret
from tests.fakes import commands, play, systemctl

DISK = Repository(name="disk", url="/mnt/disk/gate1", mount="/mnt/disk")
SSH = Repository(name="ssh", url="sftp:vault@10.0.0.5:/acme/gate1", known_hosts="10.0.0.5 ssh-ed25519 AAAA")
WEB = Repository(name="web", url="rest:https://vault:8000/acme/gate1", user="me", append_only=True, own_ca=True)
SETTINGS = Settings(
    host="gate1",
    repositories=(DISK, SSH, WEB),
    sources=("/etc/rackwright", "/var/lib/rackwright"),
    must=("/var/lib/rackwright/audit.log",),
    exclude=("*.cred",),
    timezone="Europe/Berlin",
)
ACCESS = {
    "disk": Access(Secret("pass-word")),
    "ssh": Access(Secret("pass-word"), key=Secret("private-key")),
    "web": Access(Secret("pass-word"), login=Secret("log/in@"), ca_pem="-----BEGIN CERTIFICATE-----\n"),
}
TEXTS = {**scripts.FIXED, **{f"{one.name}.values": scripts.values(SETTINGS, one) for one in SETTINGS.repositories}}


@pytest.mark.parametrize("text", TEXTS.values(), ids=[Path(path).name for path in TEXTS])
def test_scripts_stay_under_sixty_lines_and_shellcheck_finds_nothing(text: str) -> None:
    assert len(text.splitlines()) < 60
    # SC1091, SC2034, SC2154: one file sets a value, and another file that sources it uses the value.
    command = ["shellcheck", "-s", "sh", "-e", "SC1090,SC1091,SC2034,SC2154", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_secret_is_in_a_script_a_unit_or_a_command() -> None:
    played = play(backup, settings=SETTINGS, access=ACCESS)
    shown = "\n".join([*played.commands, *played.uploads.values(), *played.diffs.values()])
    for secret in ("pass-word", "private-key", "log/in@", "log%2Fin%40"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("no_proxy", "line"),
    [
        ((), "export HTTP_PROXY=http://proxy:3128 HTTPS_PROXY=http://proxy:3128 NO_PROXY= no_proxy="),
        (("vault",), "export NO_PROXY='*'"),
    ],
)
def test_the_fleet_files_proxy_counts_and_what_the_machine_itself_is_set_to_does_not(
    no_proxy: tuple[str, ...], line: str
) -> None:
    route = Route(proxy="http://proxy:3128", no_proxy=no_proxy)
    written = scripts.values(SETTINGS, WEB.model_copy(update={"route": route})).splitlines()
    assert [text for text in written if "PROXY" in text] == [line]
    assert "PROXY" not in scripts.values(SETTINGS, WEB)


def test_a_login_stands_in_the_url_that_only_the_unit_can_read() -> None:
    url = ACCESS["web"].secret("repository", WEB).reveal()
    assert url == "rest:https://me:log%2Fin%40@vault:8000/acme/gate1"
    assert "RESTIC_REPOSITORY_FILE" in scripts.values(SETTINGS, WEB)
    assert WEB.credentials == ("password", "repository")


def test_nothing_is_piped_into_restic_whose_failure_it_would_not_see() -> None:
    assert not [name for name, text in TEXTS.items() if "--stdin" in text or "| talk" in text]


@pytest.mark.parametrize(
    ("version", "old"), [("0.16.4", True), ("0.16.4-2", True), ("0.17.0", False), ("0.18.0-1+b4", False)]
)
def test_an_old_restic_is_told(version: str, *, old: bool) -> None:
    assert is_old(version) is old


def test_timers_follow_the_fleets_time_zone_and_make_up_for_what_was_missed() -> None:
    daily, weekly = (units.timer(SETTINGS, DISK, verb) for verb in ("run", "check"))
    assert "OnCalendar=*-*-* 02:30:00 Europe/Berlin\n" in daily
    assert "OnCalendar=Sun *-*-* 04:30:00 Europe/Berlin\n" in weekly
    for text in (daily, weekly):
        assert "Persistent=yes" in text
        assert "RandomizedDelaySec=" in text


def test_a_control_hosts_unit_writes_what_etcd_holds_to_files_before_a_snapshot(tmp_path: Path) -> None:
    """In a unit of its own, because this one has no network, and its files may not be written."""
    for repository in SETTINGS.repositories:
        assert EXPORT not in units.service(repository, "check")
    (line,) = (line for line in units.service(DISK, "run").splitlines() if EXPORT in line)
    script = line.removeprefix("ExecStartPre=+/bin/sh -c '").removesuffix("'").replace("/run/", f"{tmp_path}/run/")
    script = script.replace(MEMBER, f"{tmp_path}/member.env")
    (runtime := tmp_path / "run/rackwright-backup").mkdir(parents=True)
    (program := tmp_path / "systemd-run").write_text(
        f'#!/bin/sh\necho "$*" >{tmp_path}/asked\necho no >&2; exit $CODE\n'
    )
    program.chmod(0o755)

    def played(code: int) -> set[str]:
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CODE": str(code)}
        subprocess.run(["sh", "-c", script], check=True, env=environment)
        return {path.name for path in runtime.iterdir()}

    (runtime / "disk.exported").touch()
    assert played(0) == set()
    assert not (tmp_path / "asked").exists()
    (tmp_path / "member.env").touch()
    assert played(0) == {"disk.exported", "disk.exported.said"}
    assert (tmp_path / "asked").read_text() == f"--quiet --pipe --wait --collect -p RuntimeMaxSec=10min {EXPORT}\n"
    assert played(1) == {"disk.exported.said"}
    assert (runtime / "disk.exported.said").read_text() == "no\n"


def test_a_path_needs_no_network_and_only_a_path_without_a_mount_is_made() -> None:
    assert "PrivateNetwork=yes" in units.service(DISK, "run")
    assert "PrivateNetwork" not in units.service(SSH, "run")
    assert "mkdir" not in units.service(DISK, "run")
    assert "mkdir -p -m 0700 -- /srv/b/gate1" in units.service(Repository(name="b", url="/srv/b/gate1"), "run")


def test_a_restore_may_write_only_where_it_restores_to_and_lock_a_repository_that_is_a_folder() -> None:
    def written(repository: Repository) -> list[str]:
        return [one for one in units.restore_properties(repository, ("/a", "/b")) if "ReadWritePaths" in one]

    to = ["ReadWritePaths=/a", "ReadWritePaths=/b"]
    assert written(WEB) == written(SSH) == to
    assert written(DISK) == ["ReadWritePaths=-/mnt/disk", *to]
    assert written(Repository(name="b", url="/srv/b/gate1")) == ["ReadWritePaths=-/srv/b/gate1", *to]


def satisfied() -> Mapping[object, object]:
    """A host on which the role has already run."""
    done = play(backup, settings=SETTINGS, access=ACCESS).uploads
    facts: dict[object, object] = {
        InstalledPackages: frozenset({"restic", "openssh-client", "tzdata", "ca-certificates"}),
        (PathState, "/etc/rackwright/backup"): Found("directory", 0o755, "root", "root"),
        (PathState, "/var/lib/rackwright/backup"): Found("directory", 0o700, "root", "root"),
        OurUnitStates: {unit: Unit("loaded", "active", "enabled", started=2.0) for unit in SETTINGS.units},
        WrittenAt: {},
        CredentialDigests: {
            f"{one.stem}.{name}.cred": hashlib.sha256(
                ACCESS[one.name].secret(name, one).reveal().encode()
            ).hexdigest()
            for one in SETTINGS.repositories
            for name in one.credentials
        },
    }
    for path, text in done.items():
        mode = 0o755 if path.endswith("restic.sh.rackwright-new") else 0o644
        found = Found("regular file", mode, "root", "root", hashlib.sha256(text.encode()).hexdigest())
        facts[(PathState, path.removesuffix(".rackwright-new"))] = found
    return facts


def test_a_second_run_changes_nothing() -> None:
    assert commands(backup, settings=SETTINGS, access=ACCESS, facts=satisfied()) == []


def test_a_host_that_only_restores_can_read_its_snapshots_and_has_no_timer() -> None:
    only = SETTINGS.model_copy(update={"snapshots": False})
    assert only.units == only.saving == ()
    assert only.files == SETTINGS.files
    played, whole = (play(backup, settings=one, access=ACCESS) for one in (only, SETTINGS))
    assert [name for name in whole.uploads if name.endswith(".timer.rackwright-new")]
    assert not [name for name in (*played.uploads, *played.operations) if ".timer" in name or ".service" in name]
    assert {name for name in whole.uploads if "/etc/rackwright/" in name} <= set(played.uploads)
    assert "Keep the secrets of web" in played.operations


def test_another_password_is_written_and_compared_by_content() -> None:
    access = {**ACCESS, "disk": Access(Secret("another"))}
    (written,) = commands(backup, settings=SETTINGS, access=access, facts=satisfied())
    assert "systemd-creds encrypt --with-key=host --name=password - /etc/rackwright/backup/disk.password" in written


def test_a_timer_that_was_stopped_or_disabled_is_started_and_enabled() -> None:
    facts = dict(satisfied())
    facts[OurUnitStates] = {unit: Unit("loaded", "inactive", "disabled") for unit in SETTINGS.units}
    made = commands(backup, settings=SETTINGS, access=ACCESS, facts=facts)
    assert "systemctl --quiet enable -- rackwright-backup@disk.timer" in made
    assert systemctl("start", "rackwright-backup-check@web.timer") in made
    assert not [command for command in made if command.endswith(".service")]


class Bench:
    """The scripts with a stand-in for restic, whose output and exit code a test sets, and which records its calls."""

    def __init__(self, folder: Path, repository: Repository = DISK) -> None:
        self.folder, self.name = folder, repository.name
        self.source = folder / "source"
        self.source.mkdir()
        (self.source / "file").touch()
        settings = SETTINGS.model_copy(
            update={"sources": (str(self.source),), "must": (f"{self.source}/file",), "exclude": ("*.cred",)}
        )
        if repository.mount:
            (folder / f"{self.name}.mounted").touch()
        for path, text in {**scripts.FIXED, f"/{self.name}.values": scripts.values(settings, repository)}.items():
            moved = text.replace("/etc/rackwright/backup", str(folder)).replace(
                "/var/lib/rackwright/backup", str(folder)
            )
            (folder / Path(path).name).write_text(moved)
        self.tell("cat", out='{"id": "abc"}')
        self.tell("backup", out=self.saved(f"{self.source}/file"))
        self.tell("forget", out='[{"keep":[],"remove":null}]')
        (folder / "restic").write_text(
            f"""#!/bin/sh
echo "$*" >>{folder}/asked
for word in "$@"; do case $word in
  cat|init|backup|forget|check|prune|list|unlock|snapshots) verb=$word; break ;;
esac; done
case $verb/$* in cat/*lock*lock*) verb=lock ;; list/*snapshots*) verb=history ;; esac
cd {folder}
n=$(cat "$verb.count" 2>/dev/null || echo 0); echo $((n + 1)) >"$verb.count"
[ -e "$verb.$n.code" ] || n=last
cat "$verb.$n.out" 2>/dev/null; cat "$verb.$n.err" >&2 2>/dev/null
exit "$(cat "$verb.$n.code" 2>/dev/null || echo 0)"
"""
        )
        (folder / "restic").chmod(0o755)

    @staticmethod
    def saved(path: str) -> str:
        """What restic says about a snapshot of this file."""
        file = f'{{"message_type":"verbose_status","action":"unchanged","item":"{path}","duration":0}}\n'
        summary = '"total_files_processed":1,"total_bytes_processed":2,"snapshot_id":"f00"'
        return f'{file}{{"message_type":"summary",{summary}}}'

    def tell(self, verb: str, *, out: str = "", err: str = "", code: int = 0, time: int | None = None) -> None:
        """Set what restic does from now on for this command, or only for its call number `time` (from 0)."""
        when = "last" if time is None else str(time)
        for kind, text in (("out", out), ("err", err), ("code", str(code))):
            (self.folder / f"{verb}.{when}.{kind}").write_text(f"{text}\n" if text else "")

    def play(self, verb: str = "run") -> dict[str, str]:
        """Run once; return what the host remembers."""
        for counted in self.folder.glob("*.count"):
            counted.unlink()
        (self.folder / "asked").write_text("")
        places = dict.fromkeys(("RUNTIME_DIRECTORY", "CACHE_DIRECTORY", "CREDENTIALS_DIRECTORY"), str(self.folder))
        environment = {**os.environ, **places, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        command = ["sh", str(self.folder / f"{verb}.sh"), self.name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.stderr = done.stderr
        state: dict[str, str] = json.loads((self.folder / f"{self.name}.json").read_text())
        assert (done.returncode != 0) == (f"{verb}_failed" in state), done.stderr
        return state

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_good_snapshot_is_remembered_with_what_is_in_it(bench: Bench) -> None:
    state = bench.play()
    assert (state["format"], state["repository"], state["snapshot"]) == ("backup/1", "abc", "f00")
    assert (state["files"], state["bytes"]) == ("1", "2")
    assert state["snapshot_at"].endswith("Z")
    asked = next(line for line in bench.asked if line.startswith("backup"))
    assert asked == f"backup --json -vv --host gate1 --tag rackwright --exclude=*.cred -- {bench.source}"


def test_one_call_of_restic_proves_that_it_is_the_same_repository_and_makes_the_snapshot(bench: Bench) -> None:
    bench.play()
    assert "run_failed" not in bench.play()
    words = "--host gate1 --tag rackwright --exclude=*.cred --parent f00"
    assert bench.asked == [f"backup --json -vv {words} -- {bench.source}"]


def test_a_repository_without_the_last_snapshot_is_asked_what_it_is(bench: Bench) -> None:
    bench.play()
    bench.tell("backup", code=1, err="failed to load snapshot f00", time=0)
    assert "run_failed" not in bench.play()
    assert [line.split()[0] for line in bench.asked] == ["backup", "cat", "backup"]
    assert "--parent" not in bench.asked[2]
    bench.tell("cat", out='{"id": "other"}')
    assert bench.play()["run_failed"] == "there is another repository in its place"


def test_after_a_failure_the_repository_is_asked_first(bench: Bench) -> None:
    bench.play()
    bench.tell("cat", code=12)
    bench.tell("backup", code=1)
    assert bench.play()["run_failed"] == "wrong password"
    assert bench.play()["run_failed"] == "wrong password"
    assert [line.split()[0] for line in bench.asked] == ["cat"]


def test_a_check_removes_old_snapshots(bench: Bench) -> None:
    bench.play()
    bench.play("check")
    assert "forget --json --keep-within 720h --group-by  --host gate1 --tag rackwright" in bench.asked


@pytest.mark.parametrize(
    ("verb", "told", "why"),
    [
        ("backup", {"out": '{"snapshot_id":"f00","total_files_processed":0}'}, "the snapshot is empty"),
        ("backup", {"out": "{}"}, "the snapshot is empty"),
        ("backup", {"code": 1, "err": "Fatal: no \"space\""}, "no complete snapshot: Fatal: no 'space'"),
        ("backup", {"code": 3, "err": "read /a: gone"}, "no complete snapshot: read /a: gone"),
        ("backup", {"out": Bench.saved("/other")}, "{source}/file is not in the snapshot"),
        ("cat", {"code": 12}, "wrong password"),
        ("cat", {"code": 124, "err": "retrying"}, "can't be reached: retrying"),
        ("cat", {"out": '{"id": "other"}'}, "there is another repository in its place"),
        ("cat", {"code": 10}, "the repository is gone; no new one is created"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_no_success_whatever_restic_says(
    bench: Bench, verb: str, told: dict[str, object], why: str
) -> None:
    good = bench.play()
    bench.tell("backup", code=1)
    bench.tell(verb, **told)  # type: ignore[arg-type]
    state = bench.play()
    assert state["run_failed"] == why.format(source=bench.source)
    assert state["snapshot"] == good["snapshot"]
    assert state["repository"] == "abc"
    assert not [line for line in bench.asked if line.startswith("init")]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"code": 1, "err": "Fatal: x"}, "old snapshots stay: Fatal: x"),
        ({"out": '[{"remove":[{"id":1}]}]'}, "old snapshots stay: their deletion was refused"),
    ],
)
def test_old_snapshots_that_stay_fail_the_check(bench: Bench, told: dict[str, str | int], why: str) -> None:
    bench.play()
    bench.tell("forget", **told)  # type: ignore[arg-type]
    state = bench.play("check")
    assert (state["check_failed"], state["part"]) == (why, "1")
    assert "prune -q" not in bench.asked


def test_a_success_takes_the_failure_away_but_not_the_checks(bench: Bench) -> None:
    bench.tell("check", code=1, err="Fatal: repository contains errors")
    assert "damaged" in bench.play("check")["check_failed"]
    bench.tell("cat", code=12)
    assert bench.play()["run_failed"] == "wrong password"
    bench.tell("cat", out='{"id": "abc"}')
    state = bench.play()
    assert "run_failed" not in state
    assert "damaged" in state["check_failed"]


@pytest.mark.parametrize("spoilt", ["missing", "empty"])
def test_a_source_that_is_missing_or_empty_is_not_even_tried(bench: Bench, spoilt: str) -> None:
    (bench.source / "file").unlink()
    if spoilt == "missing":
        bench.source.rmdir()
    assert bench.play()["run_failed"] == f"{bench.source} is missing or empty; is it mounted?"
    assert bench.asked == []


def test_a_repository_is_made_only_where_there_is_none(bench: Bench) -> None:
    bench.tell("cat", code=10, time=0)
    assert bench.play()["snapshot"] == "f00"
    assert "init -q" in bench.asked


@pytest.mark.parametrize("code", [1, 11, 12, 124])
def test_no_repository_is_made_where_nobody_knows_whether_there_is_one(bench: Bench, code: int) -> None:
    bench.tell("cat", code=code, err="Fatal: no route")
    assert "repository" not in bench.play()
    assert "init -q" not in bench.asked


def test_a_check_makes_no_repository(bench: Bench) -> None:
    bench.tell("cat", code=10)
    assert bench.play("check")["check_failed"].startswith("the repository is gone")


def test_every_part_is_read_in_turn_and_a_failed_one_again(bench: Bench) -> None:
    read = []
    for failed in (False, False, True, False, False, False):
        bench.tell("check", code=int(failed))
        bench.play("check")
        read += [line.rpartition("=")[2] for line in bench.asked if line.startswith("check")]
    assert read == [f"{part}/{PARTS}" for part in (1, 2, 3, 3, 4, 1)]


def test_nothing_is_removed_from_a_damaged_repository(bench: Bench) -> None:
    def removals() -> list[str]:
        bench.play("check")
        return [word for line in bench.asked if (word := line.split()[0]) in ("forget", "prune")]

    bench.tell("check", code=1)
    assert removals() == []
    bench.tell("check")
    assert removals() == ["forget", "prune"]


def test_an_append_only_repository_is_neither_asked_to_forget_nor_to_prune(tmp_path: Path) -> None:
    bench = Bench(tmp_path, DISK.model_copy(update={"append_only": True}))
    assert "check_failed" not in bench.play("check")
    assert not [line for line in bench.asked if line.startswith(("forget", "prune"))]


def test_a_file_that_went_away_while_it_was_read_is_tried_once_more(bench: Bench) -> None:
    bench.tell("backup", code=3, err="gone", time=0)
    assert "run_failed" not in bench.play()


def lock(host: str, pid: int) -> str:
    return json.dumps({"hostname": host, "pid": pid}, indent=1)


@pytest.mark.parametrize("holder", ["dead", "reused", "alive", "other"])
def test_only_a_lock_of_a_dead_process_of_ours_is_taken_away(bench: Bench, holder: str) -> None:
    bench.tell("check", code=11, time=0)
    if holder in ("alive", "other"):
        bench.tell("check", code=11)
    bench.tell("list", out="l1")
    restic = bench.folder / "bin" / "restic"
    restic.parent.mkdir()
    restic.symlink_to("/bin/sleep")
    with subprocess.Popen([restic if holder == "alive" else "/bin/sleep", "60"]) as process:
        pid = 4194304 if holder == "dead" else process.pid
        host = "laptop" if holder == "other" else os.uname().nodename
        bench.tell("lock", out=lock(host, pid))
        state = bench.play("check")
        process.kill()
    assert ("unlock -q" in bench.asked) == (holder in ("dead", "reused"))
    if holder in ("alive", "other"):
        assert state["check_failed"] == f"locked by process {pid} of {host}, not damaged"
        assert f"--retry-lock {scripts.PATIENCE} check --read-data-subset=1/4" in bench.asked
    else:
        assert "check_failed" not in state
