"""Models that move to other hosts under load: the old replica serves until the new one does, if there is room."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.lab.artefacts import Artefacts
from rackwright.lab.hosts import Lab
from tests.lab.access import accesses, lost_by
from tests.lab.load import Plan, loaded
from tests.lab.operator import Operator, operator
from tests.lab.paced import BYTES_PER_TOKEN, CONTEXT, model, runtime
from tests.lab.standard import standard_lab

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/apply.py",
    "rackwright/fleet/source.py",
    "rackwright/lifecycle/apply",
    "rackwright/lifecycle/restart.py",
    "rackwright/state/checkout.py",
    "roles/gateway",
    "roles/replica",
)
SLOTS = 32
UNIT = "rackwright-assistant@1.service"
_OTHER = """\
  other:
    source: "file:{model}"
    runtime: {{kind: llama_cpp, version: {version}, build: "file:{build}", parallel: {slots}, threads: 1}}
    place: [{{on: [gpu2], replicas: 1, gpus: 0}}]
    names: [other]
    context: {context}
"""
# As if the engine's program were missing.
_BROKEN = f"mkdir -p /etc/systemd/system/{UNIT}.d; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' \
>/etc/systemd/system/{UNIT}.d/broken.conf"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("moves", "gate1", "gpu1", "gpu2") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder = tmp_path_factory.mktemp("site")
    large = model(folder / "large.gguf", layers=layers_of_a_large_model(lab))
    made = operator(folder, lab.fleet(), Artefacts(large, runtime(folder / "llama.tar.gz", "load=3 pace=0.05")))
    text = (
        made.path.read_text().replace("on: [gpu1, gpu2]", "on: [gpu1]").replace("parallel: 2", f"parallel: {SLOTS}")
    )
    text = text.replace("context: 2048", f"context: {CONTEXT}")
    made.path.write_text(text.replace("soak: 2s", "soak: 1s, start_timeout: 15s"))
    made("lock")
    made("apply", "--yes", "--allow-outage")
    return made


def layers_of_a_large_model(lab: Lab) -> int:
    """Return the number of layers with which one replica fits into a host's memory, and two don't."""
    memory = int(lab.exec("gpu1", "awk '/^MemTotal:/ { print $2 }' /proc/meminfo").out) * 1024
    return round(0.55 * memory / (CONTEXT * SLOTS * BYTES_PER_TOKEN))


@pytest.fixture(scope="module")
def key(site: Operator) -> str:
    return str(site("key", "add", "load", "--owner", "tests", "--concurrency", "unlimited", "--json").json["key"])


@pytest.fixture
def plan(site: Operator, lab: Lab, key: str, tmp_path: Path) -> Plan:
    return Plan(
        gateways=(lab.fleet().hosts["gate1"],),
        ca=str(site.path.with_name("test.ca.crt")),
        key=key,
        samples=str(tmp_path / "samples.jsonl"),
        rate=4,
        rhythm="lcslc",
    )


def units(lab: Lab, host: str) -> str:
    return lab.exec(host, f"ls /etc/systemd/system/{UNIT} 2>/dev/null || true").out.strip()


def test_the_only_replica_moves_and_no_request_is_lost(site: Operator, lab: Lab, plan: Plan) -> None:
    site.edit("on: [gpu1]", "on: [gpu2]")
    assert "gpu1/assistant@1: serves until another replica of assistant answers" in site("plan").out
    with loaded(plan) as load:
        said = site("apply", "--yes").err
        counted = load.stop()
    assert said.index("gpu2/assistant@1: answers") < said.index("gpu1/assistant@1  draining")
    assert counted.failures == {}
    assert counted.whole == counted.asked > 20
    used = accesses(lab, ("gate1",), "load")
    assert lost_by(used, load.samples) == []
    assert {access.replica for access in used.values()} == {"gpu1/assistant@1", "gpu2/assistant@1"}
    assert list(site.replicas()) == ["gpu2/assistant@1"]
    assert units(lab, "gpu1") == ""
    assert lab.exec("gate1", "ls /var/lib/rackwright/drains").out == ""
    assert site("plan", "--check").code == 0


def test_requests_that_wait_for_a_slot_are_not_lost_when_the_only_replica_restarts(
    site: Operator, lab: Lab, plan: Plan
) -> None:
    """There are always more requests than slots."""
    with loaded(replace(plan, rate=60, rhythm="l", in_flight=SLOTS + 8)) as load:
        said = site("restart", "gpu2/assistant@1", "--yes", "--allow-outage").err
        counted = load.stop()
    assert counted.failures == {}
    assert counted.whole == counted.asked > 2 * SLOTS
    assert re.search(r"draining \(\d+ queued\)", said)


def test_the_old_one_serves_on_if_the_new_one_does_not_start(site: Operator, lab: Lab, plan: Plan) -> None:
    lab.exec("gpu1", _BROKEN)
    site.edit("on: [gpu2]", "on: [gpu1]")
    with loaded(plan) as load:
        said = site("apply", "--yes", check=12).err
        counted = load.stop()
    assert "gpu1/assistant@1" in said
    assert counted.failures == {}
    assert counted.whole == counted.asked > 20
    assert units(lab, "gpu2") != ""
    lab.exec("gpu1", f"rm -r /etc/systemd/system/{UNIT}.d; systemctl daemon-reload; systemctl reset-failed {UNIT}")
    site("apply", "--yes")
    assert {name: state["traffic"] for name, state in site.replicas().items()} == {"gpu1/assistant@1": "yes"}
    assert units(lab, "gpu2") == ""


def test_without_room_for_both_a_move_is_planned_downtime_and_asked_for(site: Operator, lab: Lab) -> None:
    """Each model takes most of a host's memory, and they swap their hosts."""
    with_another_model(site)
    site("apply", "--yes")
    text = site.path.read_text()
    first, second = text.split("  other:\n")
    site.path.write_text(f"{first.replace('on: [gpu1]', 'on: [gpu2]')}  other:\n{second.replace('gpu2', 'gpu1')}")
    site("lock")
    refused = site("apply", "--yes", check=1).err
    assert "no replica of assistant and other would serve until another one answers" in refused
    assert "gpu1/assistant@1 stops first: its memory is needed on gpu1" in refused
    assert "rackwright apply --allow-outage" in refused
    assert units(lab, "gpu1") != ""
    site("apply", "--yes", "--allow-outage")
    assert {name: state["traffic"] for name, state in site.replicas().items()} == {
        "gpu2/assistant@1": "yes",
        "gpu1/other@1": "yes",
    }
    assert site("plan", "--check").code == 0


