"""People on real hosts: who can log in, what each may do, who is locked out, and what the logs say about it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.lab.hosts import Lab, LabFleet
from rackwright.remote import Completed, Connection
from rackwright.values.targets import Target
from tests.hostile import assert_harmless
from tests.lab.operator import Operator, Said, operator
from tests.lab.standard import standard_lab

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/fleet/hosts/people.py",
    "rackwright/fleet/sections/people.py",
    "rackwright/lifecycle/access",
    "rackwright/operations/end_sessions.sh",
    "rackwright/operations/facts/account.py",
    "rackwright/operations/facts/people.py",
    "rackwright/operations/people.py",
    "roles/people",
)


@dataclass(frozen=True)
class House:
    """Two hosts, their fleet file, and the keys of people."""

    site: Operator
    lab: Lab
    fleet: LabFleet

    def key(self, name: str) -> Path:
        path = self.site.path.with_name(f"id_{name}")
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def line(self, name: str) -> str:
        return Path(f"{self.key(name)}.pub").read_text().strip()

    def fingerprint(self, key: Path) -> str:
        shown = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True)
        return shown.stdout.split()[1]

    def people(self, **people: str) -> None:
        """Put exactly these people into the fleet file: name → role and further keys."""
        text = self.site.path.read_text().partition("\npeople:")[0].rstrip("\n")
        entries = [f"  {name}: {{keys: [{self.line(name)}], role: {more}}}" for name, more in people.items()]
        self.site.path.write_text("\n".join([text, "", "people:", *entries, ""]) if entries else f"{text}\n")

    def apply(self, check: int = 0) -> Said:
        return self.site("apply", "--yes", "--json", "--only", "people", "--only", "layout", check=check)

    def admits(self, **people: str) -> None:
        self.people(**people)
        self.apply()

    def login(self, name: str, host: str = "gpu1", key: Path | None = None) -> Connection:
        pins = self.fleet.known_hosts
        return Connection(
            Target(host, self.fleet.hosts[host], user=name, key=key or self.key(name), known_hosts=pins)
        )

    def does(self, name: str, command: str, host: str = "gpu1") -> Completed:
        login = self.login(name, host)
        try:
            return login.run(command, sudo=False)
        finally:
            login.close()

    def tell(self, command: str, host: str = "gpu1") -> str:
        return self.lab.exec(host, command).out.strip()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standard_lab("people", "gate1", "gpu1") as lab:
        fleet = lab.fleet()
        yield House(operator(tmp_path_factory.mktemp("site"), fleet), lab, fleet)


def test_an_operator_gets_in_by_key_and_may_do_everything(house: House) -> None:
    house.admits(anna="operator, full_name: Anna Lindqvist", ben="auditor")
    for host in ("gate1", "gpu1"):
        assert house.does("anna", "sudo -n id -u", host).stdout == "0\n"
    assert house.tell("getent passwd anna").split(":")[4] == "Anna Lindqvist"
    assert house.tell("stat -c '%a %U %n' /home/anna/.ssh /home/anna/.ssh/authorized_keys").splitlines() == [
        "700 anna /home/anna/.ssh",
        "600 anna /home/anna/.ssh/authorized_keys",
    ]
    assert house.apply().json["changed"] == 0


READS = (
    "cat /var/lib/rackwright/audit.log",
    "journalctl -n 1",
    "systemctl status ssh",
    "sudo -n nft list ruleset",
    "sudo -n ss -ltunp",
    "sudo -n sshd -T",
)
ACTS = (
    "sudo -n true",
    "sudo -n sh",
    "sudo -n -u anna id",
    "sudo -n -i",
    "sudo -n nft flush ruleset",
    "sudo -n nft list ruleset -f /tmp/rules",
    "sudo -n ss -K",
    "sudo -n sshd -T -f /tmp/config",
    "sudo -n journalctl",
    "sudoedit -n /etc/sudoers",
    "echo >>/var/lib/rackwright/audit.log",
    "cat /etc/shadow",
    "cat /home/anna/.ssh/authorized_keys",
    "systemctl restart ssh",
    "loginctl terminate-user anna",
)


def test_an_auditor_may_read_and_may_not_act(house: House) -> None:
    house.admits(anna="operator", ben="auditor")
    login = house.login("ben")
    told = {command: login.run(command, sudo=False) for command in (*READS, *ACTS)}
    login.close()
    assert {command: said.stderr for command, said in told.items() if command in READS and not said.ok} == {}
    assert [command for command in ACTS if told[command].ok] == []


def test_an_auditor_asks_for_the_audit_with_an_account_of_their_own(house: House) -> None:
    house.admits(anna="operator", ben="auditor")
    site = house.site.path
    own = site.with_name("ben.yml")
    own.write_text(f"extends: {site.name}\ndefaults: {{ssh: {{user: ben, key: {house.key('ben')}}}}}\n")
    own.with_suffix(".known_hosts").write_text(site.with_suffix(".known_hosts").read_text())
    acts = Operator(own)("audit", "--json").json["acts"]
    assert {act["host"] for act in acts} == {"gate1", "gpu1"}
    assert any("people: Give access to ben as auditor" in act["what"] for act in acts)
    assert "the user ben" in Operator(own)("lease", "show", check=3).err


def test_who_left_is_out_at_once_also_with_an_open_session(house: House) -> None:
    house.admits(anna="operator", ben="auditor")
    login = house.login("anna")
    login.run("nohup sleep 7777 >/dev/null 2>&1 & echo kept >note", sudo=False)
    assert house.tell("pgrep -u anna -f 'sleep 7777'")
    house.people(ben="auditor")
    assert "- anna: keys, groups and sessions; its home /home/anna stays" in house.site("plan").out
    house.apply()
    assert house.tell("pgrep -u anna || true") == ""
    with pytest.raises(HostError):
        login.run("true", sudo=False)
    with pytest.raises(HostError, match=r"the login of anna .* was refused"):
        house.login("anna").open()
    assert house.tell("cat /home/anna/note; ls /home/anna/.ssh; id -nG anna") == "kept\nanna rackwright-people"
    # Not only is the key missing: the account is locked.
    house.tell(f"echo '{house.line('anna')}' >k; install -m 600 -o anna k /home/anna/.ssh/authorized_keys; rm k")
    with pytest.raises(HostError):
        house.login("anna").open()
    assert house.apply().json["changed"] == 1
    assert house.apply().json["changed"] == 0
    house.admits(anna="operator", ben="auditor")
    assert house.does("anna", "sudo -n cat note").stdout == "kept\n"


def test_a_role_that_was_taken_away_is_gone_from_open_sessions_too(house: House) -> None:
    house.admits(anna="operator", ben="operator")
    login = house.login("ben")
    assert login.run("nohup sleep 6666 >/dev/null 2>&1 & sudo -n true", sudo=False).ok
    house.admits(anna="operator", ben="auditor")
    assert house.tell("pgrep -u ben || true") == ""
    assert not house.does("ben", "sudo -n true").ok
    assert house.apply().json["changed"] == 0


def test_keys_of_their_own_making_are_removed_and_a_link_leads_nowhere(house: House) -> None:
    house.admits(anna="operator", ben="auditor")
    house.does(
        "ben",
        "ssh-keygen -q -t ed25519 -N '' -f k && cat k.pub >>.ssh/authorized_keys; cp k.pub .ssh/authorized_keys2",
    )
    assert house.apply().json["changed"] == 1
    assert (
        house.tell("cat /home/ben/.ssh/authorized_keys; ls /home/ben/.ssh") == f"{house.line('ben')}\nauthorized_keys"
    )
    root = house.tell(
        "mkdir -p /root/.ssh; echo root >/root/.ssh/authorized_keys; stat -c %i /root/.ssh/authorized_keys"
    )
    house.does("ben", "mv .ssh .old; ln -s /root/.ssh .ssh")
    assert house.apply().json["changed"] == 1
    assert house.tell("cat /root/.ssh/authorized_keys; stat -c %i /root/.ssh/authorized_keys") == f"root\n{root}"
    assert house.does("ben", "true").ok
    house.does("ben", "mv .ssh .older; ln -s /root/.ssh .ssh")
    house.admits(anna="operator")
    assert house.tell("cat /root/.ssh/authorized_keys; rm /root/.ssh/authorized_keys") == "root"


def test_a_user_that_is_there_already_is_refused_unless_the_file_says_adopt(house: House) -> None:
    house.tell("useradd --create-home --groups adm carla; install -d -m 700 -o carla -g carla /home/carla/.ssh")
    house.tell(f"echo '{house.line('other')}' >k; install -m 600 -o carla k /home/carla/.ssh/authorized_keys; rm k")
    house.people(carla="operator", daemonic="operator")
    refused = house.apply(check=10)
    (problem,) = json.loads(refused.err)["error"]["problems"]
    assert problem["where"] == "gpu1: people.carla"
    assert re.fullmatch(r"the host already has a user carla .uid \d+, 1 SSH keys., not rackwright's", problem["what"])
    assert house.tell("getent passwd daemonic || true") == ""
    house.people(carla="operator, existing: adopt")
    assert f"- {house.fingerprint(house.key('other'))} other" in house.site("plan").out
    house.apply()
    assert house.does("carla", "sudo -n id -u").stdout == "0\n"
    with pytest.raises(HostError):
        house.login("carla", key=house.key("other")).open()
    assert house.apply().json["changed"] == 0
    # Accounts that are no longer managed stay as they are.
    house.people(carla="operator, manage: no")
    assert house.apply().json["changed"] == 0
    assert house.does("carla", "sudo -n true").ok


def test_the_account_that_the_tool_logs_in_with_is_never_put_out(house: House) -> None:
    own, ours = f"{house.fleet.key}.pub", house.fleet.user
    keys = house.tell(f"cat /home/{ours}/.ssh/authorized_keys")
    house.people(**{ours: "operator, existing: adopt"})
    refused = house.apply(check=10)
    assert f"{house.fingerprint(Path(own))}, which this command logs in with, is not among them" in refused.err
    assert house.tell(f"cat /home/{ours}/.ssh/authorized_keys") == keys
    text = house.site.path.read_text()
    house.site.path.write_text(text.replace(house.line(ours), Path(own).read_text().strip()))
    house.apply()
    house.people()
    refused = house.apply(check=10)
    assert f"{ours}, the user that this command logs in as, has left" in refused.err
    assert "rackwright-operators" in house.tell(f"id -nG {ours}").split()
    for host in ("gate1", "gpu1"):
        house.tell(f"gpasswd -d {ours} rackwright-people; gpasswd -d {ours} rackwright-operators", host)


def test_an_access_review_names_keys_their_use_and_what_the_file_does_not_say(house: House) -> None:
    house.admits(anna="operator", ben="auditor, until: 2099-12-31")
    assert house.does("anna", "true").ok
    house.tell(f"mkdir -p /root/.ssh; echo '{house.line('vendor')}' >/root/.ssh/authorized_keys")
    said = house.site("access", "review", "--json", check=12).json
    house.tell("rm /root/.ssh/authorized_keys")
    vendor = house.fingerprint(house.key("vendor"))
    assert said["findings"] == [f"gpu1: root: a key that isn't in the fleet file: {vendor} vendor"]
    found = {(account["host"], account["user"]): account for account in said["accounts"]}
    assert {"anna", "ben", "ops"} <= {user for host, user in found if host == "gate1"}
    anna, ben = found["gpu1", "anna"], found["gpu1", "ben"]
    assert (anna["role"], anna["sudo"]) == ("operator", ["(ALL : ALL) NOPASSWD: ALL"])
    assert anna["keys"][0]["person"] == "anna"
    assert anna["keys"][0]["last_use"]["from"] == house.fleet.controller
    assert (ben["role"], ben["until"], len(ben["sudo"])) == ("auditor", "2099-12-31", 1)
    shown = house.site("access", "review", "--markdown", "--host", "gpu1").out
    assert f"| gpu1 | ben | auditor | 2099-12-31 | {house.fingerprint(house.key('ben'))} ben | ben |" in shown
    assert "- everything matches the fleet file" in shown


def test_what_a_host_has_written_steers_no_terminal(house: House) -> None:
    """An SSH key's comment clears the screen and writes the clipboard; a journal line reorders and splits itself."""
    escape = r"\033[2J\033]52;c;ZXZpbA==\007"
    house.tell(f"mkdir -p /root/.ssh; printf '%b\\n' '{house.line('vendor')}{escape}' >/root/.ssh/authorized_keys")
    listed = house.site("access", "review", "--host", "gpu1", check=12)
    as_json = house.site("access", "review", "--host", "gpu1", "--json", check=12)
    house.tell("rm /root/.ssh/authorized_keys")
    for said in (listed, as_json):
        assert_harmless(said.out + said.err)
    shown = r"vendor\x1b[2J\x1b]52;c;ZXZpbA==\x07"
    vendor = house.fingerprint(house.key("vendor"))
    assert f"gpu1: root: a key that isn't in the fleet file: {vendor} {shown}" in listed.out
    assert any(finding.endswith("vendor\x1b[2J\x1b]52;c;ZXZpbA==\x07") for finding in as_json.json["findings"])
    written = r"all is well \342\200\256gnp.exe\342\200\250-- cursor: forged\n"
    house.tell(f"systemd-run --quiet --wait --unit=rackwright-hostile printf '{written}'")
    logged = house.site("logs", "gpu1")
    assert_harmless(logged.out + logged.err)
    assert r": all is well \u202egnp.exe\u2028-- cursor: forged" in logged.out


