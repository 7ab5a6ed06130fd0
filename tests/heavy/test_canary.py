"""Canaries on real hosts, with real builds of one model: equal, broken, slow, doubtful. Each builds on the last."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from rackwright.roles.gateway.access_log import Access
from tests.heavy.builds import build
from tests.heavy.golden_words import golden_set
from tests.lab.access import accesses, lost_by
from tests.lab.load import Plan, loaded
from tests.lab.operator import Operator, Said, operator
from tests.lab.standard import standard_lab
from tests.lab.two_replicas import HOSTS, all_serve, running
from tests.lab.versions import Versions
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/model/verdict.py",
    "rackwright/cli/render/verdict_html.py",
    "rackwright/gateway",
    "rackwright/lifecycle/canary",
    "rackwright/lifecycle/rollout/change.py",
    "rackwright/lifecycle/rollout/engine_changes.py",
    "rackwright/lifecycle/update/unfinished.py",
    "rackwright/lifecycle/rollout/procedure.py",
    "rackwright/lifecycle/update/procedure.py",
    "rackwright/report",
    "rackwright/state/canaries.py",
    "rackwright/verdict",
    "roles/gateway",
)
GATEWAYS = ("gate1", "gate2")
WIDE = "errors: 20%, ttft_median: 100%, ttft_p95: 100%, tpot_median: 100%, tpot_p95: 100%"
"""Two cores run two engines, clients and everything else: only very slow times mean anything."""


def canary(*, golden: str | None = None, thresholds: str = WIDE, **said: object) -> str:
    asked = {"share": "[20, 50]", "min_duration": "10s", "min_requests": 20, "max_duration": "3m", **said}
    asked |= {"golden": golden} if golden else {}
    listed = ", ".join(f"{key}: {value}" for key, value in asked.items())
    return f"    canary: {{{listed}, thresholds: {{{thresholds}}}}}\n"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("canary", *GATEWAYS, *HOSTS) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    made = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    text = made.path.read_text().replace("on: [gate1]", "on: [gate1, gate2]", 1)
    made.path.write_text(text.replace("soak: 2s", "soak: 0s"))
    golden_set(made.path.with_name("prompts.jsonl"))
    return made


@pytest.fixture(scope="module")
def model(site: Operator) -> Versions:
    versions = Versions(site)
    site("lock")
    site("apply", "--yes")
    return versions


@pytest.fixture(scope="module")
def key(site: Operator, model: Versions) -> str:
    return str(site("key", "add", "load", "--owner", "tests", "--json").json["key"])


@pytest.fixture
def plan(site: Operator, lab: Lab, key: str, tmp_path: Path) -> Plan:
    addresses = lab.fleet().hosts
    return Plan(
        gateways=tuple(addresses[gateway] for gateway in GATEWAYS),
        ca=str(site.path.with_name("test.ca.crt")),
        key=key,
        samples=str(tmp_path / "samples.jsonl"),
        rate=6,
        tokens=3,
        long_tokens=6,
        rhythm="sslsscsss",
        in_flight=8,
        exact=False,
    )


def say(site: Operator, text: str) -> None:
    """Put this canary into the fleet file."""
    lines = [line for line in site.path.read_text().splitlines(keepends=True) if not line.startswith("    canary:")]
    at = next(number for number, line in enumerate(lines) if line.startswith("    context:"))
    site.path.write_text("".join([*lines[:at], text, *lines[at:]]))


def becomes(model: Versions, name: str) -> None:
    shutil.copy(build(name), model.file)


def unharmed(lab: Lab, plan: Plan, change: Callable[[], object]) -> list[Access]:
    """Make the change under load and check that no request is lost. Return the log of the load's requests."""
    known = accesses(lab, GATEWAYS, "load")
    with loaded(plan) as load:
        change()
        load.stop()
    log = {request: access for request, access in accesses(lab, GATEWAYS, "load").items() if request not in known}
    assert lost_by(log, load.samples) == []
    return list(log.values())


def refused(site: Operator, lab: Lab, plan: Plan) -> tuple[list[Access], str]:
    """Run an update that is rejected, under load. Return the log of the requests, and what the operator saw."""
    said: list[Said] = []
    log = unharmed(
        lab, plan, lambda: said.append(site("model", "update", "assistant", "--yes", check=12, timeout=700))
    )
    return log, said[0].err


