from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.cli.render.fit_text import as_document, as_text
from rackwright.fit.demand import Asked, Room
from rackwright.fit.fit import Fit
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock_file import write_lock
from rackwright.lifecycle.fit import procedure
from rackwright.lifecycle.fit.procedure import Memory, Placed
from tests.cli.command_line import rackwright
from tests.fit.shapes import GIB, plain
from tests.shape.whole import whole_gguf

FLEET = """
fleet: acme
hosts:
  gate1: {address: 10.0.0.9}
  gpu1: {address: 10.0.0.10}
  cpu1: {address: 10.0.0.11}
models:
  assistant:
    source: file:m.gguf
    runtime: {kind: llama_cpp, version: b1, build: "file:llama.tar.gz", parallel: 2}
    place: [{on: gpu1, replicas: 2, gpus: 1}]
    names: [assistant]
    context: 4096
  small:
    source: file:m.gguf
    runtime: {kind: llama_cpp, version: b1, build: "file:llama.tar.gz", parallel: 2}
    place: [{on: cpu1, gpus: 0}]
    names: [small]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/8], clients_from: [10.0.0.0/8]}
"""
GGUF = whole_gguf(
    {
        "general.architecture": "llama",
        "llama.block_count": 32,
        "llama.embedding_length": 4096,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.context_length": 8192,
        "tokenizer.ggml.tokens": ["a"] * 1000,
    },
    {"a": (0, (1024, 1024))},
)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A fleet with a lock like the one that `rackwright lock` makes."""
    from rackwright.resolve.lock import resolve_lock

    path = tmp_path / "site.yml"
    path.write_text(FLEET)
    (tmp_path / "m.gguf").write_bytes(GGUF)
    (tmp_path / "llama.tar.gz").write_bytes(b"x")
    loaded = load_fleet(path)
    write_lock(loaded.sibling("lock"), resolve_lock(loaded, None))
    return path


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The answers of the hosts; no host is asked."""
    said: dict[str, Any] = {"memories": {"gpu1": Memory(24 * GIB, None), "cpu1": Memory(None, 16 * GIB)}, "lost": {}}

    def ask(remote: object, names: tuple[str, ...]) -> tuple[dict[str, Memory], dict[str, str]]:
        return {name: said["memories"][name] for name in names if name not in said["lost"]}, said["lost"]

    monkeypatch.setattr(procedure, "ask", ask)
    return said


def test_all_models_on_their_hosts(fleet: Path, hosts: dict[str, Any]):
    ran = rackwright("-f", fleet, "fit")
    assert ran.exit_code == 0
    heads = [block.splitlines()[:2] for block in ran.stdout.split("\n\n")]
    assert heads == [
        ["assistant  fits", "  replicas  gpu1/assistant@1, gpu1/assistant@2"],
        ["small  fits", "  replicas  cpu1/small@1"],
    ]


def test_a_card_on_the_command_line_asks_no_host(fleet: Path):
    ran = rackwright("-f", fleet, "fit", "assistant", "--gpu", "L4", "--json")
    assert ran.exit_code == 0
    (one,) = ran.document["models"]
    assert (one["model"], one["fits"], one["memory"]) == ("assistant", True, 23_034 * 2**20)
    assert (one["cache"], one["token"]) == (2 * 4096 * 128 * 1024, 128 * 1024)
    assert (one["request"], one["context"], one["parallel"], one["gpus"]) == (4096 * 128 * 1024, 4096, 2, 1)


def test_what_does_not_fit_ends_with_12_and_says_what_would(fleet: Path):
    ran = rackwright("-f", fleet, "fit", "assistant", "--gpu", "8GiB", "--context", "65536")
    assert ran.exit_code == 12
    assert ran.stdout.startswith("assistant  doesn't fit: ")
    assert "of memory on each GPU, and everything else unchanged" in ran.stdout
    document = rackwright(
        "-f", fleet, "fit", "--gpu", "8GiB", "--context", "65536", "--ram", "64GiB", "--json"
    ).document
    assert document["unfit"] == 1
    assert document["models"][0]["changes"]
    assert document["models"][0]["memory_that_fits"] > 8 * GIB
    assert document["models"][1]["changes"] == []


def test_without_a_memory_for_all_it_is_said_which_is_missing(fleet: Path):
    ran = rackwright("-f", fleet, "fit", "--gpu", "L4")
    assert ran.exit_code == 0
    assert "small  not known: the host's memory isn't known" in ran.stdout


