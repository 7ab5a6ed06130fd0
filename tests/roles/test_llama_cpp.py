from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from rackwright.launch import Engine, Task
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.stored_folder import FreeRoom, Marker, Room
from rackwright.roles.llama_cpp.role import llama_cpp
from rackwright.roles.llama_cpp.settings import Settings
from rackwright.route import Route
from rackwright.values.file import File
from tests.fakes import play
from tests.roles.serving import RUNTIME

_ARCHIVE = File(path="llama.tar.gz", size=5, sha256="b" * 64, url="https://example.org/llama.tar.gz")
_PACKAGES = {InstalledPackages: ("libgomp1", "curl", "ca-certificates")}


def test_an_installed_version_is_left_alone() -> None:
    facts = {**_PACKAGES, Marker: "b" * 64}
    assert play(llama_cpp, facts=facts, settings=RUNTIME, files=(_ARCHIVE,), route=Route()).changed == []


def test_a_missing_version_is_fetched_before_it_is_unpacked() -> None:
    facts = {**_PACKAGES, Marker: None, FreeRoom: Room(free=10**12)}
    changed = play(llama_cpp, facts=facts, settings=RUNTIME, files=(_ARCHIVE,), route=Route()).changed
    assert [name.split()[0] for name in changed] == ["Make", "Fetch", "Unpack"]


@pytest.mark.parametrize("name", ["host", "log-verbosity", "verbose", "tools", "slots", "no-webui", "embeddings"])
def test_arguments_that_open_the_engine_or_log_prompts_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="set by rackwright itself"):
        Settings(kind="llama_cpp", version="b1", args={name: True})


def test_a_value_cannot_be_an_argument() -> None:
    assert Settings(kind="llama_cpp", version="b1", args={"seed": -1}).args
    with pytest.raises(ValidationError, match="mlock: the value is an argument"):
        Settings(kind="llama_cpp", version="b1", args={"mlock": "--verbose"})


def test_each_slot_gets_the_whole_context() -> None:
    engine = Engine("/m.gguf", "/run/e.sock", name="a", context=1000, gpus=0, stop_seconds=30)
    command = RUNTIME.launch(engine).command
    assert command[command.index("--ctx-size") + 1] == "4000"
    assert command[command.index("--alias") + 1] == "a"


def embedding(context: int = 32_768, gpus: int = 0, **args: str | int) -> tuple[str, ...]:
    """Return the command of an engine for embeddings."""
    runtime = RUNTIME.model_copy(update={"args": args})
    engine = Engine("/m.gguf", "/run/e.sock", name="a", context=context, gpus=gpus, stop_seconds=30, task=Task.EMBED)
    return runtime.launch(engine).command


def sizes(command: tuple[str, ...]) -> dict[str, str]:
    names = [word for word in command if word in ("--batch-size", "--ubatch-size")]
    return {name: command[command.index(name) + 1] for name in names}


@pytest.mark.parametrize(("context", "batch"), [(512, "512"), (32_768, "8192")])
def test_an_encoder_reads_a_whole_text_in_one_batch(context: int, batch: str) -> None:
    command = embedding(context, gpus=1)
    assert "--embeddings" in command
    assert sizes(command) == {"--batch-size": batch, "--ubatch-size": batch}


@pytest.mark.parametrize(("gpus", "found"), [(0, {"--batch-size": "256"}), (1, {})])
def test_a_model_whose_last_token_counts_is_batched_like_one_for_text(gpus: int, found: dict[str, str]) -> None:
    assert sizes(embedding(gpus=gpus, pooling="last")) == found


def test_a_batch_of_the_fleet_file_stays() -> None:
    command = embedding(**{"ubatch-size": 64, "pooling": "mean"})
    assert sizes(command) == {"--batch-size": "64", "--ubatch-size": "64"}
    assert command.count("--ubatch-size") == 1


def test_an_engine_for_text_is_not_started_for_embeddings() -> None:
    engine = Engine("/m.gguf", "/run/e.sock", name="a", context=512, gpus=0, stop_seconds=30)
    command = RUNTIME.launch(engine).command
    assert "--embeddings" not in command
    assert command[command.index("--batch-size") + 1] == "256"
    assert "--batch-size" not in RUNTIME.launch(replace(engine, gpus=1)).command


@pytest.mark.parametrize("cuda", ["12", "12.8.1", "012.8", "v12.8", ""])
def test_a_cuda_is_a_version_of_two_numbers(cuda: str) -> None:
    assert Settings(kind="llama_cpp", version="b1", cuda="12.8").cuda == "12.8"
    with pytest.raises(ValidationError, match=r"should be a version in quotes, like '12\.8'"):
        Settings(kind="llama_cpp", version="b1", cuda=cuda)
