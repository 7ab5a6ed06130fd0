"""The backup role on a real host, with real restic and all three kinds of repositories, and each trap of restic's."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rackwright.fleet.backup_access import access_of
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.backup import backup_of
from rackwright.roles.backup import others
from rackwright.roles.backup.others import Opens, question
from rackwright.roles.backup.scripts import new_enough
from rackwright.roles.backup.settings import Access, Settings
from rackwright.roles.backup.state import COMMAND, RepositoryState, parse
from rackwright.values.secrets import Secret
from tests.fleet.fleets import make_fleet
from tests.fleet.test_backup import LOCK
from tests.lab import exposure
from tests.lab.backup_vault import CHROOTS, REST, make_cheap, serve
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, operator
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/backup",
    "rackwright/fleet/backup_access.py",
    "rackwright/fleet/hosts/backup.py",
    "rackwright/lifecycle/backup",
    "rackwright/operations/credential.py",
    "roles/backup",
)
HOST, VAULT, OWNED = "gate1", "spare1", "gpu1"
"""The lab's fleet file leaves out hosts whose names start with spare."""
PASSWORD = "correct horse battery staple"
LOGIN = "l0gin/with@signs"
"""How each host's login begins."""
SAVED = ("/etc/rackwright", "/var/lib/rackwright", "/srv/models/tiny/0123456789abcdef")
MUST = ("/etc/rackwright/backup/run.sh", "/var/lib/rackwright/audit.log", f"{SAVED[2]}/.verified")
OLD = "backup -q --time '2020-01-01 00:00:00' --host gate1 --tag rackwright /etc/rackwright"


@dataclass(frozen=True)
class Backups:
    """A host that is backed up, and the vault that serves sftp and, append-only, rest."""

    folder: Path
    """With the secrets of all logins at the vault."""
    host: LabHost
    vault: LabHost
    settings: Settings
    access: Mapping[str, Access]
    owned: Settings
    """Those of another host, which an attacker owns."""
    owned_access: Mapping[str, Access]
    fleet: Fleet
    """It names the vault; its hosts' addresses are made up."""

    def role(self, settings: Settings | None = None, **access: Access) -> Callable[[], None]:
        wanted, opened = settings or self.settings, {**self.access, **access}

        def deploy() -> None:
            from rackwright.roles.backup.role import backup

            backup(settings=wanted, access=opened)

        return deploy

    def run(self, name: str, verb: str = "run") -> RepositoryState:
        """Run the unit once, whether it succeeds or fails; return the state that the host keeps."""
        unit = "rackwright-backup" if verb == "run" else "rackwright-backup-check"
        self.host.holds(f"systemctl reset-failed '{unit}@{name}'; systemctl start {unit}@{name}")
        return self.state(name)

    def state(self, name: str) -> RepositoryState:
        return parse(self.host.tell(COMMAND)).repositories[name]

    def restic(self, name: str, words: str) -> str:
        """Return what restic prints, run with the repository's credentials."""
        return self.host.tell(f"/etc/rackwright/backup/restic.sh {name} {words}")

    def snapshots(self, name: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self.restic(name, "snapshots --json"))
        return found


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backups]:
    folder = tmp_path_factory.mktemp("fleet")
    with fresh_lab("backup", HOST, VAULT) as lab:
        host, vault = LabHost(lab, lab.fleet(), HOST), LabHost(lab, lab.fleet(), VAULT)
        serve(vault, folder, (HOST, OWNED, "kit"))
        seed(host)
        fleet = described(folder, vault)
        access = access_of(fleet)
        owned = settings_of(fleet, OWNED), access[OWNED], fleet
        made = Backups(folder, host, vault, settings_of(fleet, HOST), access[HOST], *owned)
        host.applied(made.role())
        yield made


