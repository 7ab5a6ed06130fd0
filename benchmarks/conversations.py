"""The time to the first token and the throughput of conversations, by how a gateway chooses the replica.

Twelve clients at one gateway, which has the configuration that rackwright renders, in front of three replicas: real
llama-servers with one thread and four slots each. A conversation begins with a long text of its own and has eight
turns; each repeats all earlier ones. The peer is the same gateway with `routing: least_busy`. Both start with engines
that have computed nothing yet, in alternating order. In one more run, a replica is drained midway.

Targets: the median time to the first token is at most 0.5 of the peer's, the throughput at least 1.3 times the
peer's, and the busiest replica has at most 1.25 times the mean number of requests. No request is lost.

    python -m benchmarks.conversations [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from http.client import HTTPException
from itertools import count
from pathlib import Path
from socket import AF_UNIX, socket

from benchmarks.measure import keep
from rackwright.lab import artefacts
from rackwright.roles.gateway.settings import RoutedModel, Server
from rackwright.roles.host_proxy import configuration as host_proxy_files
from rackwright.roles.host_proxy.settings import Proxied
from tests.gateway.stack import KEYS, Stack, eventually, free_port, running_stack
from tests.stand_in_engine import StandInAgent

REPLICAS, SLOTS, CONTEXT = 3, 8, 4096
CLIENTS, TURNS = 12, 8
THINK = (0.5, 4.0)
"""Seconds between an answer and the next turn, as people need. Without them, least_busy sends a turn to the replica
that has just become free, which is that of the conversation."""
FIRST_WORDS, TURN_WORDS, ANSWER_TOKENS = 600, 40, 24
MOST_TIME, LEAST_THROUGHPUT, MOST_BUSY = 0.5, 1.3, 1.25
_WORDS = (
    "river stone winter market paper garden engine window letter silver bridge forest captain morning table cloud "
    "music doctor village harbor lantern copper meadow thunder orchard blanket mirror compass valley ribbon"
).split()


@dataclass(frozen=True)
class Turn:
    first_token: float
    """Seconds."""
    replica: str
    prompt_tokens: int
    cached_tokens: int


@dataclass
class Round:
    """All conversations of one run."""

    turns: list[Turn] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def first_token(self) -> float:
        return statistics.median(turn.first_token for turn in self.turns)

    @property
    def throughput(self) -> float:
        """Turns per second."""
        return len(self.turns) / self.seconds

    @property
    def cached(self) -> float:
        """The share of the prompts' tokens that the engines had in their caches."""
        return sum(turn.cached_tokens for turn in self.turns) / sum(turn.prompt_tokens for turn in self.turns)

    @property
    def busiest(self) -> float:
        """The requests of the busiest replica, as a share of the mean."""
        return max(Counter(turn.replica for turn in self.turns).values()) * REPLICAS / len(self.turns)


