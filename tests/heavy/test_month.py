"""An operator's first month: a fleet file written by hand, a virtual address, a move, another name, a lost gateway,
a colleague and another CA, with clients under load who lose nothing. The tests build on one another."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.lab.artefacts import RELEASE
from rackwright.lab.fleet_file import BASELINE, DOMAIN
from rackwright.lab.hosts import Lab, LabFleet
from tests.lab.engines import pid
from tests.lab.labs import fresh_lab
from tests.lab.load import Load, Plan, loaded
from tests.lab.operator import Operator
from tests.lab.paced import paced
from tests.terminal import at_terminal

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/apply.py",
    "rackwright/cli/ca.py",
    "rackwright/lifecycle/apply",
    "rackwright/lifecycle/ca",
    "rackwright/lifecycle/rollout",
    "rackwright/state/applied.py",
    "rackwright/state/checkout.py",
    "roles/gateway",
    "roles/vip",
)
APPLY = "Apply this? [y/N]: "
DROP = "Names that clients used lately would no longer be served. Drop them? [y/N]: "
FLEET = """\
fleet: acme
defaults:
  ssh: {{user: {user}, key: {key}}}
{baseline}
hosts:
  gate1: {{address: {gate1}}}
  gate2: {{address: {gate2}}}
  gpu1: {{address: {gpu1}}}
  gpu2: {{address: {gpu2}}}
  gpu3: {{address: {gpu3}}}
models:
  assistant:
    source: file:weights/assistant.gguf
    runtime: {{kind: llama_cpp, version: {release}, build: "file:weights/llama-{release}.tar.gz", parallel: 64}}
    place: [{{on: gpu3, gpus: 0}}]
    names: [assistant, gpt-4o-mini]
    context: 2048
gateway: {{on: [gate1, gate2], domain: {domain}, vip: {vip}}}
firewall: {{admin_from: [{controller}/32], clients_from: [{subnet}]}}
rollout: {{drain_timeout: 30s, soak: 2s}}
control: [gpu2]
"""
IGNORED = "weights/\n*.key\nconfig/\ncache/\n"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("month", "gate1", "gate2", "gate3", "gpu1", "gpu2", "gpu3") as lab:
        yield lab


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> LabFleet:
    return lab.fleet()


@pytest.fixture(scope="module")
def site(fleet: LabFleet, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """The operator's folder, under git, with the fleet file that they wrote."""
    folder = tmp_path_factory.mktemp("ada")
    paced(folder / "weights", "load=1 pace=0.05")
    site = Operator(folder / "acme.yml")
    site.path.write_text(
        FLEET.format(
            **{name: address for name, address in fleet.hosts.items() if name != "gate3"},
            user=fleet.user,
            key=fleet.key,
            baseline=BASELINE,
            release=RELEASE,
            domain=DOMAIN,
            vip=fleet.subnet[200],
            controller=fleet.controller,
            subnet=fleet.subnet,
        )
    )
    site.path.with_suffix(".known_hosts").write_text(fleet.known_hosts.read_text())
    (folder / ".gitignore").write_text(IGNORED)
    git(folder, "init", "--quiet")
    site("lock")
    return site


def git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=Ada", "-c", "user.email=ada@acme.test")
    subprocess.run(["git", *named, *words], cwd=folder, check=True, capture_output=True)


def commit(site: Operator, why: str) -> None:
    git(site.path.parent, "add", "--all")
    git(site.path.parent, "commit", "--quiet", "--message", why)


def at_prompts(site: Operator, *words: str, answers: tuple[str, ...] = (APPLY,)) -> str:
    """Run a command at a terminal, and answer these questions with yes. Return what it showed."""
    with at_terminal(site.argv(*words), site.environment) as terminal:
        for question in answers:
            terminal.read_until(question)
            terminal.type("y\n")
        assert terminal.end(240) == 0, terminal.shown
        return terminal.shown


@pytest.fixture(scope="module")
def vip(fleet: LabFleet) -> str:
    return str(fleet.subnet[200])


def test_a_fleet_file_by_hand_becomes_a_service(site: Operator, fleet: LabFleet) -> None:
    assert site("check", "--json").json["failed"] == 0
    shown = at_prompts(site, "apply")
    assert "who gets in:" in shown.partition(APPLY)[0]
    assert "what clients notice:" in shown.partition(APPLY)[0]
    commit(site, "A fleet")
    said = site("verify", "--json").json
    assert said["failed"] == 0
    assert "vip" in {proof["host"] for proof in said["proofs"]}
    assert site("plan", "--check").code == 0


