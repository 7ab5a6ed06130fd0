"""Changes under traffic, with a paced stand-in for the engine: neither clients nor the log show a lost request.

The counts are small; benchmarks/rollout.py has the large ones.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.lab.artefacts import RELEASE
from rackwright.lab.hosts import Lab
from rackwright.roles.gateway.access_log import Access
from tests.lab.access import Drained, accesses, lost_by, reached
from tests.lab.blind import blind
from tests.lab.engines import pid
from tests.lab.load import Plan, loaded
from tests.lab.load.sample import read
from tests.lab.operator import Operator, operator, read_until
from tests.lab.paced import model, paced, runtime
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/gateway",
    "rackwright/lifecycle/rollout/change.py",
    "rackwright/lifecycle/rollout/engine_changes.py",
    "rackwright/lifecycle/update/unfinished.py",
    "rackwright/lifecycle/restart.py",
    "rackwright/lifecycle/rollout/procedure.py",
    "rackwright/lifecycle/proof/through_gateways.py",
    "rackwright/lifecycle/rollout/traffic.py",
    "rackwright/lifecycle/update/procedure.py",
    "rackwright/operations/haproxy",
    "roles/gateway",
    "roles/host_proxy",
    "roles/replica",
)
GATEWAYS = ("gate1",)
SERVING = ("gpu1", "gpu2")
PACED = "load=1 pace=0.05"
LEAST = 200
"""The least number of requests during a change."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("under-load", *GATEWAYS, *SERVING) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder = tmp_path_factory.mktemp("site")
    site = operator(folder, lab.fleet(), paced(folder / "paced", PACED))
    # Half of the slots must be enough for everything: long streams run at the same time.
    site.edit("parallel: 2", "parallel: 64")
    site.edit("soak: 2s", "soak: 0s, start_timeout: 15s")
    site("apply", "--yes", "--close-ports")
    return site


@pytest.fixture(scope="module")
def key(site: Operator) -> str:
    return str(site("key", "add", "load", "--owner", "tests", "--concurrency", "unlimited", "--json").json["key"])


@pytest.fixture
def plan(site: Operator, lab: Lab, key: str, tmp_path: Path) -> Plan:
    addresses = lab.fleet().hosts
    return Plan(
        gateways=tuple(addresses[gateway] for gateway in GATEWAYS),
        ca=str(site.path.with_name("test.ca.crt")),
        key=key,
        samples=str(tmp_path / "samples.jsonl"),
    )


def unharmed(lab: Lab, plan: Plan, change: Callable[[], object]) -> dict[str | None, Access]:
    """Make the change under load and return the log of the load's requests. Fail if a request was lost, according to
    its client or to the gateways' log."""
    known = accesses(lab, GATEWAYS, "load")
    with loaded(plan) as load:
        change()
        counted = load.stop()
    log = {request: access for request, access in accesses(lab, GATEWAYS, "load").items() if request not in known}
    assert lost_by(log, load.samples) == []
    assert counted.whole == counted.asked >= LEAST
    assert counted.long >= LEAST / 9
    return log


# Each change under traffic has its test here: what it does, and what holds afterwards.
def test_a_restart_of_every_engine_loses_no_request(site: Operator, lab: Lab, plan: Plan) -> None:
    before = [pid(lab, host) for host in SERVING]
    log = unharmed(lab, plan, lambda: site("restart", "assistant", "--yes"))
    assert not set(before) & {pid(lab, host) for host in SERVING}
    assert answered_by(log) == {f"{host}/assistant@1" for host in SERVING}


def answered_by(log: dict[str | None, Access]) -> set[str | None]:
    return {access.replica for access in log.values()}


def versions_on(lab: Lab, host: str) -> str:
    """Return what its engine was started with: the folders of the runtime and of the weights."""
    show = "tr '\\0' ' ' </proc/$(systemctl show -P MainPID rackwright-assistant@1)/cmdline"
    return " ".join(re.findall(r"/(?:srv/models|opt/rackwright)/\S+", lab.exec(host, show).out))


def versions(lab: Lab) -> set[str]:
    return {versions_on(lab, host) for host in SERVING}


def weights(site: Operator) -> Path:
    """Return the weights file that the fleet file names."""
    return site.path.parent / "paced" / "assistant.gguf"


def test_an_update_loses_no_request(site: Operator, lab: Lab, plan: Plan) -> None:
    before = versions(lab)
    model(weights(site), padding=1)
    unharmed(lab, plan, lambda: site("model", "update", "assistant", "--yes"))
    assert len(versions(lab)) == 1
    assert not versions(lab) & before


def test_a_rollback_loses_no_request(site: Operator, lab: Lab, plan: Plan) -> None:
    before = versions(lab)
    unharmed(lab, plan, lambda: site("model", "rollback", "assistant", "--yes"))
    assert len(versions(lab)) == 1
    assert not versions(lab) & before