def described(folder: Path, vault: LabHost) -> Fleet:
    """Return a fleet with all three kinds of repositories."""
    (folder / "password").write_text(PASSWORD)
    host_key = vault.tell("cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub")
    disk = {"name": "disk", "url": "/mnt/disk", "mount": "/mnt/disk"}
    ssh = {"name": "ssh", "url": f"sftp:{{host}}@{vault.address}:/acme", "key": "file:{host}", "host_key": host_key}
    web = {"name": "web", "url": f"rest:https://{vault.address}:8000", "user": "{host}", "login": "file:{host}.login"}
    web |= {"append_only": "yes", "ca": "vault.crt"}
    return make_fleet(
        folder / "acme.yml",
        backup={"to": [one | {"password": "file:password"} for one in (disk, ssh, web)]},
        downloads={"proxy": f"http://{vault.address}:8888"},
    )


def settings_of(fleet: Fleet, host: str) -> Settings:
    settings = backup_of(fleet, LOCK, host)
    assert settings is not None
    exclude = ("*.cred", "/var/lib/rackwright/backup")
    return settings.model_copy(
        update={"sources": SAVED, "must": MUST, "exclude": exclude, "timezone": "Europe/Berlin"}
    )


@pytest.fixture(scope="module")
def owned(backups: Backups) -> str:
    """Give the host the credentials of the owned host, and a script that runs restic with them; return the folder."""
    folder, host = "/root/owned", backups.host
    keys, login = backups.owned_access["ssh"].key, backups.owned_access["web"].login
    assert keys is not None
    assert login is not None
    ssh, web = (one for one in backups.owned.repositories if one.name != "disk")
    host.tell(
        f"""set -e; umask 077; mkdir {folder}; cd {folder}
printf '%s\\n' '{keys.reveal()}' >key; printf %s '{login.reveal()}' >login
printf %s '{backups.owned_access["ssh"].password.reveal()}' >ssh.password
printf %s '{backups.owned_access["web"].password.reveal()}' >web.password
printf '%s\n' '{ssh.known_hosts}' >known_hosts; printf %s '{backups.owned_access["web"].ca_pem}' >ca.crt
cat >restic <<'END'
#!/bin/sh
name=$1 url={ssh.url.removesuffix("gpu1")}$2; [ $1 = ssh ] || url={web.url.removesuffix("gpu1")}$2
shift 2; cd {folder}
export RESTIC_PASSWORD_FILE=$name.password RESTIC_REST_USERNAME=gpu1 RESTIC_REST_PASSWORD=$(cat login)
ssh="-i key -F none -o BatchMode=yes -o UserKnownHostsFile=known_hosts"
exec timeout 60 restic -r "$url" --cacert ca.crt --no-cache -o "sftp.args=$ssh" "$@"
END
chmod 700 restic"""
    )
    return folder


def seed(host: LabHost) -> None:
    host.tell(
        """set -e
mkdir -p /etc/rackwright/certificates /var/lib/rackwright/fleet /srv/models/tiny/0123456789abcdef /mnt/disk
echo '{"format": "audit/1"}' >/var/lib/rackwright/audit.log
echo 'fleet: acme' >/var/lib/rackwright/fleet/site.yml
printf key | systemd-creds encrypt --name=gateway.key - /etc/rackwright/certificates/gateway.key.cred
echo weights >/srv/models/tiny/0123456789abcdef/tiny.gguf; echo digest >/srv/models/tiny/0123456789abcdef/.verified
mkdir /srv/disk; mount --bind /srv/disk /mnt/disk"""
    )


def ids(backups: Backups, name: str) -> list[str]:
    return [snapshot["id"] for snapshot in backups.snapshots(name)]


def test_the_role_does_nothing_to_its_own_result(backups: Backups) -> None:
    assert backups.host.plan(backups.role()).changes == 0


def test_its_units_are_held_to_their_exposure(backups: Backups) -> None:
    found = exposure.measured(backups.host.lab, HOST)
    assert {f"rackwright-backup{verb}@{name}" for verb in ("", "-check") for name in ("disk", "ssh", "web")} <= {
        *found
    }
    assert exposure.loose(backups.host.lab, HOST) == {}


