"""Real vLLM: a fleet of vLLM and llama.cpp behind one gateway. The tests build on one another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rackwright.lab import artefacts, vllm
from rackwright.lab.hosts import Lab
from rackwright.lifecycle.client.request import FromController, Request, Response, ask
from rackwright.values.secrets import Secret
from tests.heavy.vllm_fleet import DOMAIN, llama, runtime, vllm_lab, vllm_operator
from tests.lab import exposure, malformed, traces
from tests.lab.engines import pid
from tests.lab.operator import Operator
from tests.request_fields import ALL, EMBEDDINGS, UNTRIED, Field, Seed, Sent
from tests.waiting import wait_until

pytestmark = pytest.mark.heavy
COVERS = (
    "deploys/serve.py",
    "rackwright/resolve/adapters.py",
    "rackwright/launch.py",
    "rackwright/operations/filesystem/wheels.py",
    "rackwright/operations/filesystem/wheels.sh",
    "roles/gateway",
    "roles/host_proxy",
    "roles/probe",
    "roles/replica",
    "roles/vllm",
)
UNIT = "rackwright-assistant@1"
SOCKET = "/run/rackwright/assistant@1/engine.sock"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with vllm_lab("vllm", "gate1", "gpu1", "gpu2") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    made = vllm.ensure(lambda _: None)
    adapted = f', adapters: {{noise: "file:{made.adapter}"}}, max_lora_rank: 8'
    models = f"""\
  assistant:
    source: "file:{made.model}"
    runtime: {runtime(adapted)}
    place: [{{on: [gpu1, gpu2], gpus: 0}}]
    names: [assistant, gpt-4o-mini]
    context: 2048
  small:
    source: "file:{artefacts.ensure(lambda _: None).model.path}"
    runtime: {llama()}
    place: [{{on: gpu1, gpus: 0}}]
    names: [small]
    context: 2048
  search:
    source: "file:{made.model}"
    task: embed
    runtime: {runtime()}
    place: [{{on: gpu2, gpus: 0}}]
    names: [search]
    context: 512
"""
    site = vllm_operator(tmp_path_factory.mktemp("site"), lab.fleet(), models)
    site("apply", "--yes", "--close-ports", timeout=900)
    return site


@pytest.fixture(scope="module")
def key(site: Operator) -> str:
    key: str = site("key", "add", "ci", "--owner", "tests", "--json").json["key"]
    return key


def request(site: Operator, lab: Lab, key: str, path: str, **body: object) -> Response:
    asked = Request(lab.fleet().hosts["gate1"], DOMAIN, path, json.dumps(body), Secret(key))
    (response,) = ask(FromController(), site.path.with_name("test.ca.crt").read_text(), (asked,))
    return response


def chat(site: Operator, lab: Lab, key: str, model: str, **more: object) -> Response:
    messages = [{"role": "user", "content": "Name three colors."}]
    body = {"model": model, "messages": messages, "max_tokens": 16, "temperature": 0, **more}
    return request(site, lab, key, "/v1/chat/completions", **body)


def test_every_model_answers_by_every_name_through_one_gateway(site: Operator, lab: Lab, key: str) -> None:
    for name in ("assistant", "gpt-4o-mini", "small"):
        answer = chat(site, lab, key, name)
        assert answer.status == 200, answer.text
        assert "Red" in answer.text
    adapted = chat(site, lab, key, "noise")
    assert adapted.status == 200, adapted.text
    assert "Red" not in adapted.text


@pytest.mark.parametrize("field", [field for field in ALL if field.name != UNTRIED], ids=lambda field: field.name)
def test_a_field_is_honored_as_documented(site: Operator, lab: Lab, key: str, field: Field | Seed) -> None:
    def send(path: str, body: dict[str, Any]) -> Sent:
        model = "search" if path == EMBEDDINGS else "assistant"
        answer = request(site, lab, key, path, **{"model": model, **body})
        return Sent(answer.status, answer.body)

    assert field.asked(send) is field.vllm


def hits(lab: Lab) -> float:
    """Return how many tokens of prompts vLLM has taken from its cache on gpu1."""
    metrics = lab.exec("gpu1", f"curl -s --unix-socket {SOCKET} http://e/metrics").out
    (count,) = re.findall(r"^vllm:prefix_cache_hits_total\{.*\} (\S+)$", metrics, re.MULTILINE)
    return float(count)


def test_a_prompt_is_reused_for_the_key_that_sent_it_and_for_no_other(site: Operator, lab: Lab, key: str) -> None:
    """It is asked with salts of the client's own, too."""
    other = site("key", "add", "curious", "--owner", "tests", "--json").json["key"]
    site("drain", "gpu2/assistant@1", "--reason", "one is counted", "--yes")
    # vLLM's CPU build reuses whole blocks of 128 tokens.
    prompt = f"{malformed.word()} " + "one two three four " * 100

    def reused(by: str, salt: str = "") -> bool:
        before = hits(lab)
        body = f'{{"model": "assistant", {salt} "prompt": "{prompt}", "max_tokens": 1}}'
        asked = Request(lab.fleet().hosts["gate1"], DOMAIN, malformed.COMPLETIONS, body, Secret(by))
        (response,) = ask(FromController(), site.path.with_name("test.ca.crt").read_text(), (asked,))
        assert response.status == 200, response.text
        return hits(lab) > before

    mine = '"cache_salt": "mine",'
    assert [reused(key), reused(key)] == [False, True]
    assert [reused(other, mine), reused(other, mine), reused(other)] == [False, True, True]
    assert [reused(key, '"cache\\u005fsalt": "yours",'), reused(key, '"cache_salt": null,')] == [True, True]
    site("undrain", "gpu2/assistant@1")
    site("key", "revoke", "curious", "--yes")


