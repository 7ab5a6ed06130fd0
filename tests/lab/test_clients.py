"""Real clients at real gateways: every API, streams, tools, JSON schemas. Usage says what they counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rackwright.lab import paths
from rackwright.lab.fleet_file import DOMAIN
from rackwright.lab.hosts import Lab
from rackwright.lifecycle.client.request import FromController, Request, Response, ask
from rackwright.values.secrets import Secret
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.times.recorder import spent
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

GATEWAYS = ("gate1", "gate2")
_HERE = Path(__file__).parent / "clients"
_TEAMS = """
teams:
  coders: {tokens_per_day: 20M, priority: high}
  interns: {tokens_per_day: 60}

gateway:
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("clients", *GATEWAYS, "gpu1") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """A fleet with two gateways, whose model has a template for tools."""
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    template = "".join(line.strip() for line in (_HERE / "with_tools.jinja").read_text().splitlines())
    arguments = json.dumps({"jinja": True, "chat-template": template})
    site.edit("\n      threads: 1 ", f"\n      args: {arguments}\n      threads: 1 ")
    site.edit("on: [gate1]", f"on: [{', '.join(GATEWAYS)}]")
    site.edit("\ngateway:\n", _TEAMS)
    site("apply", "--yes", "--allow-outage")
    return site


@dataclass(frozen=True)
class Asked:
    """What a client did, and what it counted."""

    client: str
    task: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    text: str = ""
    error: str = ""


@pytest.fixture(scope="module")
def asked(site: Operator, lab: Lab) -> tuple[Asked, ...]:
    """What the clients did with one key, at both gateways in turn."""
    key = site("key", "add", "agent", "--owner", "coders").out
    addresses = " ".join(str(lab.fleet().hosts[name]) for name in GATEWAYS)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(site.path.parent),
        "SSL_CERT_FILE": str(site.path.with_name("test.ca.crt")),
        **{"DOMAIN": DOMAIN, "MODEL": "assistant", "ADDRESSES": addresses},
    }
    program = [str(_python()), str(_HERE / "program.py")]
    with spent("real clients"):
        done = subprocess.run(program, input=key, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    return tuple(Asked(**one) for one in json.loads(done.stdout.splitlines()[-1]))


def _python() -> Path:
    """Return the Python of an environment that has the clients; it is kept for later runs."""
    requirements = _HERE / "requirements.txt"
    folder = paths.cache() / "clients"
    python = folder / "bin" / "python"
    with spent("installing clients"), paths.locked("clients"):
        install = ("pip", "sync", "--python", str(python), str(requirements))
        for words in (("venv", "--allow-existing", str(folder)), install):
            subprocess.run([sys.executable, "-m", "uv", *words, "--quiet"], check=True)
    return python


TASKS = (
    ("openai", "chat"),
    ("openai", "chat, a stream"),
    ("openai", "chat with tools"),
    ("openai", "chat with a JSON schema"),
    ("openai", "responses"),
    ("openai", "responses, a stream"),
    ("openai", "responses with tools"),
    ("anthropic", "messages"),
    ("anthropic", "messages, a stream"),
    ("anthropic", "an agent's tool"),
    ("anthropic", "tokens"),
    ("langchain-openai", "chat"),
    ("langchain-openai", "chat, a stream"),
    ("langchain-openai", "chat with tools"),
    ("langchain-openai", "chat with a JSON schema"),
    ("litellm", "chat"),
    ("litellm", "chat, a stream"),
    ("litellm", "responses"),
    ("litellm", "messages"),
)


@pytest.mark.parametrize(("client", "task"), TASKS)
def test_a_client_gets_an_answer(asked: tuple[Asked, ...], client: str, task: str) -> None:
    (found,) = (one for one in asked if (one.client, one.task) == (client, task))
    assert not found.error
    assert found.text
    if "tool" in task:
        assert found.text.startswith("paint(")
        assert json.loads(found.text[len("paint(") : -1])["color"] in {"red", "blue"}
    if "schema" in task:
        assert json.loads(found.text)["color"] in {"red", "blue"}


def test_usage_adds_up_to_what_the_clients_counted(site: Operator, asked: tuple[Asked, ...]) -> None:
    assert len(asked) == len(TASKS)
    rows: list[dict[str, Any]] = site("usage", "--by", "owner", "--by", "key", "--json").json["rows"]
    (found,) = (row for row in rows if row["owner"] == "coders")
    # An agent asks twice: before and after its tool.
    counted = {
        "key": "agent",
        "completed": len(asked) + 1,
        "prompt_tokens": sum(one.prompt_tokens for one in asked),
        "completion_tokens": sum(one.completion_tokens for one in asked),
        "estimated": 0,
    }
    assert {name: found[name] for name in counted} == counted
    assert found["cached_tokens"] > 0


def test_status_shows_what_a_replica_took_from_its_cache(site: Operator, asked: tuple[Asked, ...]) -> None:
    replica = site.replicas()["gpu1/assistant@1"]
    assert replica["prompt_tokens"] > sum(one.prompt_tokens for one in asked)
    assert 0 < replica["cached_tokens"] < replica["prompt_tokens"]


def test_a_team_that_used_its_quota_is_refused_at_every_gateway(site: Operator, lab: Lab) -> None:
    key = Secret(site("key", "add", "intern", "--owner", "interns").out.strip())
    ca = site.path.with_name("test.ca.crt").read_text()
    body = json.dumps({"model": "assistant", "max_tokens": 30, "messages": [{"role": "user", "content": "Colors?"}]})

    def send(gateway: str) -> Response:
        request = Request(lab.fleet().hosts[gateway], DOMAIN, "/v1/chat/completions", body, key)
        (response,) = ask(FromController(), ca, (request,))
        return response

    assert [send(gateway).status for gateway in GATEWAYS] == [200, 200]
    for gateway in GATEWAYS:
        wait_until(lambda gateway=gateway: send(gateway).status == 429)
        assert json.loads(send(gateway).body)["error"]["code"] == "insufficient_quota"