@pytest.mark.parametrize("name", ["disk", "ssh", "web"])
def test_a_first_snapshot_is_made_at_each_kind_of_repository(backups: Backups, name: str) -> None:
    state = backups.run(name)
    assert not state.alarms
    assert state.files
    assert ids(backups, name) == [state.snapshot]
    if name == "web":
        assert f"CONNECT {backups.vault.address}:8000" in backups.vault.tell("cat /run/tinyproxy.log")
    # From here on, restic needs no time for its key.
    where = {
        "disk": (backups.host, "/srv/disk/gate1"),
        "ssh": (backups.vault, f"{CHROOTS}/gate1/acme/gate1"),
        "web": (backups.vault, "/srv/rest/gate1"),
    }
    make_cheap(*where[name], backups.access[name].password)


@pytest.mark.parametrize("name", ["ssh", "web"])
def test_an_owned_host_reads_and_forges_no_snapshot_of_another(backups: Backups, owned: str, name: str) -> None:
    before = ids(backups, name)
    backups.host.tell(f"{owned}/restic {name} gpu1 init -q")
    forged = "backup -q --host gate1 --tag rackwright /etc/rackwright"
    backups.host.tell(f"{owned}/restic {name} gpu1 {forged}")
    assert not backups.host.holds(f"{owned}/restic {name} gate1 snapshots")
    assert not backups.host.holds(f"{owned}/restic {name} gate1 {forged}")
    assert ids(backups, name) == before


def test_an_owned_host_sees_and_deletes_nothing_of_another_over_sftp(backups: Backups, owned: str) -> None:
    host, before = backups.host, ids(backups, "ssh")
    sftp = f"sftp -q -b - -i {owned}/key -o UserKnownHostsFile={owned}/known_hosts"
    at = backups.vault.address
    assert host.tell(f"echo 'ls -1 /acme' | {sftp} gpu1@{at} | grep -v '^sftp>'") == "/acme/gpu1"
    for path in ("/acme/gate1", f"{CHROOTS}/gate1/acme/gate1", "../gate1/acme/gate1"):
        assert not host.holds(f"echo 'rm {path}/snapshots/{before[0]}' | {sftp} gpu1@{at}"), path
    assert not host.holds(f"echo ls | {sftp} gate1@{at}")
    assert ids(backups, "ssh") == before


def test_an_owned_host_sees_and_deletes_nothing_of_another_over_rest(backups: Backups, owned: str) -> None:
    before = ids(backups, "web")
    for user, method in (("gpu1", "GET"), ("gpu1", "DELETE"), ("gpu1", "POST"), ("gate1", "GET"), ("gate1", "POST")):
        sent = f"-X {method} {'-d forged' if method == 'POST' else ''}"
        snapshot = f"https://{backups.vault.address}:8000/gate1/snapshots/{before[0]}"
        asked = f'curl -s --cacert {owned}/ca.crt -u {user}:"$(cat {owned}/login)" {sent} {snapshot}'
        assert backups.host.tell(f"{asked} -o /dev/null -w '%{{http_code}}'") in ("401", "403"), (user, method)
    assert ids(backups, "web") == before


def test_check_tells_a_server_that_keeps_hosts_apart_from_one_that_does_not(backups: Backups) -> None:
    vault, mine = backups.vault, f"{CHROOTS}/gate1/acme/gpu1"

    def found() -> dict[str, Opens]:
        pairs = zip(backups.settings.repositories, backups.owned.repositories, strict=True)
        return {one.name: others.parse(backups.host.tell(question(one, other.url))) for one, other in pairs}

    assert set(found().values()) == {Opens.REFUSED}
    vault.tell(f"cp -a {CHROOTS}/gpu1/acme/gpu1 {mine} && chown -R gate1 {mine}")
    vault.tell(f"systemctl stop rest; {REST}")
    backups.host.tell("cp -a /mnt/disk/gate1 /mnt/disk/gpu1")
    opened = found()
    backups.host.tell("rm -r /mnt/disk/gpu1")
    vault.tell(f"rm -r {mine}; systemctl stop rest; {REST} --private-repos")
    assert opened == {"disk": Opens.READS, "ssh": Opens.REACHES, "web": Opens.REACHES}