def test_verify_proves_it_with_streams(site: Operator) -> None:
    said = site("verify", "--json").json
    assert said["failed"] == 0
    assert {
        "assistant: a stream",
        "noise: a stream",
        "gpt-4o-mini: a completion",
        "small: a stream",
        "search: an embedding",
    } <= {proof["what"] for proof in said["proofs"]}


def test_a_second_apply_changes_nothing(site: Operator) -> None:
    said = site("apply", "--yes", "--json").json
    assert (said["changed"], said["failed"], said["restarted"]) == (0, 0, [])


def test_what_vllm_answers_without_a_key_is_closed_at_the_gateway(site: Operator, lab: Lab, key: str) -> None:
    ask_inside = (
        "curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' "
        "--unix-socket /run/rackwright/assistant@1/engine.sock http://e"
    )
    body = """-d '{"model": "assistant", "prompt": "Hi", "max_tokens": 1}'"""
    # The engine itself does answer there.
    assert lab.exec("gpu1", f"{ask_inside}/invocations {body}").out == "200"
    for path in ("/invocations", "/tokenize", "/v1/load_lora_adapter", "/inference/v1/generate", "/sleep"):
        assert request(site, lab, key, path, model="assistant", prompt="Hi", max_tokens=1).status == 404


def test_an_engine_has_a_loopback_and_nothing_else(site: Operator, lab: Lab) -> None:
    inside = f"nsenter -t {pid(lab, 'gpu1')} -n"
    assert lab.exec("gpu1", f"{inside} ip -o link | cut -d: -f2").out.split() == ["lo"]
    outside = lab.exec("gpu1", "ss -Hltn").out
    within = lab.exec("gpu1", f"{inside} ss -Hltn").out
    assert within
    assert not {line.split()[3] for line in within.splitlines()} & {line.split()[3] for line in outside.splitlines()}


def test_the_sandbox_is_tight_by_systemds_own_measure(site: Operator, lab: Lab) -> None:
    assert UNIT in exposure.measured(lab, "gpu1")
    # Its compiler runs the code that it generated, and its processes communicate over a loopback.
    assert exposure.loose(lab, "gpu1") == {UNIT: 0.8}


def test_the_runtime_is_read_only_and_has_what_the_lock_names(site: Operator, lab: Lab) -> None:
    folder = f"/opt/rackwright/runtimes/vllm-{vllm.VERSION}"
    assert lab.exec("gpu1", f"find {folder} -perm /222 ! -type l | head -n 3").out == ""
    assert lab.exec("gpu1", "ls /opt/rackwright/runtimes/.incoming").out == ""
    assert not lab.exec("gpu1", f"ls -d {folder}/lib/python3.11/site-packages/pip", check=False).out


def test_what_clients_send_is_kept_nowhere(site: Operator, lab: Lab) -> None:
    """Without its filter, it logs the name in a broken tool call, and that of an unknown model."""
    word = malformed.word()
    other = json.dumps({"model": word, "prompt": word}).encode()
    asked = (*malformed.requests(word, "assistant"), (malformed.COMPLETIONS, other))
    lab.exec("gpu1", "sh", input=malformed.sending_inside(asked, SOCKET), timeout=600)
    assert traces.found(lab, word) == {}
    assert "colors" not in lab.exec("gpu1", f"journalctl -o cat -u {UNIT}").out
    said = site("logs", "gpu1/assistant@1", "--lines", "5000").out
    assert "Resolved architecture: LlamaForCausalLM" in said
    assert "Engine 000: Avg prompt throughput" in said


def test_what_is_in_flight_ends_before_the_engine_does(site: Operator, lab: Lab) -> None:
    """`--shutdown-timeout` within `TimeoutStopSec`: a drained engine that is stopped finishes its requests."""
    shown = lab.exec("gpu1", f"systemctl show -P TimeoutStopUSec {UNIT}").out.strip()
    assert shown == "2min 30s"
    assert "--shutdown-timeout" in lab.exec("gpu1", f"systemctl cat {UNIT}").out
    body = '{"model": "assistant", "prompt": "Once", "max_tokens": 100, "ignore_eos": true, "temperature": 0}'
    lab.exec(
        "gpu2",
        "systemd-run --quiet --unit=asking --property=StandardOutput=file:/root/answer curl -s --max-time 140 "
        f"-H Content-Type:application/json --unix-socket /run/rackwright/assistant@1/engine.sock -d '{body}' "
        "http://e/v1/completions",
    )
    metrics = "curl -s --unix-socket /run/rackwright/assistant@1/engine.sock http://e/metrics"
    wait_until(lambda: 'num_requests_running{engine="0",model_name="assistant"} 1.0' in lab.exec("gpu2", metrics).out)
    lab.exec("gpu2", f"systemctl stop {UNIT}", timeout=160)
    answer = json.loads(lab.exec("gpu2", "cat /root/answer").out)
    assert answer["usage"]["completion_tokens"] == 100
    site("apply", "--yes", timeout=600)


def test_a_killed_engine_comes_back_by_itself_and_the_other_serves(site: Operator, lab: Lab, key: str) -> None:
    before = pid(lab, "gpu1")
    # It may still take a request while it ends, which is then lost with it.
    lab.exec("gpu1", f"kill -KILL {before}; while kill -0 {before} 2>/dev/null; do sleep 0.05; done")
    # The other replica continues to serve.
    for _ in range(5):
        assert chat(site, lab, key, "assistant").status == 200
    wait_until(lambda: pid(lab, "gpu1") not in ("0", before))
    wait_until(lambda: site.replicas()["gpu1/assistant@1"]["traffic"] == "yes", 240)
    assert lab.exec("gpu1", "ls /dev/shm | grep -v '^sem' || true").out == ""
