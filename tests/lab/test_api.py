"""The API of real llama-server engines, as clients get it through a gateway: text, embeddings, and each field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rackwright.lab.fleet_file import DOMAIN
from rackwright.lab.hosts import Lab
from rackwright.lifecycle.client.request import FromController, Request, ask
from rackwright.values.secrets import Secret
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.request_fields import ALL, CHAT, EMBEDDINGS, Field, Seed, Sent

pytestmark = pytest.mark.lab

_SEARCH = """
  search:
    source: {source}
    task: embed
    runtime:
      kind: llama_cpp
      version: {version}
      build: {build}
      parallel: 2
      threads: 1
      args: {{pooling: last}}
    place: [{{on: gpu1, gpus: 0}}]
    names: [search, text-embedding-3-small]
    context: 512

gateway:
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("api", "gate1", "gpu1") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    words = {
        key: value for key, _, value in (line.strip().partition(": ") for line in site.path.read_text().split("\n"))
    }
    search = _SEARCH.format(source=words["source"], version=words["version"], build=words["build"])
    site.edit("\ngateway:\n", search)
    site("apply", "--yes")
    return site


class Client:
    """A client with an API key."""

    def __init__(self, site: Operator, lab: Lab) -> None:
        self.gateway = lab.fleet().hosts["gate1"]
        self.ca = site.path.with_name("test.ca.crt").read_text()
        self.key = Secret(site("key", "add", "ci", "--owner", "tests", "--json").json["key"])

    def send(self, path: str, body: dict[str, Any]) -> Sent:
        model = "search" if path == EMBEDDINGS else "assistant"
        request = Request(self.gateway, DOMAIN, path, json.dumps({"model": model, **body}), self.key)
        (response,) = ask(FromController(), self.ca, (request,))
        return Sent(response.status, response.body)


@pytest.fixture(scope="module")
def client(site: Operator, lab: Lab) -> Client:
    return Client(site, lab)


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_a_field_is_honored_as_documented(client: Client, field: Field | Seed) -> None:
    assert field.asked(client.send) is field.llama_cpp


def test_verify_proves_embeddings_under_each_name_and_the_recorded_one(site: Operator) -> None:
    said = site("verify", "--json").json
    found = {proof["what"]: proof["found"] for proof in said["proofs"]}
    assert said["failed"] == 0
    assert found["search: an embedding"].startswith("an embedding of 576 numbers in ")
    assert found["text-embedding-3-small: an embedding"].startswith("an embedding of 576 numbers in ")
    assert found["search@1 runs what the lock says and answers as recorded"] == "proven"


def test_two_texts_about_colors_are_closer_than_one_about_something_else(client: Client) -> None:
    texts = ["The sky is blue.", "The sea is blue.", "import os; print(os.environ)"]
    data = client.send(EMBEDDINGS, {"input": texts}).json["data"]
    sky, sea, code = (one["embedding"] for one in data)
    assert sum(a * b for a, b in zip(sky, sea, strict=True)) > sum(a * b for a, b in zip(sky, code, strict=True))


def test_a_text_that_fills_the_context_is_no_hang(site: Operator, client: Client) -> None:
    sent = client.send(EMBEDDINGS, {"input": ["word " * 500] * 4})
    assert (sent.status, len(sent.json["data"])) == (200, 4)
    assert {name: one["restarts"] for name, one in site.replicas().items()} == {
        "gpu1/assistant@1": 0,
        "gpu1/search@1": 0,
    }


def test_a_text_longer_than_the_context_is_refused_in_openais_words(client: Client) -> None:
    sent = client.send(EMBEDDINGS, {"input": "word " * 600})
    assert (sent.status, sent.json["error"]["code"]) == (400, "context_length_exceeded")


def test_a_model_that_generates_text_has_no_embeddings(client: Client) -> None:
    sent = client.send(EMBEDDINGS, {"model": "assistant", "input": "red"})
    assert (sent.status, sent.json["error"]["code"]) == (400, "not_supported")


def test_an_engine_for_embeddings_is_restarted_like_any_other(site: Operator, client: Client) -> None:
    said = site("restart", "gpu1/search@1", "--yes", "--allow-outage", "--json")
    assert said.code == 0
    assert client.send(EMBEDDINGS, {"input": "red"}).status == 200
    assert client.send(CHAT, {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}).status == 200


def test_a_second_apply_changes_nothing(site: Operator) -> None:
    said = site("apply", "--yes", "--json").json
    assert (said["changed"], said["failed"], said["restarted"]) == (0, 0, [])
