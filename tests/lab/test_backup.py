"""The backup role on a real host, with real restic and all three kinds of repositories, and each trap of restic's."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rackwright.roles.backup.scripts import new_enough
from rackwright.roles.backup.settings import Access, Repository, Settings
from rackwright.roles.backup.state import COMMAND, RepositoryState, parse
from rackwright.route import Route
from rackwright.values.secrets import Secret
from tests.lab import exposure
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, operator
from tests.waiting import wait_until

pytestmark = pytest.mark.lab
HOST, VAULT = "gate1", "spare1"
"""The lab's fleet file leaves out hosts whose names start with spare."""
PASSWORD = "correct horse battery staple"
LOGIN = "l0gin/with@signs"
SAVED = ("/etc/rackwright", "/var/lib/rackwright", "/srv/models/tiny/0123456789abcdef")
MUST = ("/etc/rackwright/backup/run.sh", "/var/lib/rackwright/audit.log", f"{SAVED[2]}/.verified")
OLD = "backup -q --time '2020-01-01 00:00:00' --host gate1 --tag rackwright /etc/rackwright"


@dataclass(frozen=True)
class Backups:
    """A host that is backed up, and the vault that serves sftp and, append-only, rest."""

    host: LabHost
    vault: LabHost
    settings: Settings
    access: dict[str, Access]

    def role(self, settings: Settings | None = None, **access: Access) -> Callable[[], None]:
        wanted, opened = settings or self.settings, self.access | access

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
    with fresh_lab("backup", HOST, VAULT) as lab:
        host, vault = LabHost(lab, lab.fleet(), HOST), LabHost(lab, lab.fleet(), VAULT)
        key = tmp_path_factory.mktemp("ssh") / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        serve(vault, key.with_suffix(".pub").read_text())
        seed(host)
        host_key = vault.tell("cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub")
        settings = Settings(
            host=HOST,
            repositories=(
                Repository(name="disk", url="/mnt/disk/gate1", mount="/mnt/disk"),
                Repository(
                    name="ssh",
                    url=f"sftp:vault@{vault.address}:/home/vault/acme/gate1",
                    known_hosts=f"{vault.address} {host_key}",
                ),
                Repository(
                    name="web",
                    url=f"rest:https://{vault.address}:8000/acme/gate1",
                    user="one",
                    append_only=True,
                    own_ca=True,
                    route=Route(proxy=f"http://{vault.address}:8888"),
                ),
            ),
            sources=SAVED,
            must=MUST,
            exclude=("*.cred", "/var/lib/rackwright/backup"),
            timezone="Europe/Berlin",
        )
        access = {
            "disk": Access(Secret(PASSWORD)),
            "ssh": Access(Secret(PASSWORD), key=Secret(key.read_text())),
            "web": Access(Secret(PASSWORD), login=Secret(LOGIN), ca_pem=vault.tell("cat /srv/vault.crt")),
        }
        made = Backups(host, vault, settings, access)
        host.applied(made.role())
        yield made


def serve(vault: LabHost, public_key: str) -> None:
    vault.lab.exec(
        VAULT,
        f"""set -e
apt-get -qq update
export DEBIAN_FRONTEND=noninteractive
apt-get -qq install --no-install-recommends restic-rest-server openssl tinyproxy-bin >/dev/null
useradd --create-home vault; install -d -m 0700 -o vault /home/vault/.ssh
echo '{public_key.strip()}' | install -m 0600 -o vault /dev/stdin /home/vault/.ssh/authorized_keys
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=vault \
  -addext 'subjectAltName=IP:{vault.address}' -keyout /srv/vault.key -out /srv/vault.crt 2>/dev/null
install -d -o restic-rest-server /srv/rest; chown restic-rest-server /srv/vault.key
printf 'one:{{SHA}}%s\\n' "$(printf %s '{LOGIN}' | openssl dgst -sha1 -binary | base64)" >/srv/users
systemd-run --quiet --unit=rest --uid=restic-rest-server restic-rest-server --path /srv/rest --append-only \
  --htpasswd-file /srv/users --listen :8000 --tls --tls-cert /srv/vault.crt --tls-key /srv/vault.key
printf 'Port 8888\nTimeout 60\nMaxClients 20\nLogFile "/run/tinyproxy.log"\nConnectPort 8000\n' >/etc/tinyproxy.conf
systemd-run --quiet --unit=proxy tinyproxy -d -c /etc/tinyproxy.conf
""",
        timeout=300,
    )


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


def test_one_file_comes_back_and_what_matches_nothing_is_no_success(backups: Backups) -> None:
    assert backups.restic("disk", "dump latest /var/lib/rackwright/fleet/site.yml") == "fleet: acme"
    restic = "/etc/rackwright/backup/restic.sh disk"
    assert not backups.host.holds(f"{restic} dump latest /var/lib/rackwright/fleet/nothing.yml")
    # This is why the docs say dump, and not restore --include.
    assert backups.host.holds(f"{restic} restore latest --include /nothing.yml --target /srv/none")


def test_no_secret_lies_in_a_snapshot_nor_in_the_open_on_the_host(backups: Backups) -> None:
    host = backups.host
    backups.restic("disk", "restore latest --target /srv/back -q")
    assert host.tell("cat /srv/back/srv/models/tiny/0123456789abcdef/tiny.gguf") == "weights"
    assert host.tell("find /srv/back -name '*.cred'") == ""
    secrets = f"-e '{PASSWORD}' -e '{LOGIN}' -e 'PRIVATE KEY'"
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
    state = backups.run("web")
    backups.host.tell(f"sed -i 's/^append_only=no/append_only=yes/' {values}")
    assert state.failures == ("the last snapshot failed: old snapshots stay: their deletion was refused",)
    assert state.snapshot != before.snapshot


def test_snapshots_dated_into_the_future_push_out_no_honest_one(backups: Backups) -> None:
    honest = backups.state("disk").snapshot
    backups.restic("disk", OLD)
    backups.restic("disk", OLD.replace("2020", "2099"))
    state = backups.run("disk")
    assert not state.alarms
    left = {snapshot["id"]: snapshot["time"][:4] for snapshot in backups.snapshots("disk")}
    assert {honest, state.snapshot} < set(left)
    assert sorted(left.values())[0] != "2020"


def test_a_lock_that_a_killed_restic_left_stops_no_check(backups: Backups) -> None:
    host = backups.host
    opened = "-p LoadCredentialEncrypted=password:/etc/rackwright/backup/disk.password.cred -p CacheDirectory=x"
    held = "backup -q --stdin-from-command -- sleep infinity"
    host.tell(f"systemd-run -qG -u holder {opened} sh -c '. /etc/rackwright/backup/disk.values; talk {held}'")
    locks = "ls -A /srv/disk/gate1/locks"
    wait_until(lambda: host.tell(locks) != "")
    host.tell("systemctl kill --signal=KILL holder")
    assert host.tell(locks) != ""
    assert backups.run("disk", "check").part == 1
    assert not backups.state("disk").alarms
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


def test_without_the_key_all_of_it_goes_but_the_repository(site: Operator, backups: Backups) -> None:
    site.edit("backup:", "x-backup:")
    assert site("apply", "--yes", "--json").json["failed"] == 0
    assert (
        backups.host.tell("ls -d /etc/rackwright/backup /etc/systemd/system/rackwright-backup* 2>/dev/null || :")
        == ""
    )
    assert backups.host.holds("test -e /srv/own/gate1/config")
