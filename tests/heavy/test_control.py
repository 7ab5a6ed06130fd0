"""Three control hosts agree by etcd: set up, lost, moved, and back to one. The tests build on one another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.fleet.ca import CertificateAuthority
from rackwright.fleet.x509 import BACKDATED
from rackwright.lab import programs
from rackwright.lab.hosts import Lab
from rackwright.roles.certificate.settings import FOLDER as CERTIFICATES
from rackwright.roles.etcd.settings import CTL, DATA, FOLDER, STARTED, UNIT
from rackwright.roles.etcd.state import COMMAND, EtcdState, parse
from tests.heavy.attacks import etcd as attacks
from tests.heavy.attacks import inside
from tests.heavy.attacks.inside import LAST, in_the_unit
from tests.heavy.attacks.outside import achieved
from tests.heavy.attacks.site import Site
from tests.lab import exposure
from tests.lab.operator import Operator, operator, read_until
from tests.lab.standard import standard_lab
from tests.slow_disk import slow_disk
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "deploys/control.py",
    "rackwright/cli/lease.py",
    "rackwright/fleet/hosts/etcd.py",
    "rackwright/fleet/reading/control_rules.py",
    "rackwright/fleet/recorded_control.py",
    "rackwright/lifecycle/control",
    "rackwright/lifecycle/session/control_host.py",
    "rackwright/lifecycle/session/control_store.py",
    "rackwright/lifecycle/session/last_applied.py",
    "rackwright/state/control.py",
    "rackwright/state/contents.py",
    "rackwright/state/etcd",
    "rackwright/state/store.py",
    "roles/etcd",
)
HOSTS = ("gate1", "gpu1", "gpu2")
OTHER = "gpu3"
LOST = f"systemctl stop {UNIT}; rm -rf {DATA} {FOLDER} /etc/systemd/system/{UNIT}; userdel rw_etcd"
"""Leaves of etcd what a new machine has."""

CUT = """nft -f - <<'END'
table inet cut {
    chain in { type filter hook input priority -300; tcp dport 2380 drop; tcp sport 2380 drop; }
    chain out { type filter hook output priority -300; tcp dport 2380 drop; tcp sport 2380 drop; }
}
END"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("control", *HOSTS, OTHER) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    site.edit("gateway:\n", f"control: [{', '.join(HOSTS)}]\n\ngateway:\n")
    said = site("apply", "--yes", "--close-ports")
    assert "next: rackwright lease move" in said.err
    return site


def state(lab: Lab, host: str) -> EtcdState:
    return parse(lab.exec(host, COMMAND, check=False).out)


def states(lab: Lab, hosts: tuple[str, ...] = HOSTS) -> list[EtcdState]:
    return [state(lab, host) for host in hosts]


def member_names(lab: Lab, through: str) -> set[str]:
    members = json.loads(lab.exec(through, f"{CTL} member list --write-out=json").out)["members"]
    return {member.get("name", "") for member in members}


def started(lab: Lab, host: str) -> str:
    return lab.exec(host, f"systemctl show -p InvocationID --value {UNIT}").out


def test_apply_sets_up_etcd_and_starts_none(site: Operator, lab: Lab) -> None:
    for host in HOSTS:
        found = state(lab, host)
        assert (found.installed, found.member, found.active, found.started) == (True, False, "inactive", None), host
        assert found.present
        enabled = "systemctl is-enabled rackwright-etcd.service etcd.service; true"
        assert lab.exec(host, enabled).out.split() == ["enabled", "disabled"]
        # Without member.env, a start does nothing.
        lab.exec(host, f"systemctl start {UNIT}")
        assert lab.exec(host, "pgrep -x etcd; true").out == ""
    assert not state(lab, OTHER).installed


def test_lease_move_carries_everything_to_all_of_them(site: Operator, lab: Lab) -> None:
    golden = lab.exec("gate1", "cd /var/lib/rackwright && find golden -name '*.json'").out.split()
    assert golden
    older = site.path.with_name("older.lock")
    shutil.copy(site.path.with_name("test.lock"), older)
    said = site("lease", "move", "--yes", "--json").json
    assert said == {"control_hosts": [*HOSTS], "former": ["gate1"], "copied": True, "lock_changed": True}
    keys = lab.exec("gpu2", f"{CTL} get --prefix /rackwright/ --keys-only").out.split()
    assert {f"/rackwright/{name}" for name in golden} <= set(keys)
    assert [found.active for found in states(lab)] == ["active"] * 3
    assert site("apply", "--yes", "--json").json["changed"] == 0
    assert site("lease", "show").out == "there is no lease\n"
    # A colleague's checkout of before would take a lease in gate1's files.
    shutil.copy(older, site.path.with_name("test.lock"))
    refused = site("apply", "--yes", check=11)
    assert "gate1, gpu1 and gpu2 are the control hosts" in refused.err
    assert "git pull" in refused.err
    again = site("lease", "move", "--yes", "--json").json
    assert (again["former"], again["lock_changed"]) == ([], True)


