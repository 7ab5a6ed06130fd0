"""One replica on two real hosts: it answers, and it recovers automatically from any failure of a member.

The tests build on one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from rackwright.lab import vllm
from rackwright.lab.hosts import Lab
from tests.heavy.vllm_fleet import runtime, vllm_lab, vllm_operator
from tests.lab.engines import pid
from tests.lab.operator import Operator
from tests.lab.patience import until_out
from tests.waiting import wait_until

pytestmark = pytest.mark.heavy
COVERS = (
    "rackwright/fleet/hosts/members.py",
    "roles/replica_group",
    "roles/firewall",
    "roles/probe",
    "roles/replica",
    "roles/vllm",
)
REPLICA = "gpu1/assistant@1"
UNIT = "rackwright-assistant@1"
FABRIC = {"gpu1": "10.99.0.1", "gpu2": "10.99.0.2"}
START = 300
"""Seconds within which two engines must find each other and load; this machine has two cores for all of it."""


def models(source: str, more: str = "") -> str:
    return f"""\
  assistant:
    source: "file:{source}"
    runtime: {runtime(more)}
    place: [{{on: [[gpu1, gpu2]], gpus: 0}}]
    names: [assistant]
    context: 1024
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with vllm_lab("members", "gate1", "gpu1", "gpu2") as lab:
        # The gateway is on the same network, too, but isn't a member.
        for host, address in {**FABRIC, "gate1": "10.99.0.9"}.items():
            plug(lab, host, address)
        yield lab