def test_without_people_nothing_of_it_is_left_but_homes(house: House) -> None:
    house.admits(anna="operator")
    house.admits()
    assert house.tell("ls /etc/sudoers.d") == "README\nops"
    assert house.apply().json["changed"] == 0


def test_the_audit_of_a_fleet_names_a_host_out_of_reach_and_a_damaged_line(house: House) -> None:
    house.admits(anna="operator")
    all_acts = house.site("audit", "--json").json["acts"]
    assert {act["host"] for act in all_acts} == {"gate1", "gpu1"}
    assert [act["time"] for act in all_acts] == sorted(act["time"] for act in all_acts)
    one_run = house.site("audit", "--json", "--run", all_acts[-1]["run"]).json["acts"]
    assert {(act["host"], act["command"]) for act in one_run} == {("gate1", "apply"), ("gpu1", "apply")}
    assert house.site("audit", "--who", house.fingerprint(house.fleet.key), "--host", "gpu1").out.count(" gpu1 ")
    house.tell("echo '{torn' >>/var/lib/rackwright/audit.log")
    damaged = house.site("audit", check=12)
    assert "gpu1: /var/lib/rackwright/audit.log:" in damaged.err
    house.tell("systemctl stop ssh")
    lost = house.site("audit", "--json", check=3).json
    assert list(lost["unreachable"]) == ["gpu1"]
    assert {act["host"] for act in lost["acts"]} == {"gate1"}
    house.tell("systemctl start ssh")
    assert house.site("audit", check=12).err == damaged.err


