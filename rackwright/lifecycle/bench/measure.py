"""Measure one constant rate: run guidellm as a separate process and read its report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lifecycle.bench.load import PROBES, Load, Probed, prompt, words_for
from rackwright.lifecycle.bench.report import parse_report
from rackwright.lifecycle.bench.tool import Tool
from rackwright.lifecycle.bench.way import Way, prompt_tokens
from rackwright.state.bench import Step

DRIVER = Path(__file__).with_name("driver.py")
REST_SECONDS = 300
"""How long answers may take after the last request was sent; requests without an answer by then have failed."""
START_SECONDS = 300
"""Time for the tool to start: it imports half a gigabyte, and this machine may be busy."""
LEAD_SECONDS = 3.0
"""Between the start of a replay and its first request, by when the tool has read it."""
TAIL_SECONDS = 2.0
"""Between the last request of a replay and one that doesn't count."""
_PER_PROCESS = 50
"""Requests per second that one process of the tool sends; if it can't keep up, it says so in its remarks."""


@dataclass(frozen=True)
class Recorded:
    """Requests as clients sent them, instead of random ones at even intervals."""

    at: tuple[float, ...]
    """Seconds after the first one, in ascending order."""
    bodies: tuple[str, ...] = field(repr=False)
    """Of chat completions, in JSON."""


@dataclass(frozen=True)
class Order:
    """The input of `driver.py`."""

    way: Way
    name: str
    """The model's served name."""
    load: Load
    words: int
    """Words of each prompt."""
    report: Path
    recorded: Recorded | None = None
    """The requests to send; None: those of the load."""

    def as_json(self) -> str:
        way: dict[str, object] = {
            "address": self.way.address,
            "ca": self.way.ca,
            "socket": str(self.way.socket or ""),
        }
        if self.recorded:
            way["recorded"] = True
        last = LEAD_SECONDS + self.recorded.at[-1] if self.recorded else None
        return json.dumps({"way": way, "report": str(self.report), "last": last, "spec": self._spec()})

    def _spec(self) -> dict[str, object]:
        """Return guidellm's own settings (0.8, BenchmarkArgs)."""
        backend: dict[str, object] = {"kind": "openai_http", "target": self.way.base, "model": self.name}
        # The gateway closes /health, and speaks HTTP/1.1.
        backend |= {"verify": True, "http2": False, "validate_backend": False, "follow_redirects": False}
        if self.way.key:
            backend["api_key"] = self.way.key.reveal()
        return {
            "backend": backend,
            "profile": self._profile(),
            "constraints": self._constraints(),
            # guidellm requires a tokenizer but never uses it: the engine counts the tokens.
            "tokenizer": {"kind": "huggingface_auto", "model": "none"},
            "data": [{"kind": "in_memory_dict", "data": self._rows()}],
            "outputs": [],
            "metrics": {"kind": "generative", "sample_size": 0},
        }

    def _profile(self) -> dict[str, object]:
        if self.recorded:
            return {"kind": "replay", "schedule_turn": "timestamp"}
        return {"kind": "constant", "rate": [self.load.rate]}

    def _constraints(self) -> list[dict[str, object]]:
        seconds = self.load.requests / self.load.rate + REST_SECONDS
        longest: dict[str, object] = {"kind": "max_duration", "seconds": seconds}
        # A replay ends after its last request; with a limit, guidellm would end it before the last one is counted.
        return [longest] if self.recorded else [{"kind": "max_requests", "count": self.load.requests}, longest]

    def _rows(self) -> dict[str, object]:
        if self.recorded:
            at, bodies = self.recorded.at, self.recorded.bodies
            # One more, because guidellm sometimes ends before it has counted the last one.
            times = [LEAD_SECONDS + one for one in (*at, at[-1] + TAIL_SECONDS)]
            return {"prompt": [*bodies, bodies[-1]], "relative_timestamp": times}
        count = self.load.requests
        return {
            "prompt": [prompt(self.words) for _ in range(count)],
            "output_tokens_count": [self.load.answer_tokens] * count,
        }


def seconds_of(load: Load) -> float:
    """Return the longest time that one measurement can take."""
    return START_SECONDS + load.requests / load.rate + REST_SECONDS


def words_of(way: Way, name: str, load: Load) -> int:
    """Return how many words a prompt of the load needs: send two short prompts, which also warm the engine up."""
    short, long = (_probed(way, name, words) for words in PROBES)
    return words_for(load.prompt_tokens, short, long)


def _probed(way: Way, name: str, words: int) -> Probed:
    messages = [{"role": "user", "content": prompt(words)}]
    answer = way.probe(json.dumps({"model": name, "messages": messages, "max_tokens": 1}))
    return Probed(words, prompt_tokens(answer, way.said))


def measure(tool: Tool, way: Way, name: str, load: Load, words: int, recorded: Recorded | None = None) -> Step:
    """Send the load, or the recorded requests, and return the result. Raise RackwrightError if the tool itself fails.

    With recorded requests, the load says how many there are, and their mean rate.
    """
    with tempfile.TemporaryDirectory(prefix="rackwright-bench-") as folder:
        report = Path(folder, "report.json")
        order = Order(way, name, load, words, report, recorded)
        _run(tool, order, folder)
        return parse_report(report.read_text(encoding="utf-8"), load)


def _run(tool: Tool, order: Order, folder: str) -> None:
    # -I: Python imports no modules from the driver's folder or from paths in the environment.
    command, timeout = [str(tool.python), "-I", str(DRIVER)], seconds_of(order.load)
    # Its output goes to a file, because a pipe stays open as long as any worker has it. It gets its own session, so
    # that its workers can be killed with it.
    with (
        Path(folder, "said").open("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            text=True,
            cwd=folder,
            env=_environment(order.load),
            start_new_session=True,
        ) as process,
    ):
        try:
            process.communicate(order.as_json(), timeout=timeout)
        except subprocess.TimeoutExpired:
            raise RackwrightError(f"did not end within {timeout:.0f} s", where=tool.name) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            said.seek(0)
            # What it says of recorded requests could quote them.
            lines = "its output isn't shown" if order.recorded else _last_lines(said.read(), order.way)
            raise RackwrightError(f"failed:\n    {lines}", where=tool.name)


def _last_lines(said: str, way: Way) -> str:
    """Return the last lines of the output, without the API key: an error about the input quotes it."""
    text = said.replace(way.key.reveal(), repr(way.key)) if way.key else said
    return "\n    ".join(text.strip().splitlines()[-4:])


def _environment(load: Load) -> dict[str, str]:
    """Return the tool's environment: without proxies, hub access, and variables that control Python."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME") if name in os.environ
    }
    processes = max(1, min((os.cpu_count() or 1) // 2, round(load.rate / _PER_PROCESS + 0.5)))
    return kept | {
        "GUIDELLM__MAX_WORKER_PROCESSES": str(processes),
        "GUIDELLM__LOGGING__CONSOLE_LOG_LEVEL": "WARNING",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