def test_one_file_comes_back_and_what_matches_nothing_is_no_success(backups: Backups) -> None:
    assert backups.restic("disk", "dump latest /var/lib/rackwright/fleet/site.yml") == "fleet: acme"
    restic = "/etc/rackwright/backup/restic.sh disk"
    assert not backups.host.holds(f"{restic} dump latest /var/lib/rackwright/fleet/nothing.yml")
    # This is why the docs say dump, and not restore --include.
    assert backups.host.holds(f"{restic} restore latest --include /nothing.yml --target /srv/none")


@pytest.fixture
def controller(backups: Backups) -> Operator:
    """An operator whose fleet file has the real host's address."""
    path, lab = backups.fleet.path, backups.host.fleet
    sections = backups.fleet.file.model_dump(mode="json", exclude_unset=True, by_alias=True)
    sections["hosts"][HOST] = {"address": backups.host.address, "ssh": {"user": lab.user, "key": str(lab.key)}}
    path.write_text(json.dumps(sections))
    path.with_suffix(".known_hosts").write_text(lab.known_hosts.read_text())
    return Operator(path)


def test_one_file_comes_back_by_command_and_the_host_need_not_answer(
    controller: Operator, backups: Backups, tmp_path: Path
) -> None:
    path, host = "/var/lib/rackwright/fleet/site.yml", backups.host
    shown = controller("backup", "show", HOST, "/var/lib/rackwright/fleet", "--json").json
    assert (shown["repository"], shown["read_on_host"]) == ("disk", True)
    assert [entry["path"] for entry in shown["entries"]] == ["/var/lib/rackwright/fleet", path]
    for name in ("disk", "ssh", "web"):
        said = controller(
            "backup", "get", HOST, path, "--from", name, "--output", str(tmp_path / name), "--json"
        ).json
        assert (tmp_path / name).read_text() == "fleet: acme\n"
        assert said["read_on_host"] == (name == "disk")
    host.tell("systemctl stop ssh.socket ssh")
    try:
        gone = controller("backup", "get", HOST, path, "--output", str(tmp_path / "gone"), "--json").json
        missing = controller("backup", "get", HOST, f"{path}s", "--output", str(tmp_path / "missing"), check=1)
    finally:
        host.tell("systemctl start ssh.socket ssh")
    assert gone["repository"] == "ssh"
    assert {one["repository"] for one in gone["passed_over"]} == {"disk"}
    assert (tmp_path / "gone").read_text() == "fleet: acme\n"
    assert f"  - {path}" in missing.err
    assert not (tmp_path / "missing").exists()


def test_no_secret_lies_in_a_snapshot_nor_in_the_open_on_the_host(backups: Backups) -> None:
    host = backups.host
    backups.restic("disk", "restore latest --target /srv/back -q")
    assert host.tell("cat /srv/back/srv/models/tiny/0123456789abcdef/tiny.gguf") == "weights"
    assert host.tell("find /srv/back -name '*.cred'") == ""
    derived = backups.access["disk"].password.reveal()
    secrets = f"-e '{PASSWORD}' -e '{derived}' -e '{LOGIN}' -e 'PRIVATE KEY'"
    for place in ("/srv/back", "/etc/rackwright", "/var/lib/rackwright", "/run/rackwright-backup /var/log"):
        assert not host.holds(f"grep -rlaF {secrets} -- {place}"), place
    assert not host.holds(f"journalctl -o cat | grep -F {secrets}")


