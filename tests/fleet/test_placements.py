"""Where models may be placed, and over how many GPUs and hosts: exact messages, with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.load import load_fleet

GOOD = """\
fleet: acme
hosts:
  gate1: {address: 10.0.0.10}
  gpu1: {address: 10.0.0.11}
  gpu2: {address: gpu2.lan, service: 10.0.0.12, fabric: 10.40.0.12}
  gpu3: {address: 10.0.0.13}
groups: {pair: [gpu1, gpu2]}
models:
  assistant:
    source: hf:acme/tiny
    runtime: {kind: vllm, version: 0.32.0}
    place:
      - {on: [[gpu1, gpu2]], gpus: 8}
    names: [assistant]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/24], clients_from: [10.0.0.0/8]}
"""
ON = "fleet.yml:13 models.assistant.place[0].on[0]: "
GPUS = "fleet.yml:13 models.assistant.place[0].gpus: "
RUNTIME = "fleet.yml:11 models.assistant.runtime"

CASES = {
    "one host": ("[[gpu1, gpu2]]", "[[gpu1]]", [
        f"{ON}is a single host; a nested list is one replica over several hosts; write the host without brackets"]),
    "twice": ("[[gpu1, gpu2]]", "[[gpu1, gpu2, gpu1]]", [f"{ON}names a host twice; name each member once"]),
    "unknown": ("[[gpu1, gpu2]]", "[[gpu1, gpu9]]", [
        "fleet.yml:13 models.assistant.place[0].on[0][1]: unknown host or group 'gpu9'; did you mean 'gpu3'?"]),
    "no address": ("gpu2: {address: gpu2.lan, service: 10.0.0.12, fabric: 10.40.0.12}",
                   "gpu2: {address: gpu2.lan, service: 10.0.0.12}", [
        f"{ON}gpu2 has no address that other members can reach; give hosts.gpu2 a fabric: address"]),
    "llama_cpp": ("kind: vllm, version: 0.32.0", "kind: llama_cpp, version: b1", [
        f"{ON}llama_cpp can't span several hosts; a replica over several hosts needs the runtime vllm"]),
    "uneven": ("version: 0.32.0", "version: 0.32.0, tensor_parallel_size: 3", [
        f"{GPUS}tensor 3, pipeline 5, data 1 need 15 GPUs, and there are 8 on each of 2 hosts; "
        "should match the number of GPUs"]),
    "copies": ("version: 0.32.0", "version: 0.32.0, data_parallel_size: 1, "
        "tensor_parallel_size: 8, pipeline_parallel_size: 1", [
        f"{GPUS}tensor 8, pipeline 1, data 1 need 8 GPUs, and there are 8 on each of 2 hosts; "
        "should match the number of GPUs"]),
    "alone and together": ("{on: [[gpu1, gpu2]], gpus: 8}", "{on: [gpu1, [gpu1, gpu3]], gpus: 1}", []),
    "list in a gateway": ("gateway: {on: [gate1]", "gateway: {on: [[gate1]]", [
        "fleet.yml:16 gateway.on[0]: is a nested list; only a model's place may have one, for a replica over several "
        "hosts"]),
    "kind": ("kind: vllm", "kind: vlm", [f"{RUNTIME}.kind: should be 'llama_cpp' or 'vllm'; did you mean 'vllm'?"]),
    "no kind": ("kind: vllm, ", "", [f"{RUNTIME}: missing key 'kind'"]),
    "key of the other kind": ("version: 0.32.0", "version: 0.32.0, threads: 4", [
        f"{RUNTIME}.threads: unknown key; "]),
    "misspelt": ("version: 0.32.0", "version: 0.32.0, tensor_paralel_size: 4", [
        f"{RUNTIME}.tensor_paralel_size: unknown key; did you mean 'tensor_parallel_size'?"]),
    "argument of ours": ("version: 0.32.0", "version: 0.32.0, args: {port: 8000}", [
        f"{RUNTIME}.args: port: set by rackwright itself; leave it out of args"]),
    "python": ("version: 0.32.0", "version: 0.32.0, python: /usr/bin/python3", [
        f"{RUNTIME}.python: should end in Python's version, like /usr/bin/python3.13"]),
    "cache": ("version: 0.32.0", "version: 0.32.0, gpu_memory_utilization: 1.5, kv_cache_memory: much", [
        f"{RUNTIME}.gpu_memory_utilization: should be at most 1.0",
        f"{RUNTIME}.kv_cache_memory: should be a size like 500M, 80GiB or 2TB"]),
}  # fmt: skip


def fleet(tmp_path: Path, old: str = "", new: str = "") -> Fleet:
    assert old in GOOD
    path = tmp_path / "fleet.yml"
    path.write_text(GOOD.replace(old, new) if old else GOOD)
    return load_fleet(path)


def problems(tmp_path: Path, old: str, new: str) -> list[str]:
    try:
        fleet(tmp_path, old, new)
    except FleetError as error:
        return str(error).replace(f"{tmp_path}/", "").splitlines()
    return []


@pytest.mark.parametrize(("old", "new", "said"), CASES.values(), ids=CASES)
def test_each_problem_is_reported_with_its_line(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    found = problems(tmp_path, old, new)
    assert [line[: len(one)] if one.endswith("; ") else line for line, one in zip(found, said, strict=True)] == said


def test_a_list_within_the_list_is_one_replica_that_answers_on_its_first_host(tmp_path: Path) -> None:
    found = fleet(tmp_path)
    assert found.replicas == (Replica("assistant", 1, "gpu1", 8, ("gpu1", "gpu2")),)
    assert [replica.name for replica in found.parts_on("gpu2")] == ["assistant@1"]
    assert found.replicas_on("gpu2") == ()
    assert found.replicas[0].hosts == ("gpu1", "gpu2")


def test_a_group_within_the_list_is_all_of_its_hosts(tmp_path: Path) -> None:
    assert fleet(tmp_path, "[[gpu1, gpu2]]", "[[pair, gpu3]]").replicas[0].members == ("gpu1", "gpu2", "gpu3")


def test_a_replica_has_one_name_on_all_its_hosts_and_no_other_replica_has_it_there(tmp_path: Path) -> None:
    found = fleet(tmp_path, "- {on: [[gpu1, gpu2]], gpus: 8}", "- {on: [gpu2, [gpu1, gpu2], gpu1, pair], gpus: 1}")
    assert [(replica.name, replica.hosts) for replica in found.replicas] == [
        ("assistant@1", ("gpu2",)),
        ("assistant@2", ("gpu1", "gpu2")),
        ("assistant@3", ("gpu1",)),
        ("assistant@4", ("gpu1",)),
        ("assistant@3", ("gpu2",)),
    ]


def test_while_a_member_is_out_the_replica_is_and_no_other_takes_its_name(tmp_path: Path) -> None:
    placed = GOOD.replace("[[gpu1, gpu2]]", "[[gpu1, gpu2], gpu1]")
    path = tmp_path / "fleet.yml"
    path.write_text(placed.replace("gpu2: {", "gpu2: {disabled: RMA, "))
    assert [(replica.name, replica.hosts) for replica in load_fleet(path).replicas] == [("assistant@2", ("gpu1",))]


@pytest.mark.parametrize(("host", "address"), [("gpu1", "10.0.0.11"), ("gpu2", "10.40.0.12"), ("gpu3", "10.0.0.13")])
def test_members_reach_a_host_at_its_fabric_address_else_at_its_own(tmp_path: Path, host: str, address: str) -> None:
    assert str(fleet(tmp_path).fabric(host)) == address


def test_a_fabric_that_is_the_service_network_is_where_members_reach_it(tmp_path: Path) -> None:
    assert str(fleet(tmp_path, "fabric: 10.40.0.12", "fabric: 10.0.0.12").fabric("gpu2")) == "10.0.0.12"


def test_a_host_of_a_replicas_gpus_has_a_driver_whether_or_not_it_answers(tmp_path: Path) -> None:
    found = fleet(tmp_path, "fleet: acme\n", 'fleet: acme\ndriver: {branch: "580"}\n')
    assert [host for host in found.hosts if found.driver_of(host)] == ["gpu1", "gpu2"]


def test_one_version_has_one_build_and_one_interpreter(tmp_path: Path) -> None:
    text = GOOD.split("models:\n")[1].split("gateway:")[0].replace("assistant", "coder")
    both = GOOD.replace("gateway:", text + "gateway:")
    path = tmp_path / "fleet.yml"
    path.write_text(
        both.replace(
            "0.32.0}\n    place:\n      - {on: [[gpu1, gpu2]], gpus: 8}\n    names: [coder]",
            "0.32.0, python: /usr/bin/python3.12}\n    place: [{on: gpu3}]\n    names: [coder]",
        )
    )
    with pytest.raises(FleetError, match=r"coder\.runtime\.python: model assistant has another build of the same"):
        load_fleet(path)
    path.write_text(both)
    assert len(load_fleet(path).replicas) == 2


def test_a_build_is_a_folder_or_a_requirements_file(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels.txt").write_text("vllm==0.32.0\n")
    (tmp_path / "wheels.tgz").write_bytes(b"x")
    for build, said in (("wheels", ""), ("wheels.txt", ""), ("wheels.tgz", "should end in .txt"), ("no", "no such")):
        found = problems(tmp_path, "version: 0.32.0", f"version: 0.32.0, build: file:{build}")
        assert bool(found) == bool(said)
        assert said in "".join(found)
