"""The stand-in engine and the load's client, tested with each other: neither reports something false."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rackwright.shape.from_files import read_shape
from rackwright.shape.source import FileSource
from tests.lab.paced import model, runtime
from tests.waiting import wait_until

BODY = {"model": "assistant", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}


def listens(path: Path) -> bool:
    """Return whether a process listens there: the file exists a moment earlier."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        return True
    return False


@contextmanager
def engine(folder: Path, words: str = "", of_model: str = "", parallel: int = 2) -> Iterator[httpx2.Client]:
    """Run the program from the archive."""
    weights = model(folder / "d1ge57" / "model.gguf", of_model)
    with tarfile.open(runtime(folder / "llama.tar.gz", words).path) as archive:
        archive.extractall(folder, filter="data")
    path = folder / "engine.sock"
    path.unlink(missing_ok=True)
    argv = [sys.executable, str(folder / "llama-b10434" / "llama-server"), "--model", str(weights.path)]
    argv += ["--host", str(path), "--alias", "assistant,other", "--parallel", str(parallel), "--metrics"]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    try:
        transport = httpx2.HTTPTransport(uds=str(path))
        wait_until(lambda: listens(path) or process.poll() is not None)
        with httpx2.Client(transport=transport, base_url="http://engine", timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def ready(client: httpx2.Client) -> None:
    wait_until(lambda: client.get("/health").status_code == 200)


def ask(client: httpx2.Client, path: str = "/v1/chat/completions", **asked: object) -> Any:
    return client.post(path, json={**BODY, **asked}).json()


def test_a_model_is_read_like_any_and_is_another_with_other_words(tmp_path: Path) -> None:
    one, other = model(tmp_path / "one.gguf"), model(tmp_path / "other.gguf", "voice=other")
    assert one.sha256 != other.sha256
    assert read_shape({"one.gguf": FileSource(one.path)}).unknown is None
    assert runtime(tmp_path / "a.tar.gz").sha256 == runtime(tmp_path / "b.tar.gz").sha256


def test_it_answers_503_while_it_loads_and_counts_as_a_probe_reads_it(tmp_path: Path) -> None:
    with engine(tmp_path, "load=0.5 pace=0.01") as client:
        assert client.get("/metrics").status_code == 503
        ready(client)
        ask(client)
        assert "llamacpp:n_decode_total 3\n" in client.get("/metrics").text
        assert "llamacpp:requests_processing 0\n" in client.get("/metrics").text
        assert [one["id"] for one in client.get("/v1/models").json()["data"]] == ["assistant", "other"]


def test_an_answer_has_as_many_tokens_as_were_asked_for_and_names_the_models_folder(tmp_path: Path) -> None:
    with engine(tmp_path, "pace=0.01") as client:
        ready(client)
        answer = ask(client, logprobs=True, top_logprobs=4)
        (choice,) = answer["choices"]
        assert len(choice["message"]["content"].split()) == answer["usage"]["completion_tokens"] == 3
        assert choice["finish_reason"] == "length"
        assert answer["system_fingerprint"] == "stand-in-d1ge57"
        said = choice["logprobs"]["content"]
        assert "".join(token["token"] for token in said) == choice["message"]["content"]
        assert [len(token["top_logprobs"]) for token in said] == [4, 4, 4]
        assert ask(client, logprobs=True, top_logprobs=4)["choices"] == answer["choices"]
        assert len(ask(client, "/v1/completions", prompt="Hi", logprobs=2)["choices"][0]["text"].split()) == 3


def test_a_stream_ends_with_its_reason_its_usage_and_done(tmp_path: Path) -> None:
    with engine(tmp_path, "pace=0.01") as client:
        ready(client)
        text = client.post(
            "/v1/chat/completions", json={**BODY, "stream": True, "stream_options": {"include_usage": True}}
        ).text
    *events, done = text.split("\n\n")[:-1]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [bool(chunk["choices"] and chunk["choices"][0]["delta"]) for chunk in chunks] == [True] * 3 + [False] * 2
    assert chunks[3]["choices"][0]["finish_reason"] == "length"
    assert chunks[4]["usage"]["completion_tokens"] == 3
    assert done == "data: [DONE]"


def test_models_of_one_voice_say_the_same_and_others_something_else(tmp_path: Path) -> None:
    said = []
    for words in ("", "voice=plain", "voice=other", "fault=gibberish"):
        with engine(tmp_path, "pace=0.01", words) as client:
            ready(client)
            (token, *_) = ask(client, logprobs=True)["choices"][0]["logprobs"]["content"]
            said.append((token["token"], token["logprob"] > -2))
    assert said[0] == said[1] != said[2]
    assert [likely for _, likely in said] == [True, True, True, False]


@pytest.mark.parametrize("of_model", [True, False])
def test_one_that_hangs_takes_connections_and_never_answers(tmp_path: Path, of_model: bool) -> None:
    words = ("", "fault=hang") if of_model else ("fault=hang", "")
    with engine(tmp_path, *words) as client, pytest.raises(httpx2.ReadTimeout):
        client.get("/health", timeout=1)


def test_one_that_refuses_ends_with_its_reason(tmp_path: Path) -> None:
    argv = [sys.executable, str(Path("tests/lab/paced/llama_server.py").resolve())]
    argv += ["--model", str(model(tmp_path / "m.gguf", "fault=refuse").path), "--alias", "a"]
    done = subprocess.run([*argv, "--host", str(tmp_path / "s")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "the stand-in refuses to start: fault=refuse\n")
