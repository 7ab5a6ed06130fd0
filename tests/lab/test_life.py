"""A fleet's life at the command line: bare hosts, apply, changes. The tests build on one another."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab, LabFleet
from rackwright.lifecycle.client.request import FromController, Request, ask
from rackwright.lifecycle.verify.ports import OpenPort, open_ports
from rackwright.values.secrets import Secret
from tests.lab import exposure
from tests.lab.engines import change_parallel, pid
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, operator
from tests.lab.patience import until_out
from tests.needless import NEEDLESS
from tests.waiting import wait_until

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
DOMAIN = "llm.lab.internal"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("life", "gate1", "gpu1", "gpu2") as lab:
        yield lab


@pytest.fixture(scope="module")
def lab_fleet(lab: Lab) -> LabFleet:
    return lab.fleet()


@pytest.fixture(scope="module")
def bare(lab_fleet: LabFleet, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return operator(tmp_path_factory.mktemp("site"), lab_fleet)


@pytest.fixture(scope="module")
def listening(bare: Operator, lab: Lab) -> None:
    """A program on gpu2 listens on a port that the fleet file doesn't open."""
    lab.exec("gpu2", "systemd-run --quiet --unit=metrics --socket-property=ListenStream=0.0.0.0:9100 sleep infinity")


@pytest.fixture(scope="module")
def site(bare: Operator, listening: None) -> Operator:
    said = bare("apply", "--yes", "--close-ports", "--json")
    assert said.json["changed"] > 50
    assert said.json["failed"] == 0
    return bare


def answer(site: Operator, lab_fleet: LabFleet, key: str, model: str = "gpt-4o-mini") -> tuple[int, str]:
    body = json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": "Name three colors."}],
            "max_tokens": 16,
            "temperature": 0,
        }
    )
    request = Request(lab_fleet.hosts["gate1"], DOMAIN, "/v1/chat/completions", body, Secret(key))
    (response,) = ask(FromController(), site.path.with_name("test.ca.crt").read_text(), (request,))
    return response.status, response.text


def test_check_finds_bare_hosts_good(bare: Operator) -> None:
    said = bare("check", "--json").json
    assert said["failed"] == 0
    assert {"gate1", "gpu1", "gpu2"} <= {condition["where"] for condition in said["conditions"]}


def test_plan_of_bare_hosts_says_so_and_changes_nothing(bare: Operator, lab: Lab) -> None:
    said = bare("plan", "--check", "--json", check=4)
    assert said.json["changed"] > 50
    assert lab.exec("gpu1", "ls /etc/rackwright /opt/rackwright /srv/models", check=False).out == ""
    assert not bare.path.with_name("test.ca.crt").exists()


def test_a_port_that_would_close_is_named_and_nothing_is_changed(bare: Operator, listening: None, lab: Lab) -> None:
    assert "gpu2: tcp 9100 (systemd)" in bare("plan").out
    refused = bare("apply", "--yes", check=1)
    assert re.search(r"these ports would close; .*\n  - gpu2: tcp 9100 \(systemd\)", refused.err)
    assert "next: rackwright apply --close-ports" in refused.err
    assert lab.exec("gpu2", "nft list ruleset").out == ""
    assert bare("lease", "show", "--json").json["lease"] is None


def test_close_ports_closes_them_and_leaves_the_process_alone(site: Operator, lab: Lab, lab_fleet: LabFleet) -> None:
    assert open_ports(FromController(), (lab_fleet.hosts["gpu2"],), (22, 9100)) == (
        OpenPort(lab_fleet.hosts["gpu2"], 22, lab_fleet.controller),
    )
    assert lab.exec("gpu2", "systemctl is-active metrics.socket").out.strip() == "active"


def test_a_second_apply_changes_nothing_on_every_host(site: Operator) -> None:
    said = site("apply", "--yes", "--json").json
    assert (said["changed"], said["failed"], said["skipped"]) == (0, 0, 0)
    assert all(host["changed"] == 0 for host in said["hosts"].values())
    assert site("plan", "--check").code == 0


