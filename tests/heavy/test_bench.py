"""guidellm, installed from its list, against a real gateway and a real engine. The tests build on one another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from rackwright.lifecycle.bench.load import Load
from rackwright.lifecycle.bench.measure import Recorded, measure
from rackwright.lifecycle.bench.tool import ensure
from rackwright.lifecycle.bench.way import Way
from rackwright.resolve.package_index import Index
from rackwright.route import Route
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.stand_in_engine import Received, stand_in_engine
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/bench.py",
    "rackwright/cli/render/bench_html.py",
    "rackwright/cli/render/bench_text.py",
    "rackwright/cli/render/templates/bench.html",
    "rackwright/lifecycle/bench",
    "rackwright/remote/forward.py",
    "rackwright/state/bench.py",
)
LOAD = ("--rate", "1", "--requests", "20", "--prompt-tokens", "48", "--answer-tokens", "4")
EASY = (
    "{ttft_p95: 100m, tpot_p95: 100m, latency_p95: 100m, errors: 50%, "
    "rate: 1, requests: 20, prompt_tokens: 40, answer_tokens: 2}"
)
LONG = 1800
"""Limit in seconds: other tests use this machine, too."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("bench", "gate1", "gpu1") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    made = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    # Other tests use this machine, too: a request that waits for a slot here must not fail.
    made.edit("  domain: llm.lab.internal", "  domain: llm.lab.internal\n  queue_timeout: 10m")
    made("apply", "--yes")
    return made


def processes() -> Iterator[str]:
    """Yield the argument vector and the environment of every process on this machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                yield (folder / name).read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue


def ended(process: subprocess.Popen[str]) -> bool:
    """Return whether it has ended, after a short wait: polling takes CPU time from the process that it watches."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.2)
    return process.returncode is not None


def test_a_model_is_measured_through_the_gateway_and_its_key_shows_nowhere(site: Operator, tmp_path: Path) -> None:
    page, out = tmp_path / "page.html", tmp_path / "out.json"
    running = site.start("bench", "assistant", *LOAD, "--json", "--html", str(page))
    seen, leaks = False, []
    while not ended(running):
        for text in processes():
            seen = seen or "bench/driver.py" in text
            leaks += [text] if "rw-bench-" in text else []
    assert running.stdout is not None
    out.write_text(running.stdout.read())
    assert running.returncode == 0, out.read_text()
    assert seen
    assert leaks == []
    document = json.loads(out.read_text())
    (step,) = document["bench"]["steps"]
    assert (step["answered"], step["errors"], step["answer_tokens"]) == (20, {}, 4)
    assert abs(step["prompt_tokens"] - 48) <= 5
    assert 0 < step["ttft"]["p50"] <= step["ttft"]["p95"] <= step["latency"]["p95"]
    assert document["bench"]["through"] == "gateway gate1"
    assert (document["bench"]["runtime"], document["met"]) == ("llama_cpp-b10434", True)
    assert "20 requests at 1 a second" in page.read_text()
    # One rate makes no line.
    assert "<svg" not in page.read_text()


def keys(lab: Lab) -> str:
    """Return what the gateway has of keys, in its file and in its memory."""
    return lab.exec(
        "gate1",
        "cat /etc/rackwright/gateway/keys.map; echo 'show map /etc/rackwright/gateway/keys.map' "
        "| socat - UNIX-CONNECT:/run/rackwright-gateway/sockets/admin.sock",
    ).out


def test_no_key_is_left_at_the_gateway(lab: Lab) -> None:
    assert "bench|" not in keys(lab)


def test_it_is_kept_on_the_control_host_and_written_down(site: Operator, lab: Lab) -> None:
    (kept,) = site("bench", "assistant", "--history", "--json").json["benches"]
    assert kept["steps"][0]["answered"] == 20
    assert f"{kept['run']}.json" in lab.exec("gate1", "ls /var/lib/rackwright/bench/assistant").out
    acts = [act for act in site("audit", "--json").json["acts"] if act["command"] == "bench"]
    assert [act["outcome"] for act in acts] == ["lent", "kept"]


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_load_and_removes_its_key(site: Operator, lab: Lab, told: signal.Signals) -> None:
    tool = f"{site.environment['XDG_CACHE_HOME']}/rackwright/tools/"
    running = site.start("bench", "assistant", "--rate", "0.1", "--requests", "100", "--answer-tokens", "4")
    wait_until(lambda: any(tool in text and "bench/driver.py" in text for text in processes()), 300)
    assert "bench|" in keys(lab)
    running.send_signal(told)
    assert running.communicate(timeout=120)[0].endswith("error: interrupted\n")
    assert running.returncode == 1
    assert "bench|" not in keys(lab)
    assert not any(tool in text and "bench/driver.py" in text for text in processes())