def test_an_update_whose_new_engine_refuses_to_start_loses_no_request(site: Operator, lab: Lab, plan: Plan) -> None:
    before = versions(lab)
    model(weights(site), "fault=refuse", padding=2)
    unharmed(lab, plan, lambda: site("model", "update", "assistant", "--yes", check=12))
    assert versions(lab) == before
    model(weights(site), padding=1)


def test_an_update_whose_new_engine_hangs_loses_no_request(site: Operator, lab: Lab, plan: Plan) -> None:
    before = versions(lab)
    model(weights(site), "fault=hang", padding=3)
    unharmed(lab, plan, lambda: site("model", "update", "assistant", "--yes", check=12))
    assert versions(lab) == before
    model(weights(site), padding=1)


def test_an_update_of_the_runtime_loses_no_request(site: Operator, lab: Lab, plan: Plan) -> None:
    before = versions(lab)
    model(weights(site))
    runtime(site.path.parent / "paced" / f"llama-{RELEASE}.tar.gz", PACED, "b10435")
    site.path.write_text(site.path.read_text().replace(f"version: {RELEASE}", "version: b10435"))
    unharmed(lab, plan, lambda: site("runtime", "update", "--yes"))
    assert len(versions(lab)) == 1
    assert not versions(lab) & before


def test_reloads_of_all_proxies_lose_no_request(lab: Lab, plan: Plan) -> None:
    def reload() -> None:
        for _ in range(20):
            lab.exec("gate1", "systemctl reload rackwright-gateway")
            lab.exec("gpu1", "systemctl reload rackwright-host-proxy")

    unharmed(lab, plan, reload)


def test_a_drain_after_a_reload_holds_for_connections_that_clients_keep(site: Operator, lab: Lab, plan: Plan) -> None:
    drained: list[Drained] = []

    def change() -> None:
        for host in SERVING * 2:
            lab.exec("gate1", "systemctl reload rackwright-gateway")
            site("drain", host, "--reason", "test", "--yes")
            since = time.time()
            wait_until(lambda since=since: over_kept(plan, since) >= 20)  # type: ignore[misc]
            drained.append(Drained(f"{host}/assistant@1", since, time.time()))
            site("undrain", host)

    log = unharmed(lab, replace(plan, kept=50), change)
    assert reached(log.values(), drained) == []


def over_kept(plan: Plan, since: float) -> int:
    """Return how many requests have started since then over kept-alive connections, and ended."""
    return sum(one.kept_alive and one.began > since for one in read(Path(plan.samples)))


def test_the_load_sees_what_a_restart_by_hand_loses(lab: Lab, plan: Plan) -> None:
    with loaded(plan) as load:
        lab.exec("gpu1", "systemctl restart rackwright-assistant@1")
        counted = load.stop()
    assert counted.lost > 0
    assert set(counted.failures) <= {"broken stream", "status 502", "status 503"}


def test_an_apply_restarts_nothing_before_the_gateways_see_what_it_changed(
    site: Operator, lab: Lab, plan: Plan
) -> None:
    """It starts a host proxy, and could restart engines before the gateway has seen that proxy again."""
    before = [pid(lab, host) for host in SERVING]
    site.path.write_text(site.path.read_text().replace("parallel: 64", "parallel: 65"))
    lab.exec("gpu2", "systemctl stop rackwright-host-proxy")
    wait_until(lambda: site.replicas()["gpu2/assistant@1"]["traffic"] == "no")

    def change() -> None:
        with blind(lab, "gate1", "gpu2"):
            applying = site.start("apply", "--yes")
            read_until(applying, "gpu2/assistant@1: ready, but a gateway doesn't see it yet")
            assert [pid(lab, host) for host in SERVING] == before
        said, _ = applying.communicate(timeout=300)
        assert applying.returncode == 0, said

    unharmed(lab, plan, change)
    assert not set(before) & {pid(lab, host) for host in SERVING}


def test_requests_wait_while_a_models_only_replica_changes(site: Operator, lab: Lab, plan: Plan) -> None:
    site.edit("on: [gpu1, gpu2]", "on: [gpu1]")
    site("apply", "--yes")
    before = versions_on(lab, "gpu1")
    model(weights(site), padding=4)
    refused = site("model", "update", "assistant", "--yes", check=1).err
    assert "assistant has one replica and is down while that is updated" in refused
    assert "the same command with --allow-outage" in refused
    log = unharmed(lab, plan, lambda: site("model", "update", "assistant", "--yes", "--allow-outage"))
    assert versions_on(lab, "gpu1") != before
    assert answered_by(log) == {"gpu1/assistant@1"}
    assert max(access.queued_ms or 0 for access in log.values()) > 1000