def test_an_apply_that_finds_nothing_to_change_imports_only_what_it_needs(site: Operator) -> None:
    python, *words = site.argv("apply", "--yes")
    argv = [python, "-X", "importtime", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=site.environment)
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    imported = [line.rpartition("|")[2].strip() for line in lines]
    assert not NEEDLESS & set(imported)
    # The hosts are asked before pyinfra is imported, because it reads their answers. `import_module` imports
    # deploys/site.py: Python doesn't list that file, only what it imports.
    order = ("rackwright.remote.ssh", "pyinfra.api", "rackwright.deploys.retire")
    assert sorted(order, key=imported.index) == list(order)


def test_each_service_is_held_to_its_exposure_by_systemds_own_measure(site: Operator, lab: Lab) -> None:
    found = {host: exposure.measured(lab, host) for host in ("gate1", "gpu1")}
    assert {"rackwright-firewall", "rackwright-gateway"} <= found["gate1"].keys()
    assert {"rackwright-host-proxy", "rackwright-assistant@1", "rackwright-assistant-1.probe"} <= found["gpu1"].keys()
    assert {host: exposure.loose(lab, host) for host in found} == {"gate1": {}, "gpu1": {}}


def test_verify_proves_the_service(site: Operator) -> None:
    said = site("verify", "--json").json
    assert said["failed"] == 0
    assert said["asked_from"] == "the controller"
    assert {"assistant: a stream", "gpt-4o-mini: a completion", "a wrong key is refused"} <= {
        proof["what"] for proof in said["proofs"]
    }


def test_verify_scans_each_host_from_another_one_and_finds_what_else_is_open(
    site: Operator, lab: Lab, lab_fleet: LabFleet
) -> None:
    seen = {proof["host"]: proof for proof in site("verify", "--json").json["proofs"] if "opens to" in proof["what"]}
    assert seen["gate1"]["what"].startswith(f"{lab_fleet.hosts['gate1']} opens to host gpu1 only")
    assert seen["gate1"]["found"].startswith("443 open of 1")
    assert seen["gpu2"]["found"].startswith("none open of 1")
    lab.exec("gpu2", "nft add rule inet rackwright input tcp dport 9100 accept")
    found = site("verify", "--json", check=12).json
    site("apply", "--yes", "--close-ports")
    (surplus,) = [proof for proof in found["proofs"] if not proof["passed"] and "opens to" in proof["what"]]
    assert surplus["host"] == "gpu2"
    assert re.fullmatch(r"also open: 9100 \((systemd|sleep|systemd, sleep|sleep, systemd)\)", surplus["found"])
    assert site("verify", "--json").json["failed"] == 0


def test_verify_leaves_no_key_behind(site: Operator, lab: Lab) -> None:
    site("verify")
    shown = lab.exec("gate1", "cat /etc/rackwright/gateway/keys.map; ls /run/rackwright-gateway").out
    assert "verify" not in shown


def test_a_key_acts_at_once_and_a_revoked_one_no_more(site: Operator, lab_fleet: LabFleet) -> None:
    key = site("key", "add", "ci", "--owner", "tests", "--json").json["key"]
    status, text = answer(site, lab_fleet, key)
    assert status == 200
    assert "Red" in text
    site("key", "revoke", "ci", "--yes")
    assert answer(site, lab_fleet, key)[0] == 401


