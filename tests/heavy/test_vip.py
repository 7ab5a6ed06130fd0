"""Two gateways with one virtual address: a gateway that answers has it. The tests build on one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from rackwright.lifecycle.client.request import FromController, Request, ask
from rackwright.values.secrets import Secret
from tests.lab import exposure
from tests.lab.load import Load, Plan, loaded
from tests.lab.operator import Operator, operator
from tests.lab.paced import paced
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "deploys/gateway.py",
    "rackwright/fleet/ca.py",
    "rackwright/fleet/x509.py",
    "rackwright/fleet/hosts/vip.py",
    "rackwright/gateway/leaving.py",
    "rackwright/gateway/filters.py",
    "rackwright/gateway/leaving_scripts.py",
    "rackwright/gateway/templates",
    "rackwright/lifecycle/ca",
    "rackwright/lifecycle/drain/gateway_host.py",
    "rackwright/operations/certificate.py",
    "roles/gateway",
    "roles/vip",
)
GATEWAYS = ("gate1", "gate2")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("vip", *GATEWAYS, "gpu1") as lab:
        yield lab


@pytest.fixture(scope="module")
def vip(lab: Lab) -> str:
    return str(lab.fleet().subnet[200])


@pytest.fixture(scope="module")
def site(lab: Lab, vip: str, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder = tmp_path_factory.mktemp("site")
    made = operator(folder, lab.fleet(), paced(folder / "paced", "load=1 pace=0.05"))
    made.edit("  on: [gate1]", f"  on: [gate1, gate2]\n  vip: {vip}")
    made.edit("parallel: 2", "parallel: 64")
    made("apply", "--yes", "--allow-outage")
    return made


def holders(lab: Lab, vip: str) -> list[str]:
    shown = f"ip -o addr show to {vip} | grep -v ': lo '"
    return [name for name in GATEWAYS if lab.exec(name, shown, check=False).out.strip()]


def moves_to(lab: Lab, vip: str, host: str) -> None:
    wait_until(lambda: holders(lab, vip) == [host])


def answers(site: Operator, vip: str) -> bool:
    request = Request(vip, "llm.lab.internal", key=Secret("rw-nobody"), seconds=5)
    (response,) = ask(FromController(), site.path.with_name("test.ca.crt").read_text(), (request,))
    return response.status == 401


def test_one_gateway_has_the_address_and_answers_there(site: Operator, lab: Lab, vip: str) -> None:
    wait_until(lambda: len(holders(lab, vip)) == 1)
    said = site("verify", "--json").json
    (proof,) = [proof for proof in said["proofs"] if proof["host"] == "vip"]
    assert proof["passed"]
    assert said["failed"] == 0
    assert site("apply", "--yes", "--json").json["changed"] == 0
    assert "rackwright-vip" in exposure.measured(lab, "gate1")
    assert exposure.loose(lab, "gate1") == {}


@pytest.fixture(scope="module")
def key(site: Operator) -> str:
    return str(site("key", "add", "load", "--owner", "tests", "--concurrency", "unlimited", "--json").json["key"])


@pytest.fixture
def plan(site: Operator, vip: str, key: str, tmp_path: Path) -> Plan:
    return Plan(
        gateways=(vip,),
        ca=str(site.path.with_name("test.ca.crt")),
        key=key,
        samples=str(tmp_path / "samples.jsonl"),
        rate=8,
        long_tokens=240,
        rhythm="lcslc",
    )


OPEN = "ss -Htn state established 'sport = :443' | wc -l"
TABLES = "nft list tables | grep -v 'inet rackwright$' || true"


def test_a_gateway_leaves_reboots_and_rejoins_and_cuts_nothing(
    site: Operator, lab: Lab, vip: str, plan: Plan
) -> None:
    (leaving,) = holders(lab, vip)
    (other,) = {*GATEWAYS} - {leaving}
    with loaded(plan) as load:
        wait_until(lambda: int(lab.exec(leaving, OPEN).out) >= 20)
        site("drain", leaving, "--reason", "new kernel", "--yes")
        left_with_open_streams(site, lab, vip, leaving)
        wait_until(lambda: int(lab.exec(leaving, OPEN).out) == 0, 100)
        lab.reboot(leaving)
        assert holders(lab, vip) == [other]
        refuses(lab, leaving, other)
        site("undrain", leaving)
        assert holders(lab, vip) == [other]
        lost_nothing(load)
    assert lab.exec(leaving, TABLES).out + lab.exec(other, TABLES).out == ""
    assert (
        lab.exec(leaving, f"ip -o addr show to {vip}; ls /etc/rackwright/gateway | grep left", check=False).out == ""
    )
    assert site("status", "--json").json["warnings"] == []
    assert site("verify", "--json").json["failed"] == 0
    lab.exec(other, "systemctl stop rackwright-vip")
    moves_to(lab, vip, leaving)
    wait_until(lambda: answers(site, vip))
    lab.exec(other, "systemctl start rackwright-vip")


def left_with_open_streams(site: Operator, lab: Lab, vip: str, host: str) -> None:
    """Check a gateway that has just left, and make it ask its neighbors again, so that they could learn of it."""
    (other,) = {*GATEWAYS} - {host}
    assert int(lab.exec(host, OPEN).out) >= 10
    assert "connections to the virtual address are still open here" in site("undrain", host, check=3).err
    assert holders(lab, vip) == [other]
    lab.exec(host, "ip neigh flush all")
    refuses(lab, host, other)
    (warning,) = site("status", "--json", check=None).json["warnings"]
    assert warning.startswith(f"{host}: this gateway takes no connections: new kernel (")
    assert "it has left itself" in site("drain", other, "--reason", "too", "--yes", check=3).err


def refuses(lab: Lab, host: str, other: str) -> None:
    ask = f"curl -sk -m 5 https://{lab.fleet().hosts[host]}/v1/models"
    assert lab.exec(other, ask, check=False).code == 7
    assert "invalid_api_key" in lab.exec(host, ask).out


def lost_nothing(load: Load) -> None:
    counted = load.stop()
    assert counted.failures == {}
    assert counted.whole == counted.asked >= 200
    assert counted.long >= 40


def test_the_ca_is_rotated_and_no_client_is_refused(
    site: Operator, lab: Lab, vip: str, plan: Plan, tmp_path: Path
) -> None:
    """Clients trust the old CA, then both, then the new one."""
    path = site.path.with_name("test.ca.crt")

    def applied(trusted: str) -> str:
        (tmp_path / "trusted.pem").write_text(trusted)
        with loaded(replace(plan, ca=str(tmp_path / "trusted.pem"), long_tokens=40)) as load:
            said = site("apply", "--yes").out
            counted = load.stop()
        assert counted.failures == {}
        assert counted.whole == counted.asked > 20
        return said

    old = path.read_text()
    site("ca", "rotate", "--yes")
    refused = site("ca", "rotate", "--yes", check=1).err
    assert "these hosts don't trust the new CA yet" in refused
    applied(old)
    site("ca", "rotate", "--yes")
    applied(site("ca", "show").out)
    site("ca", "rotate", "--yes")
    applied(path.read_text())
    assert site("ca", "show").out.count("BEGIN CERTIFICATE") == 1
    assert path.read_text() != old
    assert site("plan", "--check").code == 0
    site("verify")


def test_an_apply_never_makes_another_ca(site: Operator) -> None:
    path = site.path.with_name("test.ca.crt")
    before = path.read_text()
    path.unlink()
    refused = site("apply", "--yes", check=1).err
    assert "test.ca.crt: is missing, and the fleet has a CA" in refused
    assert not path.exists()
    site("ca", "fetch")
    assert path.read_text() == before


def test_a_gateway_that_hangs_loses_the_address_and_leaves_it_to_the_other(
    site: Operator, lab: Lab, vip: str
) -> None:
    (holder,) = holders(lab, vip)
    (other,) = {*GATEWAYS} - {holder}
    lab.exec(holder, "systemctl kill --kill-whom=all -s STOP rackwright-gateway.service")
    moves_to(lab, vip, other)
    wait_until(lambda: answers(site, vip))
    lab.exec(holder, "systemctl kill --kill-whom=all -s CONT rackwright-gateway.service")
    wait_until(lambda: "Entering BACKUP STATE" in last_state(lab, holder))
    assert holders(lab, vip) == [other]
    assert answers(site, vip)


def last_state(lab: Lab, host: str) -> str:
    return lab.exec(
        host, "journalctl -q -o cat -u rackwright-vip.service | grep -E 'Entering [A-Z]+ STATE' | tail -1"
    ).out


def test_a_gateway_that_dies_loses_the_address(site: Operator, lab: Lab, vip: str) -> None:
    (holder,) = holders(lab, vip)
    (other,) = {*GATEWAYS} - {holder}
    lab.cut_network(holder)
    wait_until(lambda: bool(lab.exec(other, f"ip -o addr show to {vip}").out.strip()))
    wait_until(lambda: answers(site, vip))
    lab.reboot(holder)
    moves_to(lab, vip, other)
    assert site("verify", "--json").json["failed"] == 0


def test_the_gateway_that_is_left_when_the_other_is_disabled_has_the_address(
    site: Operator, lab: Lab, vip: str
) -> None:
    address = lab.fleet().hosts["gate2"]
    lab.cut_network("gate2")
    site.edit(f"{{address: {address}}}", f"{{address: {address}, disabled: burnt down}}")
    site("apply", "--yes")
    moves_to(lab, vip, "gate1")
    wait_until(lambda: answers(site, vip))
    assert site("plan", "--check").code == 0
    # It still thinks that it is one of two.
    lab.reboot("gate2")
    wait_until(lambda: "Entering BACKUP STATE" in last_state(lab, "gate2"))
    assert holders(lab, vip) == ["gate1"]
    site.edit(f"{{address: {address}, disabled: burnt down}}", f"{{address: {address}}}")
    site("apply", "--yes")
    assert holders(lab, vip) == ["gate1"]


def test_only_gateways_may_say_who_has_it(site: Operator, lab: Lab, vip: str) -> None:
    rules = lab.exec("gate1", "nft list chain inet rackwright input").out
    assert f"ip saddr {lab.fleet().hosts['gate2']} meta l4proto 112 accept" in " ".join(rules.split())
    assert "l4proto 112" not in lab.exec("gpu1", "nft list chain inet rackwright input").out


def test_an_address_that_the_fleet_file_no_longer_names_is_gone(site: Operator, lab: Lab, vip: str) -> None:
    site.edit(f"\n  vip: {vip}", "")
    site("apply", "--yes")
    assert holders(lab, vip) == []
    for name in GATEWAYS:
        assert lab.exec(name, "ls /etc/rackwright/vip /etc/systemd/system/rackwright-vip.service", check=False).code
    assert site("verify", "--json").json["failed"] == 0
