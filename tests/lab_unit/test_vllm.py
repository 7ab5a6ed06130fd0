from __future__ import annotations

import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from rackwright.lab import vllm


def test_the_lab_build_is_there_by_the_name_that_its_command_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm.paths, "cache", lambda: tmp_path / "cache")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    vllm._name_it(wheels)
    (made,) = wheels.iterdir()
    with zipfile.ZipFile(made) as archive:
        assert all(".dist-info/" in name for name in archive.namelist())
        # The same bytes on every machine: locks contain their hash.
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        about = PathDistribution(zipfile.Path(archive, f"vllm-{vllm.VERSION}+cpu.dist-info/"))  # type: ignore[arg-type]
        # This suffix makes vLLM use the CPU as its platform.
        assert (about.metadata["Name"], about.version) == ("vllm", f"{vllm.VERSION}+cpu")