def test_check_and_verify_know_them(site: Operator) -> None:
    conditions = site("check", "--json").json["conditions"]
    ports = {one["where"]: (one["state"], one["found"]) for one in conditions if one["what"] == "ports"}
    assert ports["gate1"] == ("ok", "443, 2379, 2380")
    assert site("verify", "--json").json["failed"] == 0


def test_members_are_closed_to_all_others(site: Operator, lab: Lab) -> None:
    assert exposure.measured(lab, "gate1")["rackwright-etcd"] <= 1.3
    assert exposure.loose(lab, "gate1") == {}
    private = f"stat -c '%a %U' {DATA} {CTL} /run/rackwright-etcd/started"
    assert lab.exec("gate1", private).out.splitlines() == ["700 rw_etcd", "700 root", "644 root"]
    as_nobody = f"setpriv --reuid nobody --clear-groups cat /run/credentials/{UNIT}/etcd.key"
    assert lab.exec("gate1", as_nobody, check=False).code != 0
    # A gateway's own client certificate is of the same CA.
    others = "/etc/rackwright/certificates/gateway-client"
    key = f"systemd-creds decrypt --name=gateway-client.key {others}.key.cred -"
    own, ca = f"/run/credentials/{UNIT}", "--cacert /etc/rackwright/certificates/etcd.ca.crt"
    gpu = lab.fleet().hosts["gpu1"]
    ask = f"curl -sf -m 5 --http1.1 {ca} --cert %s --key %s https://%s"
    for url in (f"{gpu}:2380/version", "127.0.0.1:2379/health"):
        assert lab.exec("gate1", ask % (f"{own}/etcd.crt", f"{own}/etcd.key", url)).out.startswith("{")
        refused = f"umask 077; {key} >/run/other.key && {ask % (f'{others}.crt', '/run/other.key', url)}"
        assert lab.exec("gate1", refused, check=False).code == 56


def test_a_rollout_goes_on_while_members_are_killed(site: Operator, lab: Lab) -> None:
    """The one that the command asks first, and then the others, one at a time."""
    process = site.start("restart", "gpu1/assistant@1", "--yes")
    for host, text in zip(HOSTS, ("draining", "restarting", "soaking"), strict=True):
        read_until(process, text)
        lab.exec(host, f"systemctl kill --signal=KILL {UNIT}")
        wait_until(lambda host=host: lab.exec(host, f"{CTL} endpoint health", check=False).code == 0)
    read_until(process, "restarted: gpu1/assistant@1")
    assert process.wait(timeout=60) == 0


def test_without_one_of_them_there_is_a_lease(site: Operator, lab: Lab) -> None:
    lab.cut_network("gpu2")
    try:
        assert site("lease", "show").out == "there is no lease\n"
        site("apply", "-l", "gpu1", "--yes")
    finally:
        lab.mend_network("gpu2")


def lead(lab: Lab, host: str) -> None:
    members = json.loads(lab.exec(host, f"{CTL} member list --write-out=json").out)["members"]
    (number,) = (member["ID"] for member in members if member["name"] == host)
    # Only the one that leads can pass that on.
    for name in HOSTS:
        lab.exec(name, f"{CTL} move-leader {number:x}", check=False)


@pytest.mark.parametrize("leader", ["gate1", "gpu1"])
def test_a_member_cut_off_from_the_others_writes_nothing_and_the_others_go_on(
    site: Operator, lab: Lab, leader: str
) -> None:
    """On whichever side the leader is: only two of three take writes. Commands ask gate1 first."""
    apart = "gate1"
    lead(lab, leader)
    lab.exec(apart, CUT)
    try:
        wait_until(lambda: lab.exec(apart, f"{CTL} endpoint health", check=False).code != 0)
        site("restart", "gpu1/assistant@1", "--yes")
        assert lab.exec(apart, f"{CTL} put /test/apart 1", check=False).code != 0
    finally:
        lab.exec(apart, "nft delete table inet cut")
    wait_until(lambda: lab.exec(apart, f"{CTL} endpoint health", check=False).code == 0)
    assert lab.exec(apart, f"{CTL} get --print-value-only /test/apart").out == ""