@pytest.fixture(scope="module")
def plan(site: Operator, vip: str, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("clients")
    key = site("key", "add", "chat", "--owner", "clients", "--concurrency", "unlimited", "--json").json["key"]
    (folder / "trusted.pem").write_text(site("ca", "show").out)
    return Plan(
        gateways=(vip,),
        ca=str(folder / "trusted.pem"),
        key=key,
        samples=str(folder / "first.jsonl"),
        rate=6,
        rhythm="lcslc",
    )


@pytest.fixture(scope="module")
def first(plan: Plan) -> Iterator[Load]:
    """The clients, until they are told of the new CA."""
    with loaded(plan) as load:
        yield load


def test_a_model_moves_to_another_host(site: Operator, first: Load) -> None:
    site.edit("on: gpu3", "on: gpu1")
    shown = at_prompts(site, "apply")
    assert "gpu3/assistant@1: serves until another replica of assistant answers" in shown
    assert shown.index("gpu1/assistant@1: answers") < shown.index("gpu3/assistant@1  draining")
    commit(site, "assistant: to gpu1")
    assert list(site.replicas()) == ["gpu1/assistant@1"]


def test_a_name_is_dropped_only_if_the_operator_agrees_after_hearing_who_uses_it(
    site: Operator, lab: Lab, first: Load
) -> None:
    engine = pid(lab, "gpu1")
    site.edit("names: [assistant, gpt-4o-mini]", "names: [assistant, helper]")
    shown = at_prompts(site, "apply")
    assert "gpt-4o-mini: not used in the last 30 days" in shown
    commit(site, "assistant: another name")
    site.edit("names: [assistant, helper]", "names: [helper]")
    refused = site("apply", "--yes", check=1).err
    assert "assistant: used by chat (last " in refused
    assert "next: rackwright apply --drop-names" in refused
    with at_terminal(site.argv("apply"), site.environment) as terminal:
        terminal.read_until(DROP)
        terminal.type("n\n")
        assert terminal.end() == 1, terminal.shown
    git(site.path.parent, "checkout", "--quiet", ".")
    assert site("plan", "--check").code == 0
    assert pid(lab, "gpu1") == engine


def test_a_gateway_burns_down_and_another_machine_takes_its_place(
    site: Operator, lab: Lab, fleet: LabFleet, vip: str, first: Load
) -> None:
    """The one that doesn't have the address, so that no connection breaks."""
    kept = holder(lab, vip)
    (burnt,) = {"gate1", "gate2"} - {kept}
    lab.kill(burnt)
    said = site("status", "--json", check=None).json
    assert {host["host"]: host["state"] for host in said["hosts"]}[burnt] == "unreachable"
    assert [replica["traffic"] for replica in said["replicas"]] == ["yes"]
    named = (f"{burnt}: {{address: {fleet.hosts[burnt]}}}", f"gate3: {{address: {fleet.hosts['gate3']}}}")
    site.path.write_text(site.path.read_text().replace(*named))
    site.edit("on: [gate1, gate2]", f"on: [{kept}, gate3]")
    at_prompts(site, "apply")
    commit(site, f"{burnt} burnt down; gate3")
    assert site("verify", "--json").json["failed"] == 0
    assert site("status", "--json").json["warnings"] == []


def holder(lab: Lab, vip: str) -> str:
    shown = f"ip -o addr show to {vip} | grep -v ': lo '"
    return next((name for name in ("gate1", "gate2") if lab.exec(name, shown, check=False).out.strip()), "")


@pytest.fixture(scope="module")
def colleague(site: Operator, first: Load, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """Somebody else's clone, without the weights and the CA's key, and with its own home folder."""
    folder = tmp_path_factory.mktemp("ben")
    git(folder, "clone", "--quiet", str(site.path.parent), "clone")
    return Operator(folder / "clone/acme.yml")


def test_a_colleague_works_from_a_clone_without_weights_and_gets_no_further_without_the_cas_key(
    site: Operator, colleague: Operator, lab: Lab, first: Load
) -> None:
    assert [replica["traffic"] for replica in colleague("status", "--json").json["replicas"]] == ["yes"]
    assert colleague("verify", "--json").json["failed"] == 0
    colleague("key", "add", "reports", "--owner", "ben", "--json")
    commit(colleague, "A key for reports")
    colleague.edit("place: [{on: gpu1, gpus: 0}]", "place: [{on: [gpu1, gpu2], gpus: 0}]")
    refused = colleague("apply", "--yes", check=1).err
    assert f"gpu2: llama_cpp-{RELEASE}: " in refused
    assert "is missing on the controller" in refused
    colleague.edit("place: [{on: [gpu1, gpu2], gpus: 0}]", "place: [{on: [gpu1, gpu3], gpus: 0}]")
    lab.exec("gpu3", "rm -f /etc/rackwright/certificates/host-proxy.*")
    assert "certificates are due: gpu3 (host-proxy)" in colleague("apply", "--yes", check=1).err
    shutil.copytree(site.path.parent / "config", colleague.path.parent / "config", dirs_exist_ok=True)
    shown = at_prompts(colleague, "apply")
    assert "gpu3/assistant@1: answers" in shown
    commit(colleague, "assistant: on two hosts")


def test_whoever_is_behind_is_told_so(site: Operator, colleague: Operator, first: Load) -> None:
    (warning,) = [one for one in site("status", "--json").json["warnings"] if "git pull" in one]
    assert "this checkout lacks the commit" in warning
    refused = site("apply", "--yes", check=None)
    assert refused.code != 0
    assert "git pull" in refused.err
    git(site.path.parent, "pull", "--quiet", str(colleague.path.parent))
    assert site("plan", "--check").code == 0


def test_clients_lost_nothing_so_far(first: Load) -> None:
    lost_nothing(first)


def lost_nothing(load: Load) -> None:
    counted = load.stop()
    assert counted.failures == {}
    assert counted.whole == counted.asked > 100


def test_the_ca_is_rotated_and_no_client_is_refused(site: Operator, plan: Plan) -> None:
    """Clients get both CAs after the first step."""
    at_prompts(site, "ca", "rotate", answers=("Create a new CA? [y/N]: ",))
    shown = at_prompts(site, "apply")
    assert "the gateway starts, or reloads and finishes the requests in flight" in shown
    both = Path(plan.ca).with_name("both.pem")
    both.write_text(site("ca", "show").out)
    with loaded(replace(plan, ca=str(both), samples=str(both.with_name("second.jsonl")))) as load:
        for _ in range(2):
            site("ca", "rotate", "--yes")
            at_prompts(site, "apply")
        lost_nothing(load)
    commit(site, "Another CA")
    assert site("ca", "show").out.count("BEGIN CERTIFICATE") == 1


def test_at_the_end_everything_is_as_the_fleet_file_says(site: Operator) -> None:
    assert site("plan", "--check").code == 0
    assert site("verify", "--json").json["failed"] == 0
    assert site("status", "--json").json["warnings"] == []
