"""A load on a fleet's gateways, in a process of its own that gevent never touches.

The first line of standard input is a Plan as JSON, the key in it: arguments are seen by all. It prints `running` when
a first long stream has ended, for then some are always in flight, and at the end what it counted, as JSON. It ends
when it has asked all, or when standard input ends: then it asks no more, and waits for what is in flight.

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
    """Each gateway in turn, kept and new connections in turn."""
    ca = Path(plan.ca).read_text()
    made = [
        client(address, ca, plan.key, kept_alive=kept_alive, exact=plan.exact)
        for _ in range(plan.kept)
        for kept_alive in (True, False)
        for address in plan.gateways
    ]
    return cycle(made)


def requests(plan: Plan) -> Iterator[Request]:
    """Without end, in the plan's rhythm."""
    sizes = {Kind.COMPLETION: plan.tokens, Kind.STREAM: plan.tokens, Kind.LONG: plan.long_tokens}
    for number, letter in enumerate(cycle(plan.rhythm)):
        kind = LETTERS[letter]
        yield Request(number, kind, sizes[kind])


async def loaded(plan: Plan, out: TextIO) -> list[Sample]:
    """Ask at the plan's rate until all is asked or standard input ends; return when all is answered."""
    samples: list[Sample] = []
    loop = asyncio.get_running_loop()
    ended, began = _input_ended(loop), loop.time()

    async def one(asking: Client, request: Request) -> None:
        sample = await ask(asking, request)
        if request.kind is Kind.LONG and not any(one.kind is Kind.LONG for one in samples):
            print("running", flush=True)
        samples.append(sample)
        print(written(sample), file=out, flush=True)

    async with asyncio.TaskGroup() as group:
        for asking, request in zip(clients(plan), requests(plan), strict=False):
            # By the clock and not after a pause: a client that is late catches up.
            due = began + request.number / plan.rate
            done, _ = await asyncio.wait((ended,), timeout=max(0, due - loop.time()))
            if done or request.number == plan.most:
                break
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
