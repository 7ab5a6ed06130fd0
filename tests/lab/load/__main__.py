"""A load on a fleet's gateways, in its own process that gevent never patches.

The first line of standard input is a Plan as JSON, with the key in it, because all users can see arguments. It
prints `running` when a first long stream has ended, because some are always in flight from then on, and its counts as
JSON at the end. It ends when it has sent all requests, or when standard input ends: then it sends no more, and waits
for those in flight.

    python -m tests.lab.load <plan.json
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import TextIO

from tests.lab.load import Plan
from tests.lab.load.ask import Client, Request, ask, client
from tests.lab.load.sample import Kind, Sample, counted, written

LETTERS = {"c": Kind.COMPLETION, "s": Kind.STREAM, "l": Kind.LONG}


def clients(plan: Plan) -> Iterator[Client]:
    """Yield a client for each gateway in turn, with kept and new connections in turn."""
    ca = Path(plan.ca).read_text()
    made = [
        client(address, ca, plan.key, kept_alive=kept_alive, exact=plan.exact)
        for _ in range(plan.kept)
        for kept_alive in (True, False)
        for address in plan.gateways
    ]
    return cycle(made)


def requests(plan: Plan) -> Iterator[Request]:
    """Yield requests without end, in the plan's rhythm."""
    sizes = {Kind.COMPLETION: plan.tokens, Kind.STREAM: plan.tokens, Kind.LONG: plan.long_tokens}
    for number, letter in enumerate(cycle(plan.rhythm)):
        kind = LETTERS[letter]
        yield Request(number, kind, sizes[kind])


async def loaded(plan: Plan, out: TextIO) -> list[Sample]:
    """Send requests at the plan's rate until all are sent or standard input ends; return when all are answered."""
    samples: list[Sample] = []
    loop = asyncio.get_running_loop()
    ended, began = _input_ended(loop), loop.time()
    free = asyncio.Semaphore(plan.in_flight)

    async def one(asking: Client, request: Request) -> None:
        sample = await ask(asking, request)
        free.release()
        if request.kind is Kind.LONG and not any(one.kind is Kind.LONG for one in samples):
            print("running", flush=True)
        samples.append(sample)
        print(written(sample), file=out, flush=True)

    async with asyncio.TaskGroup() as group:
        for asking, request in zip(clients(plan), requests(plan), strict=False):
            # Follow the clock instead of pausing between requests, so that a late client catches up.
            due = began + request.number / plan.rate
            done, _ = await asyncio.wait((ended,), timeout=max(0, due - loop.time()))
            if done or request.number == plan.most:
                break
            await free.acquire()
            group.create_task(one(asking, request))
    return samples


def _input_ended(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    ended = loop.create_future()

    def look() -> None:
        if not sys.stdin.buffer.read1(1):
            loop.remove_reader(sys.stdin)
            ended.set_result(None)

    loop.add_reader(sys.stdin, look)
    return ended


def main() -> None:
    plan = Plan(**json.loads(sys.stdin.buffer.raw.readline()))
    with Path(plan.samples).open("w") as out:
        samples = asyncio.run(loaded(plan, out))
    print(json.dumps(asdict(counted(samples))), flush=True)


if __name__ == "__main__":
    main()
