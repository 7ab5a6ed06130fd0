"""Stored weights, hashed again by real shells over folders on this machine."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.fleet.lock import model_digest
from rackwright.lifecycle.proof.weights import whole_weights
from rackwright.values.file import File
from tests.lifecycle.proving import Moved, over_both, site_of

CONTENTS = {"m.gguf": b"weights", "tokens/some file.json": b"{}"}
FILES = tuple(
    File(path=path, size=len(content), sha256=sha256(content).hexdigest(), url="https://models.acme.internal/x")
    for path, content in CONTENTS.items()
)


FOLDER = f"/srv/models/assistant/{model_digest(FILES)[:16]}"


@pytest.fixture
def session(tmp_path: Path) -> Any:
    shells = {host: Moved(host, path="/srv/models", folder=tmp_path / host) for host in ("gpu1", "gpu2")}
    return site_of(shells, files=FILES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of gpu1; gpu2 has an intact copy."""
    for host in ("gpu2", "gpu1"):
        folder = tmp_path / host / "assistant" / model_digest(FILES)[:16]
        for path, content in {**CONTENTS, ".verified": b"d"}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    return folder


def test_whole_weights_are_whole(session: Any, folder: Path) -> None:
    assert whole_weights(session, session.fleet.replicas[0]) is None
    assert whole_weights(session, over_both(session)) is None


def test_a_flipped_bit_a_lost_file_and_one_too_many_are_named(session: Any, folder: Path) -> None:
    (folder / "m.gguf").write_bytes(b"weightr")
    (folder / "tokens/some file.json").unlink()
    (folder / "tokens/chat template.jinja").write_bytes(b"")
    (folder / "link").symlink_to("m.gguf")
    told = whole_weights(session, over_both(session))
    assert told is not None
    assert told.startswith(f"gpu1: {FOLDER}/m.gguf isn't what the lock says; ")
    assert set(told.removeprefix("gpu1: ").split("; ")[1:]) == {
        f"{FOLDER}/tokens/some file.json is missing or can't be read",
        f"{FOLDER}/tokens/chat template.jinja isn't in the lock",
        f"{FOLDER}/link isn't in the lock",
    }


def test_a_folder_that_is_gone_is_not_whole(session: Any, folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    told = whole_weights(session, session.fleet.replicas[0])
    assert told is not None
    assert told.count("is missing") == 2


def test_what_could_not_be_hashed_is_not_whole(session: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rackwright.lifecycle.proof.weights._HASH", "true\n")
    told = whole_weights(session, session.fleet.replicas[0])
    assert told is not None
    assert told.count("was not hashed") == 2


def test_a_host_out_of_reach_is_an_error_and_no_finding(session: Any, folder: Path) -> None:
    session.remote.by_name["gpu1"].gone = True
    with pytest.raises(HostError, match="gpu1: unreachable"):
        whole_weights(session, session.fleet.replicas[0])