def test_a_replica_is_measured_past_the_gateway(site: Operator) -> None:
    said = site(
        "bench", "assistant", "--replica", "gpu1/assistant@1", *LOAD, "--compare", "--json", timeout=LONG
    ).json
    assert said["bench"]["through"] == "replica gpu1/assistant@1"
    assert said["bench"]["steps"][0]["answered"] == 20
    assert said["comparison"] is None
    refused = site("bench", "assistant", "--replica", "gpu1/assistant@7", check=2)
    assert "there are: gpu1/assistant@1" in refused.err


def test_verify_full_holds_the_service_to_its_objectives(site: Operator) -> None:
    site.edit("    context: 2048", f"    objectives: {EASY}\n    context: 2048")
    met = site("verify", "--full", "--json", timeout=LONG).json
    tried = [proof for proof in met["proofs"] if "with 20 requests, 1 a second" in proof["what"]]
    assert [proof["what"].split(": ")[1].split()[0] for proof in tried] == [
        "ttft_p95",
        "tpot_p95",
        "latency_p95",
        "errors",
    ]
    assert all(proof["passed"] for proof in tried)
    site.edit("ttft_p95: 100m", "ttft_p95: 1ms")
    missed = site("verify", "--full", "--json", check=12, timeout=LONG).json
    assert [proof["what"].split(",")[0] for proof in missed["proofs"] if not proof["passed"]] == [
        "assistant: ttft_p95 at most 1.0 ms"
    ]


def test_bench_ends_with_12_where_an_objective_is_missed_and_lays_runs_side_by_side(site: Operator) -> None:
    missed = site("bench", "assistant", "--compare", check=12, timeout=LONG)
    assert "MISS ttft_p95" in missed.out
    assert "ok   errors: " in missed.out
    assert "compared with 20" in missed.out
    assert "too few requests to tell" in missed.out


def test_a_search_ends_with_the_knee_or_says_that_there_is_none(site: Operator, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    site.edit("ttft_p95: 1ms", "ttft_p95: 100m")
    words = ("--knee", "--rate", "0.2", "--seconds", "20", "--answer-tokens", "1", "--json")
    said = site("bench", "assistant", *words, "--html", str(page), check=None, timeout=LONG)
    found = said.json["bench"]
    assert ("<svg" in page.read_text()) is (sum(step["answered"] > 0 for step in found["steps"]) > 1)
    assert (said.code == 0) is (found["knee"] is not None)
    assert found["searched"]
    assert len(found["steps"]) > 1 or found["why_ended"].startswith("already at 0.2 per second")


def test_outside_of_the_clients_networks_the_gateway_is_not_measured(site: Operator) -> None:
    before = site.path.read_text()
    (line,) = [line for line in before.splitlines() if "clients_from" in line]
    site.edit(line, "  clients_from: [198.51.100.0/24]")
    refused = site("bench", "assistant", check=1)
    site.edit("  clients_from: [198.51.100.0/24]", line)
    assert "the load would have to come from host gpu1" in refused.err
    assert "next: add its network to firewall.clients_from" in refused.err


def test_the_tool_is_made_once(site: Operator) -> None:
    tools = Path(site.environment["XDG_CACHE_HOME"], "rackwright", "tools")
    (made,) = [path for path in tools.iterdir() if path.is_dir()]
    assert (made / "ready").exists()
    assert not list(made.glob("lib/python*/site-packages/torch"))
    assert os.access(made / "bin" / "python", os.X_OK)


def test_recorded_requests_arrive_whole_and_at_their_times(tmp_path: Path) -> None:
    """The real tool, with a stand-in for an engine that knows when a request came."""
    tool = ensure(Index(None, Route()), print)
    bodies = [
        json.dumps(
            {"model": "m", "messages": [{"role": "user", "content": f"q{n}"}], "stream": True, "tools": [{"n": n}]}
        )
        for n in range(30)
    ]
    at = (*[0.0] * 10, *(2 + 0.1 * n for n in range(20)))
    came: dict[str, float] = {}

    class Requests(list[Received]):
        def append(self, received: Received) -> None:
            came[received.body.decode()] = time.monotonic()
            super().append(received)

    with stand_in_engine(tmp_path / "engine") as engine:
        engine.requests = Requests()
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        chunk = {
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": "a"}}],
            "usage": usage,
        }
        engine.events = (*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for _ in range(5)), b"data: [DONE]\n\n")
        way = Way("a stand-in", "http://engine", str, socket=engine.socket)
        step = measure(tool, way, "m", Load(30 / 4, 30, 10, 5), 1, Recorded(at, tuple(bodies)))
    assert (step.answered, step.failed, step.answer_tokens) == (30, 0, 5)
    # Parsed and written again, the bodies are the same; the last one is sent once more, and doesn't count.
    assert [json.loads(body) for body in sorted(came)] == [json.loads(body) for body in sorted(bodies, key=_compact)]
    assert len(engine.requests) == 31
    order = sorted((came[_compact(body)], number) for number, body in enumerate(bodies[:-1]))
    assert {number for _, number in order[:10]} == set(range(10))
    # Planned: 3.8 s. Without their times, they would all come at once.
    assert order[-1][0] - order[0][0] >= 2


def _compact(body: str) -> str:
    return json.dumps(json.loads(body), separators=(",", ":"))