def test_an_equal_build_passes_and_all_replicas_follow(site: Operator, model: Versions, lab: Lab, plan: Plan) -> None:
    old = model.digest
    # The 95th percentile is known from 200 requests on: the last step is judged again with twice as many.
    rules = {"share": "[40, 50]", "min_requests": 60, "max_duration": "6m"}
    say(site, canary(golden="prompts.jsonl", thresholds=f"{WIDE}, golden: 30%", **rules))
    becomes(model, "Q8_0")
    log = unharmed(lab, plan, lambda: site("model", "update", "assistant", "--yes", timeout=900))
    assert model.digest != old
    assert running(lab) == {model.digest[:16]}
    tried = [access for access in log if access.canary]
    assert len(tried) >= 260
    assert {(access.replica, access.digest) for access in tried} == {("gpu1/assistant@1", model.digest)}
    report = site("model", "verdict", "assistant", "--json").json["canary"]
    # From then on, it takes its part of the requests that wait for a slot.
    passed = datetime.fromisoformat(report["when"])
    assert {access.replica for access in log if access.canary is False and ended(access) < passed} == {
        "gpu2/assistant@1"
    }
    assert (report["outcome"], report["before"], report["after"]) == ("PASS", old, model.digest)
    page = site.path.with_name("verdict.html")
    said = site("model", "verdict", "assistant", "--html", str(page)).out
    assert "ended with PASS at 50 % of the conversations" in said
    assert "<svg" in page.read_text()
    wait_until(lambda: all_serve(site))


def ended(access: Access) -> datetime:
    return access.time + timedelta(milliseconds=access.total_ms or 0)


def back(site: Operator, model: Versions, lab: Lab, old: str) -> None:
    """Check that everything was restored automatically."""
    assert model.digest == old
    assert running(lab) == {old[:16]}
    assert "no rollout is open" in site("rollout", "status").out
    wait_until(lambda: all_serve(site))
    assert all(entry["canary"] is None for entry in site.replicas().values())


def test_one_with_layers_cut_fails_before_a_client_meets_it(
    site: Operator, model: Versions, lab: Lab, plan: Plan
) -> None:
    old = model.digest
    say(site, canary(golden="prompts.jsonl"))
    becomes(model, "cut")
    log, told = refused(site, lab, plan)
    assert "FAIL: " in told, told
    assert re.search(r"FAIL +golden score +\d", told), told
    assert "rackwright model verdict assistant" in told, told
    assert not any(access.canary for access in log)
    back(site, model, lab, old)


def test_one_that_is_more_than_twice_as_slow_fails_by_what_clients_see(
    site: Operator, model: Versions, lab: Lab, plan: Plan
) -> None:
    old = model.digest
    slower = WIDE.replace("ttft_median: 100%", "ttft_median: 25%")
    # Without a golden set: its times could show the difference before any client's do.
    say(site, canary(share="[50]", min_requests=40, max_duration="5m", thresholds=slower))
    becomes(model, "slow")
    # Not streamed, so that the first byte is the last, and long enough that the engine takes most of the time.
    pieces = replace(plan, rhythm="ccclccccc", rate=1.5, tokens=8, long_tokens=12)
    log, told = refused(site, lab, pieces)
    assert "FAIL: " in told, told
    assert re.search(r"FAIL +median time to first token", told), told
    assert any(access.canary for access in log)
    back(site, model, lab, old)


def test_a_doubtful_one_pauses_with_the_old_version_at_full_weight(
    site: Operator, model: Versions, lab: Lab, plan: Plan
) -> None:
    old = model.digest
    say(site, canary(share="[20]", thresholds=WIDE.replace("errors: 20%", "errors: 1%"), max_duration="20s"))
    becomes(model, "Q2_K")
    _, told = refused(site, lab, plan)
    assert "INCONCLUSIVE: " in told, told
    assert "stays open" in told, told
    replicas = site.replicas()
    assert replicas["gpu1/assistant@1"]["traffic"].startswith("drained")
    assert (replicas["gpu1/assistant@1"]["canary"], replicas["gpu2/assistant@1"]["traffic"]) == (None, "yes")
    assert site("model", "verdict", "assistant", "--json").json["canary"]["outcome"] == "INCONCLUSIVE"
    site("rollout", "abort", "--yes")
    back(site, model, lab, old)
