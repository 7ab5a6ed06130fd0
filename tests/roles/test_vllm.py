from __future__ import annotations

import re
import shlex
from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import ValidationError

from rackwright.launch import Engine, Launch, Member, Reach, Task
from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.stored_folder import FreeRoom, Marker, Room
from rackwright.operations.filesystem.stored_folder import MARGIN
from rackwright.roles.vllm.role import UNPACKED, vllm
from rackwright.roles.vllm.settings import OWNED, OWNED_VARIABLES, Settings
from rackwright.route import Route
from rackwright.values.file import File
from tests.fakes import Played, play

ADDRESSES = (ip_address("10.40.0.1"), ip_address("10.40.0.2"))
BASE = ("--max-model-len", "4096", "--max-num-seqs", "256", "--shutdown-timeout", "600")
QUIET = ("--disable-fastapi-docs", "--disable-uvicorn-access-log", "--uvicorn-log-level", "warning")
ANSWERS = ("--uds", "/run/rackwright/a@1/engine.sock", "--served-model-name", "a")
ON_GPUS = ("--gpu-memory-utilization", "0.9", "--kv-cache-dtype", "auto", "--dtype", "auto")


def settings(**changes: Any) -> Settings:
    return Settings(kind="vllm", version="0.32.0", **changes)


def launch(gpus: int = 0, rank: int | None = None, hosts: int = 2, **changes: Any) -> Launch:
    addresses = (*ADDRESSES, ip_address("fd00::3"), ip_address("fd00::4"))[:hosts]
    member = None if rank is None else Member(rank, addresses, 28600)
    socket = "/run/rackwright/a@1/engine.sock"
    engine = Engine("/srv/models/a/0123", socket, "a", 4096, gpus, 600, member)
    return settings(**changes).launch(engine)


def words(*given: Any, **changes: Any) -> tuple[str, ...]:
    """The program's arguments; the model's folder comes first."""
    command = launch(*given, **changes).command
    program = ("/opt/rackwright/runtimes/vllm-0.32.0/bin/python", "-m", "vllm.entrypoints.cli.main", "serve")
    assert command[: len(program)] == program
    return command[len(program) :]


def test_one_host_gives_all_its_gpus_to_each_layer() -> None:
    spread = ("--tensor-parallel-size", "2", "--pipeline-parallel-size", "1")
    assert words(2) == ("/srv/models/a/0123", *ANSWERS, *BASE, *QUIET, *ON_GPUS, *spread)


def test_two_hosts_are_two_groups_of_layers_and_the_second_only_computes() -> None:
    spread = ("--tensor-parallel-size", "8", "--pipeline-parallel-size", "2", "--nnodes", "2")
    where = ("--master-addr", "10.40.0.1", "--master-port", "28600")
    first, second = words(8, 0), words(8, 1)
    assert first == (
        "/srv/models/a/0123", *ANSWERS, *BASE, *QUIET, *ON_GPUS, *spread, "--node-rank", "0", *where,
    )  # fmt: skip
    assert second == (
        "/srv/models/a/0123", *BASE, *QUIET, *ON_GPUS, *spread, "--node-rank", "1", *where, "--headless",
    )  # fmt: skip


def test_a_layer_can_be_cut_over_two_hosts() -> None:
    spread = ("--tensor-parallel-size", "16", "--pipeline-parallel-size", "1", "--nnodes", "2", "--node-rank", "1")
    assert words(8, 1, tensor_parallel_size=16)[-len(spread) - 5 :] == (
        *spread, "--master-addr", "10.40.0.1", "--master-port", "28600", "--headless",
    )  # fmt: skip


def test_whole_copies_on_two_hosts_meet_at_the_first_which_alone_has_a_server() -> None:
    spread = ("--tensor-parallel-size", "4", "--pipeline-parallel-size", "1", "--data-parallel-size", "4")
    where = ("--data-parallel-size-local", "2", "--data-parallel-address", "10.40.0.1")
    port = ("--data-parallel-rpc-port", "28600")
    first, second = words(8, 0, data_parallel_size=4), words(8, 1, data_parallel_size=4)
    assert first[-12:] == (*spread[2:], "--api-server-count", "1", *where, *port)[-12:]
    assert second[-15:] == (*spread, *where, *port, "--headless", "--data-parallel-start-rank", "2")
    assert "--api-server-count" not in second
    assert not {"--nnodes", "--master-addr"} & {*first, *second}


