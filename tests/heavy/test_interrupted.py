"""Interrupted commands, and how the next one continues: another operator, SIGKILL, Ctrl-C, a dead host."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from rackwright.lab.hosts import Lab
from rackwright.lifecycle.apply.stages import SETTLE
from tests.lab.blind import blind
from tests.lab.engines import change_parallel, pid
from tests.lab.operator import Operator, operator, read_until
from tests.lab.standard import standard_lab
from tests.lab.stopped import interrupted, kill_when
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/apply.py",
    "rackwright/lifecycle/apply",
    "rackwright/lifecycle/restart.py",
    "rackwright/lifecycle/session",
    "rackwright/remote",
    "rackwright/runner",
    "rackwright/state/lease.py",
    "rackwright/state/lease_session.py",
    "rackwright/stopping.py",
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("interrupted", "gate1", "gpu1", "gpu2", bare=("gate1",)) as lab:
        yield lab


@pytest.fixture(scope="module")
def bare(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return operator(tmp_path_factory.mktemp("site"), lab.fleet())


@pytest.fixture(scope="module")
def site(bare: Operator) -> Operator:
    bare("apply", "--yes")
    return bare


def test_a_gateway_that_fails_before_it_has_a_proxy_is_not_asked(bare: Operator, lab: Lab) -> None:
    lab.exec("gate1", "echo broken >/etc/apt/sources.list.d/broken.sources")
    try:
        said = bare("apply", "--yes", check=3)
    finally:
        lab.exec("gate1", "rm /etc/apt/sources.list.d/broken.sources")
    assert "gpu1/assistant@1: answers" in said.err
    assert "asking for states" not in said.err


def test_a_second_operator_is_refused_by_name(site: Operator) -> None:
    first = site.start("restart", "gpu1/assistant@1", "--yes")
    assert first.stdout is not None
    assert "gpu1/assistant@1  checking" in first.stdout.readline()
    refused = site("apply", "--yes", check=11)
    assert "the fleet is leased by" in refused.err
    assert "restart gpu1/assistant@1" in refused.err
    assert first.wait(timeout=120) == 0


def test_of_sixteen_controllers_at_once_one_wins(site: Operator) -> None:
    site.edit("soak: 2s", "soak: 10m")
    started = [site.start("restart", "gpu1/assistant@1", "--yes") for _ in range(16)]
    # The winner soaks until all others have ended.
    wait_until(lambda: sum(one.poll() is not None for one in started) == 15, 240)
    (winner,) = (one for one in started if one.poll() is None)
    winner.send_signal(signal.SIGINT)
    said = {one: one.communicate(timeout=60)[0] for one in started}
    site.edit("soak: 10m", "soak: 2s")
    assert winner.returncode == 0, said[winner]
    assert [one.returncode for one in started if one is not winner] == [11] * 15
    assert all("the fleet is leased by" in said[one] for one in started if one is not winner)
    assert "gpu1/assistant@1  done" in said[winner]
    assert site.replicas()["gpu1/assistant@1"]["traffic"] == "yes"


def test_an_apply_killed_while_it_changes_hosts_is_finished_by_the_next(site: Operator, lab: Lab) -> None:
    parallel = change_parallel(site)
    kill_when(site.start("apply", "--yes"), "+ gpu")
    refused = site("apply", "--yes", check=11)
    assert "the fleet is leased by" in refused.err
    site("lease", "break", "--reason", "killed", "--yes")
    site("apply", "--yes")
    assert site("apply", "--yes", "--json").json["changed"] == 0
    for host in ("gpu1", "gpu2"):
        assert parallel in lab.exec(host, f"tr '\\0' ' ' < /proc/{pid(lab, host)}/cmdline").out


def test_an_apply_killed_while_it_restarts_engines_is_finished_by_the_next(site: Operator, lab: Lab) -> None:
    parallel = change_parallel(site)
    kill_when(site.start("apply", "--yes"), "gpu1/assistant@1  restarting")
    assert site.replicas()["gpu1/assistant@1"]["drained"]["reason"].startswith("apply")
    assert site("plan", "--json").json["returns"] == ["gpu1/assistant@1"]
    # Let the remaining minute of a dead operator's lease pass.
    lab.exec("gate1", "sed -i -E '1s/[0-9]+$/1/' /var/lib/rackwright/control/lease")
    assert "took over an expired lease" in site("apply", "--yes").err
    assert all(replica["traffic"] == "yes" for replica in site.replicas().values())
    assert site("apply", "--yes", "--json").json["changed"] == 0
    for host in ("gpu1", "gpu2"):
        assert parallel in lab.exec(host, f"tr '\\0' ' ' < /proc/{pid(lab, host)}/cmdline").out


def test_ctrl_c_ends_after_the_running_operation_and_releases_the_lease(site: Operator, lab: Lab) -> None:
    recorded = lab.exec("gpu1", "cat /var/lib/rackwright/record.json").out
    change_parallel(site)
    said = interrupted(site.start("apply", "--yes"), "+ gpu")
    assert re.search(r"interrupted: \d+ operations? not run; rackwright plan shows what is left", said)
    assert lab.exec("gpu1", "cat /var/lib/rackwright/record.json").out == recorded
    audits = [lab.exec(host, "tail -n 1 /var/lib/rackwright/audit.log").out for host in ("gate1", "gpu1", "gpu2")]
    assert any("then interrupted" in line for line in audits)
    site("apply", "--yes")
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_ctrl_c_in_a_rollout_ends_with_the_replica_that_is_being_restarted(site: Operator, lab: Lab) -> None:
    parallel = change_parallel(site)
    said = interrupted(site.start("apply", "--yes"), "gpu1/assistant@1  restarting")
    assert "error: interrupted; done: gpu1/assistant@1; not started: gpu2/assistant@1" in said
    assert re.search(r"^gpu1 +\d", said, re.MULTILINE), "the hosts' totals are printed as well"
    assert site("lease", "show", "--json").json["lease"] is None
    replicas = site.replicas()
    assert all(replica["traffic"] == "yes" for replica in replicas.values())
    assert replicas["gpu2/assistant@1"]["pending"]
    assert "then failed: interrupted" in lab.exec("gpu1", "tail -n 1 /var/lib/rackwright/audit.log").out
    assert site("apply", "--yes", "--json").json["restarted"] == ["gpu2/assistant@1"]
    for host in ("gpu1", "gpu2"):
        assert parallel in lab.exec(host, f"tr '\\0' ' ' < /proc/{pid(lab, host)}/cmdline").out


def test_ctrl_c_while_an_engine_is_awaited_names_it_and_it_comes_all_the_same(site: Operator, lab: Lab) -> None:
    lab.exec("gpu2", "systemctl stop rackwright-assistant@1")
    wait_until(lambda: site.replicas()["gpu2/assistant@1"]["traffic"] == "no", 30)
    # The engine starts again, and the gateway can't see that.
    with blind(lab, "gate1", "gpu2"):
        said = interrupted(site.start("apply", "--yes"), f"] {SETTLE}")
    assert "error: interrupted; not ready yet: gpu2/assistant@1" in said
    assert site("lease", "show", "--json").json["lease"] is None
    wait_until(lambda: site.replicas()["gpu2/assistant@1"]["traffic"] == "yes", 60)
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_a_second_ctrl_c_ends_at_once_and_the_next_apply_undrains_what_it_left(site: Operator) -> None:
    restarting = site.start("restart", "gpu1/assistant@1", "--yes")
    read_until(restarting, "gpu1/assistant@1  restarting")
    restarting.send_signal(signal.SIGINT)
    said = interrupted(restarting, "Ctrl-C again stops at once")
    assert said.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in said
    assert site("lease", "show", "--json").json["lease"] is None
    assert site.replicas()["gpu1/assistant@1"]["drained"]["reason"].startswith("restart")
    site("apply", "--yes")
    assert site.replicas()["gpu1/assistant@1"]["traffic"] == "yes"


def test_a_dead_host_is_named_and_stops_no_other(site: Operator, lab: Lab) -> None:
    lab.kill("gpu2")
    said = site("apply", "--yes", "--json", check=3)
    assert said.json["failed_hosts"] == ["gpu2"]
    assert said.json["hosts"]["gpu1"]["failed"] == 0
    found = site("status", "--json", check=12).json
    (host,) = (host for host in found["hosts"] if host["host"] == "gpu2")
    assert host["state"].startswith("unreachable")
    lab.start("gpu2")
    assert site("apply", "--yes", "--json").json["failed"] == 0


def test_a_changed_host_key_is_refused_loudly(site: Operator) -> None:
    known = site.path.with_suffix(".known_hosts")
    text = known.read_text()
    lines = text.splitlines()
    known.write_text(text.replace(lines[0].split()[2], lines[1].split()[2]))
    said = site("check", "--limit", "gate1", check=12)
    known.write_text(text)
    assert "host key" in said.out.lower()