def test_a_second_one_does_not_go_down_with_it(site: Operator, lab: Lab) -> None:
    """apply restarts members with new settings one by one, and none while another can't be reached."""
    lab.exec("gpu1", f"echo other >{STARTED}")
    assert "gpu1: restart its etcd member: its settings or its certificate are new" in site("plan").out
    before = started(lab, "gpu1")
    lab.cut_network("gpu2")
    try:
        refused = site("apply", "--yes", check=None)
    finally:
        lab.mend_network("gpu2")
    assert refused.code != 0
    assert "too few of the control hosts gate1, gpu1 and gpu2 would work together" in refused.err
    assert started(lab, "gpu1") == before
    warned = site("status", check=None)
    assert "gpu1: its etcd member should be restarted" in warned.out + warned.err
    site("apply", "--yes")
    assert started(lab, "gpu1") != before
    assert [found.outdated for found in states(lab)] == [False] * 3


def answers(lab: Lab, host: str) -> bool:
    return lab.exec(host, f"{CTL} endpoint health", check=False).code == 0


def pid_here(lab: Lab, host: str) -> int:
    """Return the process of the host's etcd as this machine sees it."""
    url = f"ETCD_LISTEN_PEER_URLS=https://{lab.fleet().hosts[host]}:2380\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "comm").read_text() == "etcd\n" and url in (process / "environ").read_bytes():
                return int(process.name)
    raise AssertionError(f"no etcd of {host}")


def test_status_names_a_member_whose_disk_is_slow(site: Operator, lab: Lab, tmp_path: Path) -> None:
    programs.ensure({"strace": "strace"})
    assert "its disk took over a second" not in warned(site)
    with slow_disk(pid_here(lab, "gpu2"), 1.5, tmp_path) as disk:
        lab.exec("gate1", f"for i in 1 2 3; do {CTL} put /test/slow $i || exit; done")
        wait_until(lambda: disk.delayed > 2)
        wait_until(lambda: state(lab, "gpu2").slow > 0)
        said = warned(site)
    assert "gpu2: its disk took over a second for a write of etcd" in said
    assert said.count("its disk took over a second") == 1
    lab.exec("gpu2", "journalctl --rotate; journalctl --vacuum-time=1s --quiet")


def warned(site: Operator) -> str:
    said = site("status", check=None)
    return said.out + said.err


SMALL = f"""
systemctl stop {UNIT}
mkdir -p /run/small
mount -t tmpfs -o size=256m,mode=700 none /run/small
cp -a {DATA}/. /run/small
chown rw_etcd: /run/small
mount --bind /run/small {DATA}
systemctl start --no-block {UNIT}
"""
WIDE = f"""
systemctl stop {UNIT}
umount {DATA}
rm -rf {DATA}/member
cp -a /run/small/member {DATA}
umount /run/small
systemctl start --no-block {UNIT}
"""
WRITE = f"head -c 900000 /dev/zero | tr '\\0' x | {CTL} put /test/large"


def test_a_member_whose_disk_is_full_is_named_and_comes_back_when_there_is_space(site: Operator, lab: Lab) -> None:
    lab.exec("gpu2", SMALL)
    wait_until(lambda: answers(lab, "gpu2"))
    assert "gpu2: the disk of /var/lib/rackwright-etcd has" in warned(site)
    lab.exec("gpu2", f"cat /dev/zero >{DATA}/fill; true", check=False)

    def ends() -> bool:
        lab.exec("gate1", WRITE)
        return state(lab, "gpu2").ends

    wait_until(ends)
    site("restart", "gpu1/assistant@1", "--yes")
    assert "gpu2: the disk of /var/lib/rackwright-etcd has 0 MiB left; without space its etcd member ends" in warned(
        site
    )
    # Another start would end the same way, so an apply doesn't wait for one.
    assert site("apply", "--yes", "--json").json["changed"] == 0
    lab.exec("gpu2", f"rm {DATA}/fill")
    wait_until(lambda: answers(lab, "gpu2"))
    lab.exec("gpu2", WIDE)
    wait_until(lambda: answers(lab, "gpu2"))
    lab.exec("gate1", f"{CTL} del /test/large")
    assert "the disk of" not in warned(site)