@pytest.mark.parametrize(
    "trap", ["mv {0} {0}.away", "mv {0} {0}.away && mkdir {0}"], ids=["missing", "an empty mount"]
)
def test_a_source_that_is_missing_or_empty_makes_no_snapshot(backups: Backups, trap: str) -> None:
    source, before = SAVED[2], backups.state("disk")
    backups.host.tell(trap.format(source))
    state = backups.run("disk")
    backups.host.tell(f"rm -rf {source}; mv {source}.away {source}")
    assert state.failures == (f"the last snapshot failed: {source} is missing or empty; is it mounted?",)
    assert state.snapshot == before.snapshot


def test_a_target_that_is_not_mounted_is_not_written_to(backups: Backups) -> None:
    backups.host.tell("umount /mnt/disk")
    state = backups.run("disk")
    left = backups.host.tell("ls -A /mnt/disk")
    backups.host.tell("mount --bind /srv/disk /mnt/disk")
    assert state.failures == ("the last snapshot failed: /mnt/disk is not mounted",)
    assert left == ""


def test_a_missing_repository_is_not_created_again_and_another_is_not_taken_for_it(backups: Backups) -> None:
    host = backups.host
    host.tell("mv /srv/disk/gate1 /srv/disk/away")
    gone = backups.run("disk")
    left = host.tell("ls /srv/disk")
    backups.restic("disk", "init -q")
    another = backups.run("disk")
    host.tell("rm -rf /srv/disk/gate1; mv /srv/disk/away /srv/disk/gate1")
    assert gone.failures == ("the last snapshot failed: the repository is gone; no new one is created",)
    assert left == "away"
    assert another.failures == ("the last snapshot failed: there is another repository in its place",)


def test_a_changed_password_reaches_the_host_and_a_wrong_one_is_named(backups: Backups) -> None:
    wrong = backups.role(disk=Access(Secret("another")))
    assert backups.host.applied(wrong).changes == 1
    state = backups.run("disk")
    assert backups.host.applied(backups.role()).changes == 1
    assert state.failures == ("the last snapshot failed: wrong password",)


def test_a_server_that_is_away_or_has_another_key_gets_nothing(backups: Backups) -> None:
    pinned = "/etc/rackwright/backup/ssh.known_hosts"
    backups.vault.tell("systemctl stop ssh.socket ssh")
    away = backups.run("ssh")
    backups.vault.tell("systemctl start ssh")
    backups.host.tell(f"sed -i 's/AAAAC3/AAAAC4/' {pinned}")
    foreign = backups.run("ssh")
    backups.host.tell(f"sed -i 's/AAAAC4/AAAAC3/' {pinned}")
    for state in (away, foreign):
        assert state.failures[0].startswith("the last snapshot failed: can't be reached: ")


def test_deletions_that_an_append_only_server_refuses_are_noticed(backups: Backups) -> None:
    values = "/etc/rackwright/backup/web.values"
    backups.restic("web", OLD)
    before = backups.state("web")
    backups.host.tell(f"sed -i 's/^append_only=yes/append_only=no/' {values}")
    backups.run("web")
    state = backups.run("web", "check")
    backups.host.tell(f"sed -i 's/^append_only=no/append_only=yes/' {values}")
    assert state.failures == ("the last check failed: old snapshots stay: their deletion was refused",)
    assert state.snapshot != before.snapshot


def test_snapshots_dated_into_the_future_push_out_no_honest_one(backups: Backups) -> None:
    honest = backups.state("disk").snapshot
    backups.restic("disk", OLD)
    backups.restic("disk", OLD.replace("2020", "2099"))
    backups.run("disk")
    state = backups.run("disk", "check")
    assert not state.alarms
    left = {snapshot["id"]: snapshot["time"][:4] for snapshot in backups.snapshots("disk")}
    assert {honest, state.snapshot} < set(left)
    assert sorted(left.values())[0] != "2020"


