"""The stand-in for a provider's API, with the provider's own client."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.gateway.stack import free_port
from tests.loopback_tls import bundle, server_files
from tests.stand_in_cloud import ADMIN_KEY, KEY, Fault, StandInCloud, stand_in_cloud
from tests.stand_in_engine import stand_in_engine
from tests.waiting import wait_until

ASKED: Any = [{"role": "user", "content": "Which color?"}]


def chat(asking: OpenAI, **asked: Any) -> Any:
    return asking.chat.completions.create(messages=ASKED, **asked)


@pytest.fixture
def cloud() -> Iterator[StandInCloud]:
    with stand_in_cloud(*server_files()) as running:
        yield running


def client(cloud: StandInCloud, key: str = KEY, retries: int = 0, url: str = "") -> OpenAI:
    trusting = httpx2.Client(verify=ssl.create_default_context(cafile=bundle()), trust_env=False)
    return OpenAI(
        base_url=f"{url or cloud.url}/v1", api_key=key, max_retries=retries, http_client=trusting, timeout=30
    )


def test_a_completion_and_a_stream_have_the_same_text(cloud: StandInCloud) -> None:
    with client(cloud) as asking:
        whole = chat(asking, model="gpt-4o-mini")
        parts = chat(asking, model="gpt-4o-mini", stream=True)
        text = "".join(one.choices[0].delta.content or "" for one in parts if one.choices)
    assert whole.choices[0].message.content == text
    assert text.startswith("answer ")


def test_tools_schemas_and_embeddings(cloud: StandInCloud) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with client(cloud) as asking:
        called = chat(asking, model="gpt-4o", tools=[tool])
        formed = chat(asking, model="gpt-4o", response_format=form, n=2)
        vector = asking.embeddings.create(model="gpt-4o", input=["a", "b"])
        text = asking.completions.create(model="gpt-4o", prompt="a")
    assert called.choices[0].message.tool_calls[0].function.name == "weather"
    assert json.loads(formed.choices[1].message.content) == {"city": "x", "days": 1}
    assert len(vector.data) == 2
    assert len(vector.data[0].embedding) == 16
    assert text.choices[0].text.startswith("answer ")


def test_refusals_are_those_of_the_provider(cloud: StandInCloud) -> None:
    with client(cloud, "sk-wrong") as asking, pytest.raises(openai.AuthenticationError) as refused:
        asking.models.list()
    assert refused.value.code == "invalid_api_key"
    with client(cloud) as asking:
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            chat(asking, model="other")
        with pytest.raises(openai.BadRequestError, match="Unrecognized"):
            chat(asking, model="gpt-4o", extra_body={"top_k": 1})
        with pytest.raises(openai.PermissionDeniedError):
            asking.get("/organization/costs", cast_to=object)


def test_every_page_of_a_list(cloud: StandInCloud) -> None:
    cloud.objects["/v1/files"] = [
        {"id": f"file-{n}", "object": "file", "bytes": 1, "created_at": n, "filename": "f", "purpose": "batch"}
        for n in range(250)
    ]
    cloud.objects["/v1/organization/costs"] = [{"object": "bucket", "start_time": n} for n in range(3)]
    with client(cloud, ADMIN_KEY) as asking:
        assert len({one.id for one in asking.files.list(limit=100)}) == 250
        page: Any = asking.get("/organization/costs?limit=2", cast_to=object)
        assert page["next_page"] == "2"
        assert asking.models.retrieve("gpt-4o").id == "gpt-4o"
    assert [one.path for one in cloud.received][:3] == [
        "/v1/files?limit=100",
        "/v1/files?limit=100&after=file-99",
        "/v1/files?limit=100&after=file-199",
    ]


def test_the_client_waits_as_it_is_told(cloud: StandInCloud) -> None:
    cloud.faults.append(Fault("status", status=429, retry_after="1"))
    with client(cloud, retries=1) as asking:
        chat(asking, model="gpt-4o")
    first, second = cloud.completions()
    assert (first.status, second.status) == (429, 200)
    assert second.at - first.at >= 1
    assert first.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("status", status=500), openai.InternalServerError),
        (Fault("cut"), openai.APIError),
        (Fault("reset"), openai.APIConnectionError),
        (Fault("silence"), openai.APITimeoutError),
        (Fault("garbled"), json.JSONDecodeError),
    ],
)
def test_faults(cloud: StandInCloud, fault: Fault, error: type[Exception]) -> None:
    cloud.faults.append(fault)
    with client(cloud) as asking, pytest.raises(error):
        chat(asking.with_options(timeout=1), model="gpt-4o")


def test_a_stream_is_cut_off(cloud: StandInCloud) -> None:
    cloud.faults.append(Fault("cut"))
    with client(cloud) as asking, pytest.raises((openai.APIError, httpx2.RemoteProtocolError)):
        list(chat(asking, model="gpt-4o", stream=True))


def test_another_certificate(cloud: StandInCloud, tmp_path: Path) -> None:
    from tests.gateway.certificates import CertificateAuthority

    CertificateAuthority(tmp_path).issue("other", ("127.0.0.1",), client=False)
    cloud.present(tmp_path / "other.crt", tmp_path / "other.key.cred")
    with client(cloud) as asking, pytest.raises(openai.APIConnectionError):
        asking.models.list()
    assert not cloud.received


def test_an_engine_answers_in_its_place(cloud: StandInCloud, tmp_path: Path) -> None:
    with stand_in_engine(tmp_path / "e.sock") as engine, client(cloud) as asking:
        cloud.engine = f"unix:{tmp_path}/e.sock"
        whole = chat(asking, model="gpt-4o")
        engine.events = (b'data: {"choices": [{"index": 0, "delta": {"content": "Red."}}]}\n\n', b"data: [DONE]\n\n")
        stream = chat(asking, model="gpt-4o", stream=True)
        assert [one.choices[0].delta.content for one in stream] == ["Red."]
    assert whole.choices[0].message.content == "Red."
    assert "authorization" not in engine.requests[0].headers


def test_it_runs_as_a_program_with_a_control_port(tmp_path: Path) -> None:
    certificate, key = server_files()
    port, control = free_port(), free_port()
    order = {"certificate": str(certificate), "key": str(key), "address": "127.0.0.1", "port": port}
    (tmp_path / "order.json").write_text(json.dumps({**order, "control": control, "keys": ["sk-x"]}))
    # -I: nothing of the repository is there on a host.
    program = Path(__file__).with_name("stand_in_cloud.py")
    process = subprocess.Popen([sys.executable, "-I", str(program), str(tmp_path / "order.json")])
    try:
        url = f"http://127.0.0.1:{control}"
        wait_until(lambda: _answers(f"{url}/received"))
        faults = json.dumps([{"kind": "status", "status": 503}]).encode()
        urlopen(Request(f"{url}/faults", faults, method="POST"), timeout=10).close()  # noqa: S310
        with client(StandInCloud(), "sk-x", url=f"https://127.0.0.1:{port}") as asking:
            with pytest.raises(openai.InternalServerError):
                asking.models.list()
            assert len(asking.models.list().data) == 2
        with urlopen(f"{url}/faults", timeout=10) as answer:  # noqa: S310
            assert [one["times"] for one in json.load(answer)] == [0]
        with urlopen(f"{url}/received", timeout=10) as answer:  # noqa: S310
            assert [one["status"] for one in json.load(answer)] == [503, 200]
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()  # noqa: S310
    except OSError:
        return False
    return True


def test_one_answer_to_everything_until_it_is_reset(cloud: StandInCloud) -> None:
    cloud.fix(404, b'{"x": 1}', {"retry-after": "7"})
    with httpx2.Client(verify=ssl.create_default_context(cafile=bundle()), trust_env=False) as asking:
        for _ in range(2):
            got = asking.get(f"{cloud.url}/any/path")
            assert (got.status_code, got.content, got.headers["retry-after"]) == (404, b'{"x": 1}', "7")
        assert [one.path for one in cloud.received] == ["/any/path"] * 2
        assert cloud.connections == 1
        cloud.reset()
        assert not cloud.received
        assert asking.get(cloud.url).json()["choices"][0]["message"]["content"] == "Blue."