def plug(lab: Lab, host: str, address: str) -> None:
    """Add a network for members: a separate interface on the same cable. The host doesn't route between the two."""
    lab.exec(host, "sysctl -q -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
    made = "ip link add link eth0 name fabric0 type macvlan mode bridge && ip link set fabric0 up"
    lab.exec(host, f"{made} && ip address add {address}/24 dev fabric0")


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder = tmp_path_factory.mktemp("site")
    site = vllm_operator(folder, lab.fleet(), models(str(vllm.ensure(lambda _: None).model)), fabric=FABRIC)
    site("apply", "--yes", "--close-ports", timeout=900)
    return site


def replica(site: Operator) -> dict[str, Any]:
    return site.replicas()[REPLICA]


def until_whole(site: Operator, lab: Lab) -> None:
    """Wait until the gateway sends requests to it again, and check that it answers."""
    wait_until(lambda: replica(site)["traffic"] == "yes", START)
    # After a reboot, the test adds the second network again; that isn't part of the host's baseline.
    proofs = site("verify", "--json", check=None).json["proofs"]
    assert len(proofs) > 10
    assert [proof for proof in proofs if not proof["passed"] and "baseline" not in proof["what"]] == []


def pids(lab: Lab) -> tuple[str, str]:
    return pid(lab, "gpu1"), pid(lab, "gpu2")


def answers(lab: Lab) -> str:
    """Return what gpu1 answers to the gateways' checks."""
    return lab.exec("gpu1", "socat -T 3 - TCP:127.0.0.1:18100 </dev/null").out.strip()


def tries(lab: Lab) -> int:
    """Return how often TCP has doubled its timeout for resending what the engine on gpu1 sent in the outage."""
    told = lab.exec("gpu1", "ss -tnoiH state established dst 10.99.0.2").out
    return max((int(times) for times in re.findall(r"backoff:(\d+)", told)), default=0)


def reaches(lab: Lab, host: str, address: str, port: int, user: str = "root") -> bool:
    ask = f"setpriv --reuid={user} --regid=nogroup --clear-groups timeout 3 bash -c '</dev/tcp/{address}/{port}'"
    return lab.exec(host, ask, check=False).code == 0


def kill_a_member(site: Operator, lab: Lab) -> None:
    """Kill a member. The replica leaves the gateway, and comes back with every engine restarted."""
    before = pids(lab)
    lab.exec("gpu2", f"systemctl kill --kill-whom=all --signal=KILL {UNIT}")
    wait_until(lambda: replica(site)["traffic"] == "no", until_out(lab, "gpu1"))
    until_whole(site, lab)
    assert not set(before) & set(pids(lab))


def test_two_hosts_answer_as_one_replica(site: Operator, lab: Lab) -> None:
    assert list(site.replicas()) == [REPLICA]
    assert replica(site)["state"] in ("ready", "busy")
    assert site("verify", "--json").json["failed"] == 0
    assert "--pipeline-parallel-size" in lab.exec("gpu2", f"systemctl cat {UNIT}").out


def test_a_second_apply_changes_nothing(site: Operator) -> None:
    said = site("apply", "--yes", "--json").json
    assert (said["changed"], said["failed"], said["restarted"]) == (0, 0, [])


def test_its_ports_are_open_to_members_only_and_engines_reach_members_only(site: Operator, lab: Lab) -> None:
    assert reaches(lab, "gpu2", FABRIC["gpu1"], 28100)
    assert not reaches(lab, "gate1", FABRIC["gpu1"], 28100)
    gateway = lab.fleet().hosts["gate1"]
    assert reaches(lab, "gpu1", gateway, 443)
    assert not reaches(lab, "gpu1", gateway, 443, "rw-assistant")
    assert reaches(lab, "gpu1", FABRIC["gpu2"], 28100, "rw-assistant")
    assert site("verify", "--json").json["failed"] == 0


def test_a_member_that_is_killed_takes_it_out_and_it_comes_back_whole(site: Operator, lab: Lab) -> None:
    kill_a_member(site, lab)


def test_members_follow_a_first_one_that_is_restarted(site: Operator, lab: Lab) -> None:
    before = pids(lab)
    site("restart", REPLICA, "--yes", "--allow-outage", timeout=600)
    until_whole(site, lab)
    assert not set(before) & set(pids(lab))


def test_a_hole_in_the_network_costs_no_engine(site: Operator, lab: Lab) -> None:
    before = pids(lab)
    lab.cut_network("gpu2")
    try:
        wait_until(lambda: answers(lab) == "down", 15)
        wait_until(lambda: replica(site)["traffic"] == "no")
        # The probe run during which the network fails may take its whole deadline.
        wait_until(lambda: "gpu2 doesn't answer" in lab.exec("gpu1", "cat /run/rackwright-state/assistant@1").out)
        # From here on, an engine's next retransmission comes after the probe's deadline.
        wait_until(lambda: tries(lab) >= 6)
    finally:
        lab.mend_network("gpu2")
    until_whole(site, lab)
    assert pids(lab) == before


def test_a_stopped_member_and_a_lost_host_are_named_and_join_again(site: Operator, lab: Lab) -> None:
    lab.exec("gpu2", f"systemctl stop {UNIT}", timeout=160)
    wait_until(lambda: replica(site)["traffic"] == "no", until_out(lab, "gpu1"))
    assert "the engine on gpu2 is not running" in str(replica(site))
    lab.kill("gpu2")
    wait_until(lambda: "gpu2 doesn't answer" in str(replica(site)), until_out(lab, "gpu1"))
    lab.start("gpu2")
    plug(lab, "gpu2", FABRIC["gpu2"])
    until_whole(site, lab)


def test_a_start_that_finds_closed_ports_names_them(site: Operator, lab: Lab) -> None:
    some = f"ip saddr {FABRIC['gpu2']} tcp dport {{ 28100, 28600 }} accept"
    lab.exec("gpu1", f"nft flush chain inet rackwright fabric; nft add rule inet rackwright fabric {some}")
    lab.exec("gpu1", "sed -i 's/^stall=600/stall=30/' /etc/rackwright/assistant@1.loading")
    lab.exec("gpu1", f"systemctl restart {UNIT}", timeout=160)
    said = "are TCP 28600 and 32768-60999 open between gpu1 and gpu2"
    wait_until(lambda: said in lab.exec("gpu1", "journalctl -o cat -t rackwright").out, START)
    # An apply repairs both, as always.
    site("apply", "--yes", timeout=900)
    until_whole(site, lab)


@pytest.mark.parametrize("width", ["tensor_parallel_size: 2", "data_parallel_size: 2"])
def test_it_answers_in_each_width(site: Operator, lab: Lab, width: str) -> None:
    made = vllm.ensure(lambda _: None)
    text = site.path.read_text()
    before, _, rest = text.partition("models:\n")
    after = rest[rest.index("gateway:") :]
    # SmolLM2 has nine heads, which can't be divided evenly.
    site.path.write_text(f"{before}models:\n{models(str(made.even), f', {width}')}{after}")
    site("lock")
    site("apply", "--yes", "--allow-outage", timeout=900)
    assert site("verify", "--json").json["failed"] == 0
    flag = f"--{width.partition(':')[0].replace('_', '-')}"
    assert flag in lab.exec("gpu2", f"systemctl cat {UNIT}").out


def test_a_killed_member_of_data_width_takes_the_others_along(site: Operator, lab: Lab) -> None:
    # Otherwise, the first one would continue to serve half of the requests, and the member would never join again.
    kill_a_member(site, lab)