@pytest.mark.parametrize(("rank", "start"), [(1, "2"), (2, "4"), (3, "6")])
def test_each_hosts_copies_count_on_from_those_before(rank: int, start: str) -> None:
    given = words(8, rank, 4, data_parallel_size=8)
    assert given[given.index("--data-parallel-start-rank") + 1] == start


def test_copies_on_one_host_have_one_server() -> None:
    spread = ("--data-parallel-size", "2", "--api-server-count", "1")
    assert words(8, data_parallel_size=2)[-4:] == spread
    assert "--headless" not in words(8, data_parallel_size=2)


def test_only_the_first_member_answers() -> None:
    for other in (words(0, 1), words(8, 1), words(8, 1, data_parallel_size=2)):
        assert not {"--uds", "--served-model-name"} & set(other)
        assert "--headless" in other


def test_gpus_take_a_share_of_their_memory_or_so_many_bytes_of_cache() -> None:
    assert "--kv-cache-memory-bytes" not in words(1)
    given = words(
        1,
        gpu_memory_utilization=0.5,
        kv_cache_memory=2**30,
        kv_cache_dtype="fp8",
        dtype="bfloat16",
        quantization="awq",
    )
    assert given[15:25] == (
        "--kv-cache-memory-bytes", str(2**30), "--gpu-memory-utilization", "0.5", "--kv-cache-dtype", "fp8",
        "--dtype", "bfloat16", "--quantization", "awq",
    )  # fmt: skip


def test_a_cpu_has_a_cache_of_its_own_size_whatever_else_is_on_the_host() -> None:
    for cache, size in ((None, 4 * 2**30), (2**30, 2**30)):
        given = words(0, kv_cache_memory=cache)
        assert given[given.index("--kv-cache-memory-bytes") + 1] == str(size)
        assert "--gpu-memory-utilization" not in given


def test_a_cpu_compiles_nothing_and_moves_its_counter_often() -> None:
    assert words(0)[-3:] == ("--enforce-eager", "--max-num-batched-tokens", "256")
    assert words(0, 0)[-4:] == (
        "--compilation-config", '{"mode": 2, "backend": "eager"}', "--max-num-batched-tokens", "256",
    )  # fmt: skip
    assert words(0, parallel=512)[-1] == "512"
    own = words(0, args={"max-num-batched-tokens": 64, "compilation-config": "{}"})
    assert own[-2:] == ("--compilation-config={}", "--max-num-batched-tokens=64")
    assert "--enforce-eager" not in own
    assert not {"--enforce-eager", "--max-num-batched-tokens"} & set(words(1))


def test_a_model_for_embeddings_is_pooled() -> None:
    engine = Engine("/srv/models/a/0123", "/run/e.sock", "a", 4096, gpus=1, stop_seconds=600, task=Task.EMBED)
    command = settings().launch(engine).command
    assert command[command.index("--runner") + 1] == "pooling"
    assert "--runner" not in words(1)
    with pytest.raises(ValidationError, match="set by rackwright itself"):
        settings(args={"runner": "pooling"})


def test_further_arguments_are_one_word_each() -> None:
    args = {"seed": 3, "async-scheduling": True, "enable-prefix-caching": False, "cpu-offload-gb": -0.5}
    assert words(1, args=args)[-4:] == (
        "--async-scheduling", "--cpu-offload-gb=-0.5", "--no-enable-prefix-caching", "--seed=3",
    )  # fmt: skip


def test_a_value_is_never_an_argument() -> None:
    given = words(1, args={"enforce-eager": "--host=0.0.0.0", "seed": "--port"})
    assert given[-2:] == ("--enforce-eager=--host=0.0.0.0", "--seed=--port")