def give_certificates(site: Operator, lab: Lab, lasts: timedelta) -> None:
    """Let the members have certificates of the fleet's CA from long ago that last for this time from now on."""
    fleet = lab.fleet()
    folder = site.path.parent / "config" / "rackwright" / fleet.name
    life = timedelta(days=100)
    then = datetime.now(UTC) + lasts + BACKDATED - life
    ca = CertificateAuthority(fleet.name, site.path.with_name("test.ca.crt"), folder)
    for host in HOSTS:
        names = (f"etcd.{fleet.name}.rackwright.internal", host, fleet.hosts[host], "127.0.0.1", "localhost")
        issued = replace(ca, clock=lambda: then).issue(names, client=True, days=life.days)
        crt, key = f"{CERTIFICATES}/etcd.crt", f"{CERTIFICATES}/etcd.key.cred"
        lab.exec(host, f"cat >{crt}", input=issued.certificate_pem)
        encrypt = f"systemd-creds encrypt --with-key=host --name=etcd.key - {key}"
        lab.exec(host, f"rm {key}; {encrypt}; chmod 0600 {key}", input=issued.key.reveal())
        lab.exec(host, f"systemctl restart --no-block {UNIT}")


_ENDS = f"openssl x509 -noout -enddate -dateopt iso_8601 -in /run/credentials/{UNIT}/etcd.crt"


def ends_on(lab: Lab, host: str) -> datetime:
    return _end(lab.exec(host, _ENDS).out)


def has_ended(lab: Lab, host: str) -> bool:
    """Return whether the member's certificate has ended. A unit that is about to start again has none."""
    asked = lab.exec(host, _ENDS, check=False)
    return not asked.code and _end(asked.out) < datetime.now(UTC)


