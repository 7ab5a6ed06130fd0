"""Three control hosts: apply makes them ready, and a cluster of their etcd agrees. The tests build on one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab
from rackwright.roles.etcd.settings import CTL, FOLDER, MEMBER, UNIT
from rackwright.roles.etcd.state import COMMAND, EtcdState, parse
from tests.lab import exposure
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "deploys/control.py",
    "rackwright/fleet/hosts/etcd.py",
    "rackwright/fleet/reading/control_rules.py",
    "roles/etcd",
)
HOSTS = ("gate1", "gpu1", "gpu2")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("control", *HOSTS) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    site.edit("gateway:\n", f"control: [{', '.join(HOSTS)}]\n\ngateway:\n")
    site("apply", "--yes", "--close-ports")
    return site


def states(lab: Lab) -> list[EtcdState]:
    return [parse(lab.exec(host, COMMAND, check=False).out) for host in HOSTS]


def test_apply_installs_etcd_and_starts_none(site: Operator, lab: Lab) -> None:
    for host, state in zip(HOSTS, states(lab), strict=True):
        assert (state.installed, state.member, state.active, state.started) == (True, False, "inactive", None), host
        assert state.present
        enabled = "systemctl is-enabled rackwright-etcd.service etcd.service; true"
        assert lab.exec(host, enabled).out.split() == ["enabled", "disabled"]
        # Without member.env, a start does nothing.
        lab.exec(host, f"systemctl start {UNIT}")
        assert lab.exec(host, "pgrep -x etcd; true").out == ""
        assert lab.exec(host, "ls -d /var/lib/rackwright-etcd", check=False).code != 0


def test_a_second_apply_changes_nothing(site: Operator) -> None:
    assert site("apply", "--yes", "--json").json["changed"] == 0


def become_members(lab: Lab) -> None:
    addresses = lab.fleet().hosts
    cluster = ",".join(f"{host}=https://{addresses[host]}:2380" for host in HOSTS)
    member = f"ETCD_INITIAL_CLUSTER={cluster}\nETCD_INITIAL_CLUSTER_STATE=new\nETCD_INITIAL_CLUSTER_TOKEN=test\n"
    for host in HOSTS:
        lab.exec(host, f"cat >{MEMBER}", input=member)
        # It is ready when a majority runs.
        lab.exec(host, f"systemctl start --no-block {UNIT}")


def test_what_one_member_writes_another_reads(site: Operator, lab: Lab) -> None:
    become_members(lab)
    wait_until(lambda: all(state.active == "active" for state in states(lab)))
    assert lab.exec("gpu1", f"{CTL} put lease/test anna").out == "OK\n"
    assert lab.exec("gate1", f"{CTL} get --print-value-only lease/test").out == "anna\n"
    assert [state.outdated for state in states(lab)] == [False] * 3
    conditions = site("check", "--json").json["conditions"]
    ports = {one["where"]: (one["state"], one["found"]) for one in conditions if one["what"] == "ports"}
    assert ports["gate1"] == ("ok", "443, 2379, 2380")
    assert site("verify", "--json").json["failed"] == 0


def test_members_are_closed_to_all_others(site: Operator, lab: Lab) -> None:
    assert "rackwright-etcd" in exposure.measured(lab, "gate1")
    assert exposure.loose(lab, "gate1") == {}
    private = f"stat -c '%a %U' /var/lib/rackwright-etcd {CTL} /run/rackwright-etcd/started"
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


def test_an_apply_restarts_no_member_and_a_changed_setting_is_seen(site: Operator, lab: Lab) -> None:
    pid = "systemctl show -p MainPID --value rackwright-etcd.service"
    before = [lab.exec(host, pid).out for host in HOSTS]
    lab.exec("gpu1", f"echo >>{FOLDER}/etcd.env")
    assert [state.outdated for state in states(lab)] == [False, True, False]
    assert site("apply", "--yes", "--json").json["changed"] == 1
    assert [state.outdated for state in states(lab)] == [False] * 3
    assert [lab.exec(host, pid).out for host in HOSTS] == before


def test_a_member_that_reboots_comes_back(site: Operator, lab: Lab) -> None:
    lab.reboot("gpu2")
    wait_until(lambda: states(lab)[2].active == "active")
    assert lab.exec("gpu2", f"{CTL} get --print-value-only lease/test").out == "anna\n"
    assert lab.exec("gpu1", f"{CTL} put lease/test ben").out == "OK\n"


def test_etcd_stays_until_the_host_is_no_member(site: Operator, lab: Lab) -> None:
    """The fleet file names one control host again. The members go on until a command ends that."""
    site.edit(f"control: [{', '.join(HOSTS)}]", "control: [gate1]")
    site("apply", "--yes", "--close-ports")
    assert [(state.installed, state.member, state.active) for state in states(lab)] == [(True, True, "active")] * 3
    for host in HOSTS:
        lab.exec(host, f"systemctl stop {UNIT} && rm {MEMBER} && rm -r /var/lib/rackwright-etcd")
    site("apply", "--yes")
    assert [(state.installed, state.member, state.active) for state in states(lab)] == [
        (False, False, "inactive")
    ] * 3
    for host in HOSTS:
        left = f"ls -d {FOLDER} /etc/rackwright/certificates/etcd.*; getent passwd rw_etcd"
        assert lab.exec(host, f"{left}; true").out == ""
    assert site("apply", "--yes", "--json").json["changed"] == 0