def test_a_lock_that_a_killed_restic_left_stops_no_check(backups: Backups) -> None:
    host = backups.host
    opened = "-p LoadCredentialEncrypted=password:/etc/rackwright/backup/disk.password.cred -p CacheDirectory=x"
    held = "backup -q --stdin-from-command -- sleep infinity"
    host.tell(f"systemd-run -qG -u holder {opened} sh -c '. /etc/rackwright/backup/disk.values; talk {held}'")
    # restic writes a file with a longer name and renames it.
    locks = "ls -A /srv/disk/gate1/locks | grep -xE '[0-9a-f]{64}' || true"
    wait_until(lambda: host.tell(locks) != "")
    host.tell("systemctl kill --signal=KILL holder")
    assert host.tell(locks) != ""
    before = backups.state("disk")
    state = backups.run("disk", "check")
    assert not state.alarms
    assert state.part != before.part
    assert host.tell(locks) == ""


def test_a_run_that_was_killed_is_an_alarm(backups: Backups) -> None:
    unit = "rackwright-backup@disk.service"
    backups.host.tell(
        f"exec 9>/run/rackwright-backup/disk.lock; flock 9; systemctl start --no-block {unit}; "
        f"until systemctl is-active {unit} | grep -q activating; do sleep 0.1; done; systemctl kill -s KILL {unit}"
    )
    wait_until(lambda: not backups.state("disk").running)
    assert backups.state("disk").alarms == ("the last snapshot ended by signal",)


def test_a_flipped_bit_that_a_plain_check_misses_is_found_by_the_part_that_reads_it(backups: Backups) -> None:
    host = backups.host
    pack = host.tell("find /srv/disk/gate1/data -type f -printf '%s %p\\n' | sort -n | tail -n 1 | cut -d ' ' -f 2")
    part = int(Path(pack).name[:2], 16) % 4 + 1
    host.tell(
        f"cp -p {pack} /srv/pack; chmod u+w {pack}; printf X | dd of={pack} bs=1 seek=40 conv=notrunc status=none"
    )
    assert host.holds("/etc/rackwright/backup/restic.sh disk check -q")
    assert not backups.run("disk").alarms
    host.tell(f'sed -i \'s/"part": "[0-9]*"/"part": "{part - 1}"/\' /var/lib/rackwright/backup/disk.json')
    before = backups.state("disk")
    state = backups.run("disk", "check")
    host.tell(f"cp -p /srv/pack {pack}")
    assert state.failures[0].startswith("the last check failed: damaged, or not read completely: ")
    assert (state.part, state.check_at) == (before.part, before.check_at)
    mended = backups.run("disk", "check")
    assert not mended.alarms
    assert mended.part == part


def test_a_dead_timer_is_an_alarm_and_the_next_apply_repairs_it(backups: Backups) -> None:
    for death in ("stop", "disable"):
        backups.host.tell(f"systemctl {death} rackwright-backup@disk.timer")
        assert backups.state("disk").alarms == ("rackwright-backup@disk.timer is dead",)
    assert backups.host.applied(backups.role()).changes == 2
    assert not backups.state("disk").alarms


def test_a_restic_that_is_too_old_is_known_before_a_script_takes_its_place(backups: Backups) -> None:
    assert backups.host.holds(new_enough("0.17.0"))
    assert not backups.host.holds(new_enough("0.99.0"))
    backups.host.tell(
        "printf '#!/bin/sh\\necho restic 0.16.4 compiled\\n' | install -m 755 /dev/stdin /usr/local/bin/restic"
    )
    assert parse(backups.host.tell(COMMAND)).restic_is_old
    backups.host.tell("rm /usr/local/bin/restic")


