"""The time that `migrate export` needs for 10,000 objects, over the time that the provider's rate allows.

On loopback, over TLS, from a stand-in for a provider that takes a given number of requests in a second, says so in
its headers, and answers 429 to others. 4,000 files of 2 kB, 3,000 stored chat completions and 3,000 files of vector
stores: each needs a request, and lists have 100 in a page. Each object is encrypted and synced to the disk. There is
no peer. Also the second export, which finds nothing new, and the peak memory of the process.

Target: at most 1.1 times as long as the provider's rate allows.

    python -m benchmarks.migrate_export [--rate 100] [--folder /var/tmp]
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyrage

from benchmarks.measure import keep, own_peak_mb
from rackwright.lifecycle.migrate.export.fetch_all import THREADS, Exporter
from rackwright.lifecycle.migrate.export.procedure import LIMITS
from rackwright.lifecycle.migrate.export.tally import Tally
from rackwright.lifecycle.migrate.provider_client import provider_client
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.folder_key import FolderKey
from rackwright.values.secrets import Secret
from tests.loopback_tls import bundle, server_files
from tests.stand_in_cloud import KEY, StandInCloud, stand_in_cloud

FILES, COMPLETIONS, STORES, IN_STORE = 4000, 3000, 30, 100
OBJECTS = FILES + COMPLETIONS + STORES * IN_STORE
LISTS = FILES // 100 + COMPLETIONS // 100 + 1 + STORES * (IN_STORE // 100) + 2
"""Requests for pages of lists."""
MOST = 1.1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=int, default=100, help="requests per second")
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 # on a disk, unlike /tmp on some machines
    wanted = parser.parse_args()
    with provider(wanted.rate) as port, tempfile.TemporaryDirectory(dir=wanted.folder) as place:
        first, done = exported(Path(place), port)
        second, same = exported(Path(place), port)
    assert done == {"new": OBJECTS + STORES}, done
    assert same == {"same": OBJECTS + STORES}, same
    allowed = (OBJECTS + LISTS) / wanted.rate
    times = first / allowed
    print(
        f"{OBJECTS:,} objects in {first:.1f} s, {OBJECTS / first:.1f} in a second; peak memory {own_peak_mb():.0f} MB"
    )
    print(f"the rate of {wanted.rate} requests in a second allows {allowed:.1f} s: {times:.3f} times as long")
    print(f"the second export: {second:.1f} s")
    kept = {"rate": wanted.rate, "seconds": first, "allowed": allowed, "second": second, "peak_mb": own_peak_mb()}
    keep("migrate_export", kept)
    return 0 if times <= MOST else 1


def exported(place: Path, port: int) -> tuple[float, dict[str, int]]:
    """Return the seconds of an export, and how many objects were new or as before."""
    exports = ExportList(place).load()
    key = FolderKey(str(pyrage.x25519.Identity.generate().to_public()))
    numbers = itertools.count(1 + len(exports.known))
    ca, url = Path(bundle()).read_text(), f"https://localhost:{port}/v1"
    tally = Tally(lambda text: print(text, flush=True))
    started = time.perf_counter()
    with provider_client(url, "bearer", [Secret(KEY)], ca=ca, limits=LIMITS, connections=THREADS + 1) as client:
        Exporter(client, exports, key, tally, numbers).run()
    seconds = time.perf_counter() - started
    assert not tally.missing, tally.missing[:3]
    assert not tally.unlisted, tally.unlisted
    counts = {what: sum(getattr(one, what) for one in tally.kinds.values()) for what in ("new", "changed", "same")}
    return seconds, {what: number for what, number in counts.items() if number}


@contextmanager
def provider(rate: int) -> Iterator[int]:
    """Run the stand-in in a process of its own; yield its port."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(*server_files(), rate, sending), daemon=True)
    process.start()
    try:
        yield receiving.recv()
    finally:
        process.kill()
        process.join()


def serve(certificate: Path, key: Path, rate: int, sending: Any) -> None:
    with stand_in_cloud(certificate, key) as cloud:
        fill(cloud)
        cloud.rate = rate
        sending.send(cloud.port)
        cloud.ended.wait()


def fill(cloud: StandInCloud) -> None:
    cloud.contents = {f"file-{n}": f"{n:06} ".encode() * 300 for n in range(FILES)}
    files = [{"id": f"file-{n}", "bytes": 2100, "filename": f"{n}.jsonl"} for n in range(FILES)]
    said = "The invoice arrives at noon. " * 20
    cloud.objects = {
        "/v1/files": files,
        "/v1/chat/completions": [{"id": f"chatcmpl-{n}", "choices": [{"text": said}]} for n in range(COMPLETIONS)],
        "/v1/vector_stores": [{"id": f"vs_{n}"} for n in range(STORES)],
    }
    for n in range(COMPLETIONS):
        cloud.objects[f"/v1/chat/completions/chatcmpl-{n}/messages"] = [{"id": "m", "role": "user", "content": said}]
    for n in range(STORES):
        path = f"/v1/vector_stores/vs_{n}/files"
        cloud.objects[path] = [{"id": f"file-{n}-{m}"} for m in range(IN_STORE)]
        for m in range(IN_STORE):
            cloud.objects[f"{path}/file-{n}-{m}/content"] = [{"id": "c", "type": "text", "text": said}]


if __name__ == "__main__":
    sys.exit(main())