def test_one_hosts_garbage_stops_neither_status_nor_plan(house: House) -> None:
    house.admits()
    # Before /usr/bin in the PATH that sudo sets.
    house.tell(r"printf '#!/bin/sh\necho motd: be good\n' >/usr/local/bin/grep; chmod 755 /usr/local/bin/grep")
    found = house.site("status", "--json", check=12).json
    planned = house.site("plan", "--json", "--only", "people", check=3).json
    house.tell("rm /usr/local/bin/grep")
    assert {host["host"]: host["state"] for host in found["hosts"]} == {"gate1": "ok", "gpu1": "unreachable"}
    assert planned["failed_hosts"] == list(planned["unreachable"]) == ["gpu1"]
    assert "something that rackwright can't read: the survey at: ours before" in planned["unreachable"]["gpu1"]


def test_a_drop_in_that_rackwright_did_not_write_is_named(house: House) -> None:
    folder = "/etc/systemd/system/rackwright-firewall.service.d"
    house.tell(rf"mkdir {folder}; printf '[Service]\nNice=1\n' >{folder}/garbage.conf; systemctl daemon-reload")
    planned = house.site("plan", "--json", "--only", "people").json
    house.tell(f"rm -r {folder}; systemctl daemon-reload")
    named = f"gpu1: rackwright-firewall.service is changed by {folder}/garbage.conf, which rackwright didn't write"
    assert [found.partition(";")[0] for found in planned["overrides"]] == [named]
    assert house.site("plan", "--json", "--only", "people").json["overrides"] == []
