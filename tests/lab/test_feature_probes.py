"""What the probes of `migrate assess` find out about a real llama-server with the lab's model."""

from __future__ import annotations

import json
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from rackwright.lab import artefacts
from rackwright.lifecycle.migrate.probe_features import parsed
from rackwright.migrate.features.kinds import Status
from rackwright.migrate.features.table import probe
from tests.waiting import wait_until

pytestmark = pytest.mark.lab


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the socket of an engine that answers."""
    folder = tmp_path_factory.mktemp("engine")
    made = artefacts.ensure(lambda _: None)
    with tarfile.open(made.runtime.path) as archive:
        archive.extractall(folder, filter="data")
    (program,) = folder.rglob("llama-server")
    path = folder / "engine.sock"
    words = [str(program), "--model", str(made.model.path), "--host", str(path), "--ctx-size", "2048"]
    process = subprocess.Popen(
        words,
        env={"LD_LIBRARY_PATH": str(program.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _ready(path))
        yield path
    finally:
        process.terminate()
        process.wait(60)


def _ready(path: Path) -> bool:
    with suppress(OSError):
        connection = _UnixConnection(path)
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


@pytest.mark.parametrize(
    ("feature", "status"),
    [
        ("response_format.json_schema", "ok"),
        ("n", "ok"),
        ("logprobs", "ok"),
        ("stop", "ok"),
        ("stream_options.include_usage", "ok"),
        # The template of the lab's model has no place for tools, and llama-server applies no grammar here.
        ("tools", "ignored"),
        ("tool_choice.required", "ignored"),
        ("response_format.json_object", "ignored"),
        ("images", "rejected"),
        ("files", "rejected"),
        # No answer shows it; the assessment says what is known of the runtime.
        ("service_tier", "unknown"),
    ],
)
def test_a_probe_finds_what_the_engine_does_with_a_feature(engine: Path, feature: str, status: Status) -> None:
    sent = probe(feature)
    assert sent
    connection = _UnixConnection(engine)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", sent.path, json.dumps({**sent.body, "model": "assistant"}), headers)
    answer = connection.getresponse()
    found = parsed(answer.read(), streamed=bool(sent.body.get("stream")))
    assert sent.judge(answer.status, found) == status, found