@dataclass
class Site:
    """A gateway in front of three llama-servers."""

    stack: Stack
    model: RoutedModel
    program: Path
    weights: Path

    def route(self, *, by_prefix: bool) -> None:
        model = self.model.model_copy(update={"by_prefix": by_prefix})
        self.stack.write(self.stack.settings.model_copy(update={"models": (model,)}))
        self.stack.gateway.reload()
        eventually(lambda: all(self.stack.up(server.name) for server in self.model.servers))

    @contextmanager
    def engines(self) -> Iterator[None]:
        """Run engines that have computed nothing yet."""
        running = [self._start(path) for path in sockets(self.stack)]
        try:
            for path in sockets(self.stack):
                eventually(partial(_is_loaded, path))
            yield
        finally:
            for process in running:
                process.kill()
                process.wait()

    def _start(self, path: Path) -> subprocess.Popen[bytes]:
        path.unlink(missing_ok=True)
        argv = [str(self.program), "--model", str(self.weights), "--host", str(path), "--alias", "assistant"]
        argv += [
            "--ctx-size",
            str(SLOTS * CONTEXT),
            "--parallel",
            str(SLOTS),
            "--threads",
            "1",
            "--threads-http",
            "64",
        ]
        argv += ["--no-webui", "--offline", "--log-verbosity", "1", "--n-gpu-layers", "0", "--batch-size", "256"]
        with Path(self.stack.folder, "engines").open("ab") as log:
            return subprocess.Popen(argv, stdout=log, stderr=log)

    def converse(self, seed: int, midway: Callable[[], None] = lambda: None) -> Round:
        """Let all clients have their conversations. Call `midway` when half of the turns are over."""
        done, ended = Round(), count(1)
        lock = threading.Lock()

        def client(number: int) -> None:
            chosen = random.Random(f"{seed}/{number}")  # noqa: S311 (no secret)
            said = [{"role": "user", "content": _text(chosen, FIRST_WORDS)}]
            for _ in range(TURNS):
                time.sleep(chosen.uniform(*THINK))
                try:
                    turn, answer = self.ask(said)
                except (OSError, HTTPException, AssertionError) as error:
                    done.lost.append(repr(error))
                    return
                said += [{"role": "assistant", "content": answer}]
                said += [{"role": "user", "content": _text(chosen, TURN_WORDS)}]
                with lock:
                    done.turns.append(turn)
                    if next(ended) == CLIENTS * TURNS // 2:
                        midway()

        began = time.perf_counter()
        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.seconds = time.perf_counter() - began
        return done

    def ask(self, messages: list[dict[str, str]]) -> tuple[Turn, str]:
        """Return a turn and the text of its answer."""
        body = {"messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0, "stream": True}
        sent = json.dumps({**body, "model": "assistant"}).encode()
        connection = self.stack.connect(timeout=600)
        began, first, pieces = time.perf_counter(), 0.0, []
        connection.request("POST", "/v1/chat/completions", sent, {"authorization": f"Bearer {KEYS['good']}"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        ended = False
        for event in response:
            ended = ended or event == b"data: [DONE]\n"
            if event.startswith(b"data: {") and (piece := _piece(event)):
                first = first or time.perf_counter() - began
                pieces.append(piece)
        connection.close()
        assert ended, "the stream broke off"
        line = self.stack.log.line(response.getheader("x-request-id") or "-")
        return Turn(first, line.replica or "", line.prompt_tokens or 0, line.cached_tokens or 0), "".join(pieces)


def sockets(stack: Stack) -> list[Path]:
    return [stack.folder / f"engine{number}.sock" for number in range(1, REPLICAS + 1)]


def _piece(line: bytes) -> str:
    choices = json.loads(line.removeprefix(b"data: "))["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


def _text(chosen: random.Random, words: int) -> str:
    return " ".join(chosen.choices(_WORDS, k=words))


def _is_loaded(path: Path) -> bool:
    with suppress(OSError), socket(AF_UNIX) as probe:
        probe.connect(str(path))
        probe.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        return b" 200 " in probe.recv(100)
    return False


@contextmanager
def site() -> Iterator[Site]:
    made = artefacts.ensure(print)
    with ExitStack() as opened:
        stack = opened.enter_context(running_stack(sooner=False))
        with tarfile.open(made.runtime.path) as archive:
            archive.extractall(stack.folder, filter="data")
        agents = [StandInAgent() for _ in range(REPLICAS)]
        for agent in agents:
            opened.callback(agent.close)
        proxied = tuple(
            Proxied(
                replica=f"assistant@{number}", port=free_port(), socket=str(path), agent_port=agent.port, slots=SLOTS
            )
            for number, path, agent in zip(count(1), sockets(stack), agents, strict=False)
        )
        settings = stack.proxied.model_copy(update={"replicas": proxied})
        paths = stack.host_proxy.paths
        Path(paths.configuration, "haproxy.cfg").write_text(host_proxy_files.haproxy_cfg(settings, paths))
        stack.host_proxy.reload()
        servers = tuple(
            Server(replica=one.replica, host="gpu1", address=settings.address, port=one.port, slots=one.slots)
            for one in proxied
        )
        model = stack.settings.models[0].model_copy(update={"servers": servers})
        # Five minutes: no request may be refused because others are slow.
        stack.settings = stack.settings.model_copy(update={"queue_timeout_seconds": 300})
        program = next(stack.folder.glob("llama-*/llama-server"))
        yield Site(stack, model, program, made.model.path)


def measure(rounds: int) -> tuple[dict[str, list[Round]], Round]:
    """Return the rounds of both ways, and the one with a drain midway."""
    found: dict[str, list[Round]] = {"least_busy": [], "prefix": []}
    with site() as built:
        for number in range(rounds):
            for way in found if number % 2 == 0 else reversed(found):
                built.route(by_prefix=way == "prefix")
                with built.engines():
                    found[way].append(built.converse(number))
                print(f"{way:10} {_shown(found[way][-1])}", flush=True)
        built.route(by_prefix=True)
        server = built.model.servers[0].name
        with built.engines():
            drain = f"set server model.assistant/{server} state drain"
            drained = built.converse(rounds, lambda: print(built.stack.gateway.ask(drain), end=""))
        print(f"{'drained':10} {_shown(drained)}", flush=True)
    return found, drained


def _shown(one: Round) -> str:
    return (
        f"first token {one.first_token:6.2f} s   {one.throughput:5.2f} turns/s   cached {one.cached:4.0%}   "
        f"busiest {one.busiest:.2f}   "
        f"{len(one.turns)} turns, {len(one.lost)} lost {one.lost[:2] or ''}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    found, drained = measure(parser.parse_args().rounds)
    kept = {way: [asdict(one) for one in rounds] for way, rounds in found.items()}
    keep("conversations", {**kept, "drained": asdict(drained)})
    pairs = list(zip(found["prefix"], found["least_busy"], strict=True))
    first = statistics.median(ours.first_token / theirs.first_token for ours, theirs in pairs)
    throughput = statistics.median(ours.throughput / theirs.throughput for ours, theirs in pairs)
    busiest = max(ours.busiest for ours, _ in pairs)
    lost = sum(len(one.lost) for one in (drained, *(one for rounds in found.values() for one in rounds)))
    print(f"time to the first token: {first:.2f} of the peer's   target ≤ {MOST_TIME}")
    print(f"throughput: {throughput:.2f} times the peer's   target ≥ {LEAST_THROUGHPUT}")
    print(f"busiest replica: {busiest:.2f} of the mean   target ≤ {MOST_BUSY}")
    print(f"lost: {lost}")
    met = first <= MOST_TIME and throughput >= LEAST_THROUGHPUT and busiest <= MOST_BUSY
    return 0 if met and not lost else 1


if __name__ == "__main__":
    raise SystemExit(main())
