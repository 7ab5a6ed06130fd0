"""The time that a replay adds to each request, over the bare HTTP client that it uses.

On loopback, to a responder that answers at once over TLS, with connections kept open. The replay asks the cloud twice
and the fleet once, one request at a time at each end, with its budget, lanes, parsed answers and encrypted files. Its
peer is the client alone: two threads with a connection each, one with twice as many requests. Rounds of both are in
turn. Target: the medians of the rounds differ by at most 2 ms per request.

    python -m benchmarks.migrate_replay [--requests 200] [--rounds 7]
"""

from __future__ import annotations

import argparse
import multiprocessing
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from benchmarks.measure import keep
from rackwright.lifecycle.migrate.replay.lane import Lane, Pace
from rackwright.lifecycle.migrate.replay.prepare import prepare
from rackwright.lifecycle.migrate.replay.replay import Replay
from rackwright.lifecycle.migrate.replay.sender import Door, gateway_sender
from rackwright.migrate.asking.request_body import cloud_body
from rackwright.migrate.asking.way import way_of
from rackwright.migrate.side import Side
from tests.lifecycle.migrate.ends import FixedKey, folder_at, plan_of, request
from tests.loopback_tls import bundle, server_files
from tests.stand_in_cloud import KEY, stand_in_cloud

LIMIT = 0.002
"""Seconds."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args()
    certificate, key = server_files()
    with responder(certificate, key) as port:
        bare: list[float] = []
        replays: list[float] = []
        rounds = [(bare, alone), (replays, replayed)]
        for number in range(wanted.rounds):
            for samples, measure in rounds if number % 2 == 0 else reversed(rounds):
                samples.append(measure(port, wanted.requests))
    added = median(replays) - median(bare)
    print(f"bare client: {median(bare) * 1000:.2f} ms a request; replay: {median(replays) * 1000:.2f} ms")
    print(f"added: {added * 1000:.2f} ms, limit {LIMIT * 1000:.0f} ms: {'ok' if added <= LIMIT else 'MISSED'}")
    kept = {"bare_ms": [one * 1000 for one in bare], "replay_ms": [one * 1000 for one in replays]}
    keep("migrate_replay", {**kept, "requests": wanted.requests})
    return 0 if added <= LIMIT else 1


def alone(port: int, count: int) -> float:
    """Return the seconds per request of the client alone."""
    bodies = [cloud_body(request(number)) for number in range(count)]
    threads = [threading.Thread(target=ask_all, args=(port, bodies * times)) for times in (2, 1)]
    started = time.perf_counter()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return (time.perf_counter() - started) / (3 * count)


def ask_all(port: int, bodies: list[bytes]) -> None:
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "accept-encoding": "identity"}
    trusted = ssl.create_default_context(cadata=Path(bundle()).read_text())
    url = f"https://localhost:{port}/v1/chat/completions"
    with httpx2.Client(verify=trusted, trust_env=False) as client:
        for body in bodies:
            assert client.post(url, content=body, headers=headers).status_code == 200


def replayed(port: int, count: int) -> float:
    """Return the seconds per request of a replay, from the first one to the last note."""
    plan = plan_of(concurrency=1, sample=count)
    door = Door("127.0.0.1", "localhost", Path(bundle()).read_text(), port)
    with tempfile.TemporaryDirectory() as place:
        folder = folder_at(Path(place) / "records")
        folder.write("requests", [request(number).model_dump_json() for number in range(count)])
        way = way_of(plan, None)
        prepared = prepare(plan, folder, None, way)
        with (
            gateway_sender(door, connections=1, seconds=60) as one,
            gateway_sender(door, connections=1, seconds=60) as other,
        ):
            lanes: Mapping[Side, Lane] = {
                "cloud": Lane("cloud", one, FixedKey(), Pace()),
                "fleet": Lane("fleet", other, FixedKey(), Pace()),
            }
            names = {"gpt-4o-mini": "gpt-4o", "gpt-4o": "gpt-4o"}
            run = Replay(plan, folder, names, lanes, lambda *_: None, lambda _: None)
            started = time.perf_counter()
            outcome = run.run(prepared)
            seconds = time.perf_counter() - started
    assert outcome.done, outcome
    return seconds / (3 * count)


@contextmanager
def responder(certificate: Path, key: Path) -> Iterator[int]:
    """Run the stand-in for a provider in a process of its own; yield its port."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(certificate, key, sending), daemon=True)
    process.start()
    try:
        yield receiving.recv()
    finally:
        process.kill()
        process.join()


def serve(certificate: Path, key: Path, sending: Any) -> None:
    with stand_in_cloud(certificate, key) as cloud:
        sending.send(int(cloud.url.rpartition(":")[2]))
        cloud.ended.wait()


if __name__ == "__main__":
    sys.exit(main())