def test_a_host_that_is_not_reached_is_told(fleet: Path, hosts: dict[str, Any]):
    hosts["lost"] = {"cpu1": "no route to host"}
    ran = rackwright("-f", fleet, "fit")
    assert ran.exit_code == 3
    assert "cpu1  unreachable: no route to host" in ran.stdout
    assert rackwright("-f", fleet, "fit", "--json").document["unreachable"] == {"cpu1": "no route to host"}
    assert rackwright("-f", fleet, "fit", "--parallel", "60").exit_code == 12


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fit", "assistent", "--gpu", "L4"], 2, "did you mean assistant?"),
        (["fit", "--gpu", "TPU"], 2, "should be a size like 80GiB, or one of B200"),
        (["fit", "--ram", "lots"], 2, "should be a size"),
        (["fit", "--gpus", "2"], 2, "--gpus and --runtime need --source"),
        (["fit", "--source", "file:m.gguf"], 2, "needs the size of its memory"),
        (["fit", "assistant", "--source", "file:m.gguf", "--gpu", "L4"], 2, "no MODEL"),
    ],
)
def test_what_cannot_be_asked_is_told(fleet: Path, arguments: list[str], code: int, said: str):
    ran = rackwright("-f", fleet, *arguments)
    assert ran.exit_code == code
    assert said in ran.stderr


def test_without_a_lock_it_says_how_to_make_one(fleet: Path):
    fleet.with_name("site.lock").unlink()
    ran = rackwright("-f", fleet, "fit", "--gpu", "L4")
    assert ran.exit_code == 10
    assert "next: rackwright lock" in ran.stderr


def test_a_model_of_no_fleet_file(tmp_path: Path):
    path = tmp_path / "m.gguf"
    path.write_bytes(GGUF)
    nowhere = tmp_path / "none.yml"
    ran = rackwright("-f", nowhere, "fit", "--source", f"file:{path}", "--ram", "16GiB", "--json")
    assert ran.exit_code == 0
    (one,) = ran.document["models"]
    assert (one["engine"], one["gpus"], one["parallel"], one["context"]) == ("llama_cpp", 0, 4, 8192)
    two = rackwright(
        "-f", nowhere, "fit", "--source", f"file:{path}", "--gpu", "L4", "--gpus", "2", "--json"
    ).document
    assert two["models"][0]["gpus"] == 2
    assert two["models"][0]["token"] == 64 * 1024


GPU = Room(24 * GIB)


def placed(fit: Fit | None, doubt: str | None = None) -> Placed:
    return Placed("assistant", ("gpu1/assistant@1",), 1, fit, doubt)


def test_a_block_has_each_figure():
    fit = Fit(plain(), Asked("vllm", context=8192, parallel=64), GPU)
    lines = as_text([placed(fit)], {})
    assert lines[0] == "assistant  fits"
    assert lines[2] == "  runs      vllm on 1 GPU of 25.8 GB, 90% of it"
    assert lines[3] == "  weights     10.7 GB  in all, bfloat16"
    assert lines[5].startswith("  cache        1.1 GB  of ")
    assert lines[6] == "  a request    1.1 GB  of 8192 tokens; 131072 bytes per further token"
    assert lines[8].startswith("  requests         64  asked; room for ")
    assert lines[8].endswith("if all are that long, further ones wait")


def test_what_is_not_known_shows_what_is():
    unknown = Fit(plain(unknown="odd", layers=()), Asked("vllm", context=8192), GPU)
    text = "\n".join(as_text([placed(unknown, "odd"), placed(None, "no lock")], {}))
    assert "assistant  not known: odd" in text
    assert "assistant  not known: no lock" in text
    assert "cache" not in text
    document = as_document([placed(unknown, "odd"), placed(None, "no lock")], {})
    assert [one["fits"] for one in document["models"]] == [None, None]  # type: ignore[index,union-attr,call-overload]


def test_what_can_not_run_says_so():
    from rackwright.launch import Widths

    fit = Fit(plain(), Asked("vllm", context=8192, widths=Widths(tensor=3)), replace(GPU, gpus=3))
    assert as_text([placed(fit)], {})[0].startswith("assistant  can't run like this: its 32 attention heads")


def test_no_replica_at_all_is_said():
    assert as_text([], {}) == ["no replica is placed anywhere"]