def test_plain_pyinfra_sees_nothing_to_change(site: Operator) -> None:
    program = str(Path(sys.executable).with_name("pyinfra"))
    done = subprocess.run(
        [program, "inventory/example.py", "deploys/site.py", "--dry"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=site.environment | {"RACKWRIGHT_FLEET": str(site.path)},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    # Role | operation, then how many hosts would change, and how many might; "-" means none.
    rows = [line.split() for line in said.splitlines() if " | " in line]
    assert len(rows) > 50
    assert {tuple(row[-2:]) for row in rows if row[0] != "Operation"} == {("-", "-")}, said


def test_a_packet_filter_that_would_shut_us_out_is_refused_before_it_is_loaded(site: Operator, lab: Lab) -> None:
    before = lab.exec("gpu1", "nft list table inet rackwright").out
    admins = re.search(r"admin_from: \[(.*)\]", site.path.read_text())
    assert admins is not None
    site.edit(admins[1], "198.51.100.0/24")
    assert "firewall.admin_from" in site("check", check=12).out
    refused = site("apply", "--yes", check=10)
    site.edit("198.51.100.0/24", admins[1])
    for host in ("gate1", "gpu1", "gpu2"):
        assert f"{host}: firewall.admin_from: {admins[1].partition('/')[0]}, where this command runs" in refused.err
    assert lab.exec("gpu1", "nft list table inet rackwright").out == before


def test_a_drained_replica_gets_nothing_and_comes_back(site: Operator) -> None:
    site("drain", "gpu1/assistant@1", "--reason", "fan replacement", "--yes")
    assert site.replicas()["gpu1/assistant@1"]["drained"]["reason"] == "fan replacement"
    refused = site("drain", "gpu2", "--reason", "too", "--yes", check=1)
    assert "assistant would be left without a healthy replica" in refused.err
    site("undrain", "gpu1/assistant@1")
    wait_until(lambda: site.replicas()["gpu1/assistant@1"]["traffic"] == "yes")


def test_status_and_logs_of_one_host_tell_of_it_alone(site: Operator) -> None:
    found = site("status", "--limit", "gpu1", "--json").json
    assert [host["host"] for host in found["hosts"]] == ["gpu1"]
    assert [replica["replica"] for replica in found["replicas"]] == ["gpu1/assistant@1"]
    assert site("logs", "gpu1/assistant@1", "-n", "5").out.count(" rackwright-assistant@1.service ") > 0


def test_restart_takes_one_replica_and_leaves_the_other(site: Operator, lab: Lab) -> None:
    before = pid(lab, "gpu1"), pid(lab, "gpu2")
    said = site("restart", "gpu1/assistant@1", "--yes")
    phases = ["checking", "draining", "restarting", "proving", "undraining", "soaking", "done"]
    lines = [line.removeprefix("gpu1/assistant@1  ").split()[0] for line in said.err.splitlines() if "@1  " in line]
    assert [line.rstrip(":") for line in lines if line.rstrip(":") in phases] == phases
    assert pid(lab, "gpu1") != before[0]
    assert pid(lab, "gpu2") == before[1]


def test_a_changed_setting_restarts_engines_one_at_a_time(site: Operator, lab: Lab) -> None:
    before = pid(lab, "gpu1"), pid(lab, "gpu2")
    change_parallel(site)
    planned = site("plan", "--check", "--json", check=4).json
    assert [restart["replica"] for restart in planned["restarts"]] == ["gpu1/assistant@1", "gpu2/assistant@1"]
    said = site("apply", "--yes", "--json").json
    assert said["restarted"] == ["gpu1/assistant@1", "gpu2/assistant@1"]
    assert pid(lab, "gpu1") != before[0]
    assert pid(lab, "gpu2") != before[1]
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_a_stopped_engine_is_out_of_the_gateway_within_30_seconds(site: Operator, lab: Lab) -> None:
    lab.exec("gpu1", "systemctl stop rackwright-assistant@1")
    wait_until(lambda: site.replicas()["gpu1/assistant@1"]["traffic"] == "no", 30)
    refused = site("restart", "gpu2/assistant@1", "--yes", check=1)
    assert "is the last healthy replica of assistant" in refused.err
    site("apply", "--yes")
    wait_until(lambda: site.replicas()["gpu1/assistant@1"]["traffic"] == "yes")


def out_at(lab: Lab, host: str, since: float) -> float:
    """Return when gate1 took the host's engine out, in Unix seconds, from its log: the engine may be back already."""
    command = f"journalctl --quiet --no-pager --output=short-unix --identifier=rackwright-gateway --since=@{since}"

    def lines() -> list[str]:
        log = lab.exec("gate1", command).out.splitlines()
        return [line for line in log if f"/{host}.assistant.1." in line and " is DOWN" in line]

    wait_until(lambda: bool(lines()), 120)
    return float(lines()[0].split()[0])


def test_a_hung_engine_is_out_of_the_gateway_within_30_seconds_and_back_by_itself(site: Operator, lab: Lab) -> None:
    before = pid(lab, "gpu1")
    since = float(lab.exec("gate1", "date +%s.%N").out)
    lab.exec("gpu1", f"kill -STOP {before}")
    longest = until_out(lab, "gpu1")
    assert out_at(lab, "gpu1", since) - since < longest
    wait_until(lambda: site.replicas()["gpu1/assistant@1"]["traffic"] == "yes", 120)
    assert pid(lab, "gpu1") != before
    assert re.search(r"gpu1/assistant@1 .* \d+ s ago, restart 1: hung", site("status").out)
    assert lab.exec("gpu1", "systemctl show -P NRestarts rackwright-assistant@1").out.strip() == "1"
    assert "rackwright-assistant@1" in lab.exec("gpu1", "ls /var/lib/rackwright/evidence").out


def failed_units(lab: Lab, host: str) -> str:
    return lab.exec(host, "systemctl list-units --all --state=failed --plain --no-legend 'rackwright-*'").out


def test_a_served_name_changes_without_a_restart_and_is_dropped_only_knowingly(
    site: Operator, lab: Lab, lab_fleet: LabFleet
) -> None:
    key = site("key", "add", "renamer", "--owner", "tests", "--json").json["key"]
    engines = [pid(lab, host) for host in ("gpu1", "gpu2")]
    assert answer(site, lab_fleet, key)[0] == 200
    site.edit("names: [assistant, gpt-4o-mini]", "names: [assistant, helper]")
    planned = site("plan").out
    assert "names that clients could no longer ask for:\n  gpt-4o-mini: used by " in planned
    assert "renamer (last " in planned
    assert "engines that would be" not in planned
    refused = site("apply", "--yes", check=1)
    assert "next: rackwright apply --drop-names" in refused.err
    site("apply", "--yes", "--drop-names")
    assert [pid(lab, host) for host in ("gpu1", "gpu2")] == engines
    assert answer(site, lab_fleet, key)[0] == 404
    assert answer(site, lab_fleet, key, "helper")[0] == 200
    site.edit("names: [assistant, helper]", "names: [assistant, gpt-4o-mini]")
    site("apply", "--yes", "--drop-names")
    assert [pid(lab, host) for host in ("gpu1", "gpu2")] == engines


def test_what_the_fleet_no_longer_names_is_removed(site: Operator, lab: Lab) -> None:
    site.edit("on: [gpu1, gpu2]", "on: [gpu1]")
    assert "Remove units that the fleet no longer names" in site("plan").out
    lab.exec(
        "gpu2", "rm /etc/rackwright/assistant@1.probe; systemctl start rackwright-assistant-1.probe", check=False
    )
    assert "rackwright-assistant-1.probe" in failed_units(lab, "gpu2")
    site("apply", "--yes")
    assert failed_units(lab, "gpu2") == ""
    assert "rackwright-assistant" not in lab.exec("gpu2", "ls /etc/systemd/system").out
    assert "rw-assistant" not in lab.exec("gpu2", "cat /etc/passwd").out
    assert lab.exec("gpu2", "ls -A /etc/rackwright /etc/rackwright/certificates").out.split() == [
        *("/etc/rackwright:", "certificates", "firewall.nft", "/etc/rackwright/certificates:")
    ]
    assert "gpu2" not in lab.exec("gate1", "cat /etc/rackwright/gateway/haproxy.cfg").out
    assert site("apply", "--yes", "--json").json["changed"] == 0
    site.edit("on: [gpu1]", "on: [gpu1, gpu2]")
    site("apply", "--yes")


def test_verify_asks_from_a_host_of_the_fleet_if_the_controller_may_not(site: Operator) -> None:
    clients = re.search(r"clients_from: \[(.*)\]", site.path.read_text())
    assert clients is not None
    site.edit(f"clients_from: [{clients[1]}]", "clients_from: [198.51.100.0/24]")
    site("apply", "--yes", "--close-ports")
    said = site("verify", "--json").json
    site.edit("clients_from: [198.51.100.0/24]", f"clients_from: [{clients[1]}]")
    site("apply", "--yes")
    assert said["asked_from"] == "host gpu1 (the controller is not in clients_from)"
    assert said["failed"] == 0


def test_a_host_carries_two_replicas_of_a_model(site: Operator, lab: Lab) -> None:
    site.edit("replicas: 1", "replicas: 2")
    site("apply", "--yes")
    found = site.replicas()
    assert {name for name, replica in found.items() if replica["traffic"] == "yes"} == {
        f"{host}/assistant@{number}" for host in ("gpu1", "gpu2") for number in (1, 2)
    }
    assert pid(lab, "gpu1") != pid(lab, "gpu1", "rackwright-assistant@2")
    assert site("verify", "--json").json["failed"] == 0
    assert site("apply", "--yes", "--json").json["changed"] == 0
    site.edit("replicas: 2", "replicas: 1")
    site("apply", "--yes")
    assert "assistant@2" not in lab.exec("gpu1", "ls /etc/systemd/system").out