@pytest.mark.parametrize("name", sorted(OWNED))
def test_an_argument_of_ours_its_beginning_and_its_opposite_are_refused(name: str) -> None:
    for written in {name, name[: max(2, len(name) - 1)], f"no-{name}"}:
        with pytest.raises(ValidationError, match=f"{written}: set by rackwright itself"):
            settings(args={written: True})


@pytest.mark.parametrize(
    "name",
    [
        *("uds", "trust-remote-code", "enable-log-requests", "headless", "middleware", "config", "lora-modules"),
        *("tool-parser-plugin", "prefill-context-parallel-size", "data-parallel-address", "enable-sleep-mode"),
        *("trust", "no-trust", "hos", "enable-lo", "tensor", "kv-cache-m"),
    ],
)
def test_what_opens_an_engine_runs_strange_code_or_writes_prompts_down_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="set by rackwright itself; leave it out of args"):
        settings(args={name: "x"})


@pytest.mark.parametrize("name", ["block-size", "max-num-batched-tokens", "tokenizer-mode", "model-impl", "seed"])
def test_other_arguments_are_the_operators(name: str) -> None:
    assert settings(args={name: "x"}).args == {name: "x"}


@pytest.mark.parametrize(
    "name", ["-tp", "--host", "Host", "tensor_parallel_size", "a=b", "kv-events-config.x", "n", ""]
)
def test_an_argument_is_a_long_name_without_dashes_in_front(name: str) -> None:
    with pytest.raises(ValidationError, match="long name without leading dashes"):
        settings(args={name: 1})


@pytest.mark.parametrize("rank", [None, 0])
@pytest.mark.parametrize("changes", [{}, {"tensor_parallel_size": 2}])
def test_what_the_environment_says_of_ours_cannot_be_said_otherwise(
    rank: int | None, changes: dict[str, int]
) -> None:
    fixed = launch(0, rank, **(changes if rank is not None else {})).environment
    assert set(fixed) - {"TORCHDYNAMO_DISABLE"} <= OWNED_VARIABLES
    for name in fixed.keys() & OWNED_VARIABLES:
        with pytest.raises(ValidationError, match=f"{name}: set by rackwright itself"):
            settings(environment={name: "x"})