def with_another_model(site: Operator) -> None:
    text = site.path.read_text()
    begin, _, end = text.partition("gateway:")
    other = _OTHER.format(
        model=_between(text, 'source: "file:', '"'),
        build=_between(text, 'build: "file:', '"'),
        version=_between(text, "version: ", "\n"),
        slots=SLOTS,
        context=CONTEXT,
    )
    site.path.write_text(f"{begin}{other}gateway:{end}")
    site("lock")


def _between(text: str, begin: str, end: str) -> str:
    return text.partition(begin)[2].partition(end)[0]


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("key", "add", "other", "--owner", "tests"),
        ("key", "revoke", "other", "--yes"),
        ("drain", "gpu1/other@1", "--reason", "disk", "--allow-outage", "--yes"),
        ("undrain", "gpu1/other@1"),
        ("logs", "gpu1/other@1", "-n", "5"),
        ("lease", "show"),
        ("rollout", "status"),
        ("trust",),
        ("check", "--offline"),
        ("restart", "gpu1/other@1", "--allow-outage", "--yes"),
    ],
    ids=" ".join,
)
def test_a_checkout_without_the_files_of_its_sources_can_do_all_that_does_not_need_them(
    site: Operator, words: tuple[str, ...]
) -> None:
    files = [site.path.with_name(name) for name in ("large.gguf", "llama.tar.gz")]
    away = [path.rename(path.with_name(f"{path.name}.away")) for path in files]
    try:
        site(*words)
    finally:
        for path, gone in zip(files, away, strict=True):
            gone.rename(path)
