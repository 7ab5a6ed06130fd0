"""A proxy for sshd that adds a delay and counts connections and bytes: one loopback address for each host, port 22.

It delays all data by half of the round trip each way, and limits nothing else. It runs in a process of its own, so
that its CPU time isn't counted as that of the program that connects through it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import SynchronizedArray
from multiprocessing.synchronize import Event

_CHUNK = 65536


@dataclass(frozen=True)
class Carried:
    connections: int
    bytes_up: int
    bytes_down: int

    def since(self, before: Carried) -> Carried:
        return Carried(
            self.connections - before.connections,
            self.bytes_up - before.bytes_up,
            self.bytes_down - before.bytes_down,
        )


@dataclass(frozen=True)
class Wire:
    reached: Mapping[str, str]
    """Loopback addresses by host."""
    _counts: SynchronizedArray[int]

    @property
    def carried(self) -> Carried:
        """Counts of all hosts until now."""
        return Carried(*self._counts[:])


@contextmanager
def wire(hosts: Mapping[str, str], round_trip: float = 0.0) -> Iterator[Wire]:
    """Given addresses by host, give each host a loopback address with this round trip, in seconds."""
    context = multiprocessing.get_context("fork")
    counts, listening = context.Array("q", 3), context.Event()
    reached = {host: f"127.213.0.{number}" for number, host in enumerate(hosts, 11)}
    ways = [(reached[host], address) for host, address in hosts.items()]
    process = context.Process(target=_serve, args=(ways, round_trip, counts, listening), daemon=True)
    process.start()
    assert listening.wait(10), "the wire doesn't listen"
    try:
        yield Wire(reached, counts)
    finally:
        process.terminate()
        process.join()


def _serve(ways: list[tuple[str, str]], round_trip: float, counts: SynchronizedArray[int], listening: Event) -> None:
    async def serve() -> None:
        for here, there in ways:
            await asyncio.start_server(_Way(there, round_trip, counts).carry, here, 22)
        listening.set()
        await asyncio.Event().wait()

    asyncio.run(serve())


@dataclass(frozen=True)
class _Way:
    there: str
    round_trip: float
    counts: SynchronizedArray[int]

    async def carry(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        self.counts[0] += 1
        # The delay of TCP's handshake, which the client has already completed with this proxy.
        await asyncio.sleep(self.round_trip)
        far_in, far_out = await asyncio.open_connection(self.there, 22)
        await asyncio.gather(self._one_way(near_in, far_out, 1), self._one_way(far_in, near_out, 2))

    async def _one_way(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, count: int) -> None:
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()
        writing = loop.create_task(_late(queue, target))
        try:
            while chunk := await source.read(_CHUNK):
                self.counts[count] += len(chunk)
                queue.put_nowait((loop.time() + self.round_trip / 2, chunk))
        except OSError:
            pass
        queue.put_nowait((loop.time() + self.round_trip / 2, b""))
        await writing


async def _late(queue: asyncio.Queue[tuple[float, bytes]], target: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    try:
        while True:
            due, chunk = await queue.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not chunk:
                break
            target.write(chunk)
    finally:
        target.close()