@pytest.mark.parametrize("name", ["LD_PRELOAD", "VLLM_SERVER_DEV_MODE", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES"])
def test_variables_that_undo_the_sandbox_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="leave it out of environment"):
        settings(environment={name: "x"})


def test_alone_it_speaks_on_loopback_and_with_others_by_its_own_address() -> None:
    alone = launch(environment={"NCCL_DEBUG": "WARN"})
    assert (alone.reach, alone.member) == (Reach.LOOPBACK, None)
    assert alone.environment["NCCL_DEBUG"] == "WARN"
    assert {alone.environment[name] for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")} == {"lo"}
    assert alone.environment["VLLM_HOST_IP"] == "127.0.0.1"
    second = launch(rank=1)
    assert second.reach is Reach.MEMBERS
    assert second.environment["VLLM_HOST_IP"] == "10.40.0.2"
    assert "GLOO_SOCKET_IFNAME" not in second.environment


def test_it_asks_nobody_on_the_network_and_counts_nobody() -> None:
    for one in (launch(), launch(8, 1)):
        assert {name: one.environment[name] for name in ("HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS")} == {
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }


def test_a_layer_cut_over_hosts_without_gpus_is_not_compiled() -> None:
    assert launch(0, 0, tensor_parallel_size=2).environment["TORCHDYNAMO_DISABLE"] == "1"
    for other in (launch(0, 0), launch(2, 0, tensor_parallel_size=4), launch(0)):
        assert "TORCHDYNAMO_DISABLE" not in other.environment


@pytest.mark.parametrize(
    ("python", "version", "apart"),
    [
        ("/usr/bin/python3.13", "3.13", None),
        ("/usr/local/bin/python3.12", "3.12", None),
        ("/opt/python3.11/bin/python3.11", "3.11", "/opt/python3.11"),
    ],
)
def test_an_interpreter_tells_its_version_and_whether_it_is_the_systems(
    python: str, version: str, apart: str | None
) -> None:
    runtime = settings(python=python)
    assert (runtime.python_version, runtime.interpreter) == (version, apart)
    assert launch(python=python).readable == tuple(path for path in (runtime.folder, apart) if path)


@pytest.mark.parametrize(
    "python", ["/usr/bin/python3", "/usr/bin/python", "/usr/bin/python2.7", "/usr/bin/python3.x"]
)
def test_an_interpreter_without_a_version_is_refused(python: str) -> None:
    with pytest.raises(ValidationError, match=r"should end in Python's version, like /usr/bin/python3\.13"):
        settings(python=python)


@pytest.mark.parametrize("version", ["latest", "../0.32.0", "0.32.0/x", "v0.32.0", ""])
def test_a_version_is_a_release_and_no_path(version: str) -> None:
    with pytest.raises(ValidationError, match=r"should be a release like 0\.32\.0"):
        Settings(kind="vllm", version=version)


WHEELS = tuple(
    File(path=f"{name}-1-py3-none-any.whl", size=1000, sha256=letter * 64, url=f"https://index.lab/{name}/{name}.whl")
    for name, letter in (("vllm", "a"), ("torch", "b"))
)
DIGEST = "d" * 64


def played(facts: dict[Any, object] | None = None, *, gpus: bool = False, **changes: Any) -> Played:
    known = {Marker: None, FreeRoom: Room(free=10**12), InstalledPackages: (), **(facts or {})}
    given = {"settings": settings(**changes), "wheels": WHEELS, "digest": DIGEST, "gpus": gpus, "route": Route()}
    return play(vllm, facts=known, **given)


def test_an_installed_version_is_left_alone() -> None:
    packages = ("curl", "ca-certificates", "libnuma1", "python3.13-venv")
    assert played({Marker: DIGEST, InstalledPackages: packages}).changed == []


@pytest.mark.parametrize("marker", [None, "e" * 64])
def test_a_missing_or_other_version_is_fetched_before_it_is_installed(marker: str | None) -> None:
    ran = played({Marker: marker})
    assert [name.split()[0] for name in ran.changed] == ["Install", "Make", "Fetch", "Install"]
    fetched = [part for part in shlex.split(" ".join(ran.commands)) if part.startswith("https://")]
    assert fetched == [wheel.url for wheel in WHEELS]
    asked = shlex.split(ran.commands[-1])
    assert asked[4:9] == [
        "/usr/bin/python3.13", "/opt/rackwright/runtimes/.incoming", "/opt/rackwright/runtimes/vllm-0.32.0", DIGEST,
        "vllm.version, torch",
    ]  # fmt: skip
    assert asked[9:] == [word for wheel in WHEELS for word in (wheel.sha256, wheel.path)]


def test_wheels_need_the_room_of_what_they_become() -> None:
    def refused(room: int) -> bool:
        return any("GB free, should have" in command for command in played({FreeRoom: Room(free=room)}).commands)

    needed = MARGIN + UNPACKED * sum(wheel.size for wheel in WHEELS)
    assert [refused(room) for room in (needed - 1, needed)] == [True, False]


def test_a_compiler_comes_with_gpus_and_an_interpreter_apart_brings_its_own_parts() -> None:
    def asked(**changes: Any) -> str:
        return next(command for command in played(**changes).commands if "libnuma1" in command)

    assert "python3.13-venv" in asked()
    assert "gcc" not in asked()
    for package in ("gcc", "libc6-dev", "python3.13-dev"):
        assert re.search(rf"\b{package}\b", asked(gpus=True))
    assert "python3" not in asked(gpus=True, python="/opt/python3.11/bin/python3.11")


def test_a_whole_name_that_an_owned_one_begins_with_is_free() -> None:
    assert Settings(kind="vllm", version="0.32.0", args={"reasoning-parser": "qwen3"}).args
    with pytest.raises(ValidationError, match="set by rackwright itself"):
        Settings(kind="vllm", version="0.32.0", args={"reasoning-parser-plug": "/tmp/x.py"})
