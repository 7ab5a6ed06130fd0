from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rackwright.fleet import public_files
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.public_files import named_texts
from rackwright.state.checkout import checkout
from tests.fleet.fleets import make_fleet


def with_golden(folder: Path, *golden: str, runtime: dict[str, Any] | None = None) -> Fleet:
    """A fleet with a model for each golden set."""
    names = [f"m{number}@1" for number in range(len(golden))] or ["m0@1"]
    fleet = make_fleet(folder / "acme.yml", replicas={"gpu1": names}, runtime=runtime)
    models = fleet.file.model_dump(mode="json", exclude_unset=True, by_alias=True)["models"]
    for model, path in zip(models.values(), golden, strict=False):
        model["canary"] = {"golden": path}
    (folder / "acme.yml").write_text("fleet: acme\n")
    return make_fleet(folder / "acme.yml", replicas={"gpu1": names}, models=models)


def test_golden_sets_and_requirements_files_are_kept_with_the_fleet_wherever_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "near.jsonl").write_text("near\n")
    (tmp_path / "far.jsonl").write_text("far\n")
    (folder / "vllm.txt").write_text("vllm==0.32.0\n")
    runtime = {"kind": "vllm", "version": "0.32.0", "build": "file:vllm.txt"}
    files = checkout(with_golden(folder, "near.jsonl", str(tmp_path / "far.jsonl"), runtime=runtime)).files
    assert files["near.jsonl"] == b"near\n"
    assert files["vllm.txt"] == b"vllm==0.32.0\n"
    assert files[f"elsewhere{tmp_path}/far.jsonl"] == b"far\n"


def test_a_folder_of_wheels_and_an_archive_are_not_texts(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "llama.tar.gz").write_bytes(b"archive")
    for kind, version, build in (("vllm", "0.32.0", "wheels"), ("llama_cpp", "b1", "llama.tar.gz")):
        runtime = {"kind": kind, "version": version, "build": f"file:{build}"}
        assert named_texts(make_fleet(tmp_path / "acme.yml", runtime=runtime)) == ()


def test_a_golden_set_that_is_missing_or_no_file_stops_no_apply_and_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    fleet = with_golden(tmp_path, "missing.jsonl", "pipe", "/nowhere/away.jsonl")
    assert set(checkout(fleet).files) == {"acme.yml"}
    assert [(text.place, text.unfit) for text in named_texts(fleet)] == [
        ("models.m0.canary.golden", "can't be read: No such file or directory"),
        ("models.m1.canary.golden", "is not a file"),
        ("models.m2.canary.golden", "can't be read: No such file or directory"),
    ]


def test_a_large_golden_set_is_not_kept_and_one_that_two_models_share_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_files, "TEXT_LIMIT", 6_000_000)
    for name, size in {"a": 6_000_000, "b": 6_000_001, "c": 4_000_000, "d": 1}.items():
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    texts = named_texts(with_golden(tmp_path, "a", "a", "b", "c", "d"))
    assert {text.written: text.unfit for text in texts} == {
        "a": None,
        "b": "has 6.0 MB, and there is room for 4.0 MB",
        "c": None,
        "d": "has 0.0 MB, and there is room for 0.0 MB",
    }