@pytest.fixture(scope="module")
def site(backups: Backups, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """A fleet of that host alone, which backs itself up to a folder."""
    # As if no apply had run there yet.
    backups.host.tell("rm -r /var/lib/rackwright/fleet")
    fleet = backups.host.fleet
    made = operator(tmp_path_factory.mktemp("fleet"), replace(fleet, hosts={HOST: fleet.hosts[HOST]}))
    (made.path.parent / "password").write_text(f"{PASSWORD}\n")
    with made.path.open("a") as stream:
        stream.write("backup: {to: [{name: own, url: /srv/own, password: 'file:password'}]}\n")
    return made


def test_an_apply_ends_with_a_first_snapshot_of_what_it_left_and_the_next_changes_nothing(
    site: Operator, backups: Backups
) -> None:
    said = site("apply", "--yes")
    assert "First snapshots" in said.err
    assert "gate1: snapshot at own: done" in said.err
    assert site("apply", "--yes", "--json").json["changed"] == 0
    assert backups.restic("own", "dump latest /var/lib/rackwright/fleet/test.yml") == site.path.read_text().strip()
    listed = site("backup", "list", "--json").json["snapshots"]
    assert [(one["host"], one["repository"]) for one in listed] == [(HOST, "own")]
    assert "assistant" in backups.restic("own", "ls latest /srv/models/assistant"), "no source gives the weights back"
    left = backups.host.tell("ls /etc/rackwright/backup /etc/systemd/system")
    assert "own.values" in left
    assert not [name for name in ("disk", "ssh", "web") if f"{name}.values" in left or f"@{name}.timer" in left]


def test_a_snapshot_and_a_check_are_made_by_hand_and_audited(site: Operator, backups: Backups) -> None:
    site("key", "add", "ci", "--owner", "tests")
    site("apply", "--yes")
    assert site("backup", "run", HOST, "--json").json["good"] == 1
    saved = backups.restic("own", "ls latest /var/lib/rackwright/fleet").splitlines()
    kept = {
        f"/var/lib/rackwright/fleet/test.{suffix}" for suffix in ("yml", "lock", "keys.yml", "known_hosts", "ca.crt")
    }
    assert kept <= {*saved}
    assert site("backup", "check", "--to", "own", "--json").json["made"][0]["part"] == 1
    acts = [json.loads(line) for line in backups.host.tell("tail -n 2 /var/lib/rackwright/audit.log").splitlines()]
    assert [(act["command"], act["outcome"]) for act in acts] == [("backup run", "done"), ("backup check", "done")]


def test_a_reinstalled_host_saves_nothing_until_someone_says_so(site: Operator, backups: Backups) -> None:
    before = [one["id"] for one in backups.snapshots("own")]
    backups.host.tell("rm /var/lib/rackwright/backup/own.json")
    applied = site("apply", "--yes", "--json", check=3)
    assert "rackwright restore gate1, or rackwright backup run gate1 --to own --adopt" in applied.err
    refused = site("backup", "run", "--json", check=3).json["made"][0]
    assert refused["problem"].startswith(f"the repository has {len(before)} snapshots of an earlier gate1, newest ")
    assert site("backup", "check", "--json", check=12).json["failed"] == 1
    assert f"has {len(before)} snapshots of an earlier gate1" in site("status", check=12).out
    failed = [proof["found"] for proof in site("verify", "--json", check=12).json["proofs"] if not proof["passed"]]
    assert "snapshots of an earlier gate1" in failed[0]
    assert [one["id"] for one in backups.snapshots("own")] == before
    adopted = site("backup", "run", "--adopt", "--yes", "--json").json
    assert (adopted["good"], [one["instead_of"] for one in adopted["adopted"]]) == (1, [None])
    assert len(backups.snapshots("own")) == len(before) + 1
    assert not backups.state("own").alarms, "a check that was refused is no failed check"
    acts = [json.loads(line) for line in backups.host.tell("tail -n 2 /var/lib/rackwright/audit.log").splitlines()]
    assert [act["command"] for act in acts] == ["backup run --adopt", "backup run"]


def test_ctrl_c_stops_watching_and_the_snapshot_goes_on(site: Operator, backups: Backups) -> None:
    before = backups.state("own").snapshot
    backups.host.tell("systemd-run -qG -u holder flock /run/rackwright-backup/own.lock sleep infinity")
    running = site.start("backup", "run")
    wait_until(lambda: backups.state("own").running)
    running.send_signal(signal.SIGINT)
    assert running.stdout is not None
    assert "not awaited; it continues as rackwright-backup@own.service" in running.stdout.read()
    assert running.wait(timeout=60) == 3
    backups.host.tell("systemctl stop holder")
    wait_until(lambda: not backups.state("own").running)
    assert backups.state("own").snapshot != before


def test_verify_and_status_are_loud_when_a_timer_is_dead_and_else_say_the_ages(
    site: Operator, backups: Backups
) -> None:
    assert "backups: 1 of 1 good; the oldest: snapshot " in site("status").out
    backups.host.tell("systemctl stop rackwright-backup@own.timer")
    alarm = "rackwright-backup@own.timer is dead"
    assert f"backup gate1 to own: {alarm}" in site("status", check=12).out
    failed = [proof for proof in site("verify", "--json", check=12).json["proofs"] if not proof["passed"]]
    assert [(proof["host"], proof["what"], proof["found"]) for proof in failed] == [
        (HOST, "it is backed up to own", alarm)
    ]
    site("plan", "--check", check=4)


def test_an_apply_leaves_a_kit_at_the_vault_and_status_shows_it(site: Operator, backups: Backups) -> None:
    backups.host.tell("systemctl start rackwright-backup@own.timer")
    for name in (*(f"{login}{kind}" for login in (HOST, "kit") for kind in ("", ".login")), "vault.crt"):
        shutil.copy(backups.folder / name, site.path.parent)
    host_key = backups.vault.tell("cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub")
    ssh = {"name": "first", "url": f"sftp:{{host}}@{backups.vault.address}:/acme/site", "key": "file:{host}"}
    web = {"name": "second", "url": f"rest:https://{backups.vault.address}:8000/{{host}}", "append_only": "yes"}
    web |= {"user": "{host}", "login": "file:{host}.login", "ca": "vault.crt"}
    to = [{"name": "own", "url": "/srv/own"}, ssh | {"host_key": host_key}, web]
    written = json.dumps({"to": [one | {"password": "file:password"} for one in to]})
    site.edit("backup: {to: [{name: own, url: /srv/own, password: 'file:password'}]}", f"backup: {written}")
    said = site("apply", "--yes").err
    assert "The kit" in said
    assert "kit at first: done" in said
    assert "kit at second: done" in said
    assert "kit at first: 0 min old, with the CA key" in site("status").out
    before = kits(site)
    assert [(kit["repository"], kit["current"]) for kit in before] == [("first", True), ("second", True)]
    assert site("apply", "--yes", "--json").json["changed"] == 0
    assert kits(site) == before, "nothing was saved again"
    site("key", "add", "saved", "--owner", "tests")
    after = kits(site)
    assert not {kit["snapshot"] for kit in after} & {kit["snapshot"] for kit in before}
    site("key", "revoke", "saved", "--yes", "--later")
    assert kits(site) == after
    assert site("backup", "kit", "--to", "second", "--json").json["good"] == 1
    for path in ("/srv/backup/kit/acme/site/kit/config", "/srv/rest/kit/kit/config"):
        assert backups.vault.holds(f"test -e {path}"), path


def kits(site: Operator) -> list[dict[str, object]]:
    return [one | {"age": None} for one in site("status", "--json").json["kits"]]


def test_without_the_key_all_of_it_goes_but_the_repository(site: Operator, backups: Backups) -> None:
    site.edit("backup:", "x-backup:")
    assert site("apply", "--yes", "--json").json["failed"] == 0
    assert (
        backups.host.tell("ls -d /etc/rackwright/backup /etc/systemd/system/rackwright-backup* 2>/dev/null || :")
        == ""
    )
    assert backups.host.holds("test -e /srv/own/gate1/config")