def _end(said: str) -> datetime:
    return datetime.strptime(said.strip(), "notAfter=%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)


def starts(lab: Lab) -> list[tuple[int, int]]:
    """Return when each member stopped and worked again, in microseconds of the clock that all lab hosts share."""
    shown = f"systemctl show --value -p InactiveExitTimestampMonotonic -p ActiveEnterTimestampMonotonic {UNIT}"
    return sorted(tuple(sorted(map(int, lab.exec(host, shown).out.split()))) for host in HOSTS)  # type: ignore[type-var]


def test_certificates_about_to_end_are_named_and_apply_renews_them_one_member_after_the_other(
    site: Operator, lab: Lab
) -> None:
    give_certificates(site, lab, timedelta(days=20, hours=1))
    wait_until(lambda: all(answers(lab, host) for host in HOSTS))
    said = warned(site)
    for host in HOSTS:
        assert f"{host}: certificate etcd ends on" in said
    assert "in 20 days; next: rackwright apply" in said
    found = [one for one in site("check", "--json", check=None).json["conditions"] if one["what"] == "lasts"]
    assert {one["where"] for one in found if one["state"] == "warning"} >= {*HOSTS}
    site("apply", "--yes")
    assert all(ends_on(lab, host) > datetime.now(UTC) + timedelta(days=300) for host in HOSTS)
    first, second, third = starts(lab)
    assert first[1] <= second[0]
    assert second[1] <= third[0]
    assert "certificate etcd ends on" not in warned(site)


def test_certificates_that_have_ended_are_renewed_without_the_lease_that_nobody_can_take(
    site: Operator, lab: Lab
) -> None:
    give_certificates(site, lab, timedelta(seconds=5))
    wait_until(lambda: all(has_ended(lab, host) for host in HOSTS))
    refused = site("restart", "gpu1/assistant@1", "--yes", check=None)
    assert (refused.code, "no member of etcd can answer" in refused.err) == (3, True)
    assert "certificate etcd ended on" in warned(site)
    said = site("apply", "--yes")
    assert "The certificates of etcd on gate1, gpu1 and gpu2 have ended" in said.out + said.err
    assert all(answers(lab, host) for host in HOSTS)
    assert [found.outdated for found in states(lab)] == [False] * 3
    assert site("lease", "show").out == "there is no lease\n"
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_nobody_else_gets_at_etcd(site: Operator, lab: Lab) -> None:
    """Each attempt works for root, or for a member."""
    place = Site(lab, lab.fleet(), site, {})
    attempts = [*attacks.attempts(place)]
    assert len(attempts) > 50
    assert [str(one) for one in achieved(attempts, at_once=8)] == []
    assert [what for what, got in attacks.controls(place).items() if not got] == []


def test_whoever_takes_over_etcd_gets_no_further(site: Operator, lab: Lab) -> None:
    """The program of the other attacks, as etcd's user in etcd's sandbox."""
    place = Site(lab, lab.fleet(), site, {})
    inside.plant(place, "gate1")
    told = in_the_unit("gate1", "rackwright-etcd")(place)
    assert LAST in told
    may = inside.Place("etcd", lambda _: told, inside.SERVICE)
    assert [str(one) for one in may.through(told)] == []
    assert may.attempts(told) > 40


def test_a_lost_one_is_replaced_by_apply(site: Operator, lab: Lab) -> None:
    keys = f"{CTL} get --prefix /rackwright/ --keys-only"
    before = lab.exec("gpu1", keys).out
    lab.exec("gpu2", LOST)
    site("apply", "--yes")
    assert member_names(lab, "gpu2") == {*HOSTS}
    assert lab.exec("gpu2", keys).out == before
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_a_member_that_reboots_comes_back(site: Operator, lab: Lab) -> None:
    lab.reboot("gpu2")
    wait_until(lambda: state(lab, "gpu2").active == "active")
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_another_host_takes_the_place_of_a_dead_one(site: Operator, lab: Lab) -> None:
    site.edit(f"control: [{', '.join(HOSTS)}]", "control: [gate1, gpu1, gpu3]")
    refused = site("lease", "move", "--yes", check=None)
    assert "etcd isn't set up on gpu3" in refused.err
    site("apply", "--yes", "--close-ports")
    lab.exec("gpu2", f"systemctl stop {UNIT}")
    said = site("lease", "move", "--yes", "--json").json
    assert said == {
        "control_hosts": ["gate1", "gpu1", "gpu3"],
        "former": [*HOSTS],
        "copied": True,
        "lock_changed": True,
    }
    assert member_names(lab, "gpu3") == {"gate1", "gpu1", "gpu3"}
    site("apply", "--yes", "--close-ports")
    assert state(lab, "gpu2") == EtcdState(present=state(lab, "gpu2").present)
    left = f"ls -d {FOLDER} {DATA} /etc/rackwright/certificates/etcd.*; getent passwd rw_etcd"
    assert lab.exec("gpu2", f"{left}; true").out == ""


def test_what_an_interrupted_move_has_left_is_ended(site: Operator, lab: Lab) -> None:
    address = lab.fleet().hosts["gpu2"]
    lab.exec("gate1", f"{CTL} member add gpu2 --peer-urls=https://{address}:2380")
    assert "" in member_names(lab, "gate1")
    assert site("lease", "move", "--yes", "--json").json["former"] == []
    assert member_names(lab, "gate1") == {"gate1", "gpu1", "gpu3"}


def test_from_one_that_is_left_the_journal_comes_back(site: Operator, lab: Lab) -> None:
    """Two of three are lost: nothing can be written, until one alone is the control host."""
    for host in ("gpu1", "gpu3"):
        lab.exec(host, f"systemctl stop {UNIT} && rm -r {DATA}")
    # Alone, it doesn't even answer what it knows.
    lab.exec("gate1", f"systemctl restart --no-block {UNIT}")
    refused = site("apply", "--yes", check=None)
    assert (refused.code, "no member of etcd can answer" in refused.err) == (3, True)
    site.edit("control: [gate1, gpu1, gpu3]", "control: [gate1]")
    asked = site("lease", "move", "--yes", check=None)
    assert (asked.code, "--former-gone" in asked.err) == (3, True)
    said = site("lease", "move", "--yes", "--former-gone", "--json").json
    assert (said["control_hosts"], said["copied"]) == (["gate1"], True)
    journal = lab.exec("gate1", "cat /var/lib/rackwright/control/journal").out
    assert '"subject":"gpu1/assistant@1","phase":"done"' in journal
    site("apply", "--yes", "--close-ports")
    for host in ("gate1", "gpu1", "gpu3"):
        found = state(lab, host)
        assert (found.installed, found.member, found.active) == (False, False, "inactive"), host
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_the_files_are_not_the_ones_of_before(site: Operator, lab: Lab, tmp_path: Path) -> None:
    """The lease's token never goes back: a lease from before the moves can't pass for a new one."""
    token = int(lab.exec("gate1", "cat /var/lib/rackwright/control/token").out)
    site("restart", "gpu1/assistant@1", "--yes")
    assert int(lab.exec("gate1", "cat /var/lib/rackwright/control/token").out) > token > 2
