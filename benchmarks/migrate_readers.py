"""The peak memory of what reads a migration's recorded requests, for folders of 1 and 10 GB.

One process reads the folder as `migrate assess`, `migrate replay`, `migrate capacity` and `migrate cost` do. The
folder has chats of 1 to 30 kB with times and token counts, over a month. They are written without an import, which
migrate_records measures. What `migrate score` needs is in migrate_score. There is no peer.

Target: at most 48 MB more with the largest folder than with the smallest.

    python -m benchmarks.migrate_readers [GB …] [--folder /var/tmp]      1 and 10 without a size
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from benchmarks.measure import keep, own_peak_mb
from benchmarks.migrate_records import chats

if TYPE_CHECKING:
    from rackwright.migrate.folder import Folder
    from rackwright.migrate.plan.plan import Plan

MOST_MB = 48
SIZES = (1.0, 10.0)
FIRST = 1_796_000_000.0
MONTH = 30 * 86_400
MODELS = 4


@dataclass(frozen=True)
class Measured:
    gigabytes: float
    requests: int
    seconds: float
    peak_mb: float


def filled(path: Path, size: int, identity: str) -> int:
    """Write the folder; return how many requests it has."""
    folder = opened(path, identity)
    folder.write("requests", lines(size))
    return sum(one.lines for _, one in folder.of("requests"))


def lines(size: int) -> Iterator[str]:
    from rackwright.migrate.recorded_request import RecordedRequest

    for number, body in enumerate(chats(size)):
        one = RecordedRequest.model_validate(
            {
                "id": f"r{number}",
                "arrived": FIRST + number * 7.0 % MONTH,
                "path": "/v1/chat/completions",
                "model": body["model"],
                "body": body,
                "prompt_tokens": 900,
                "completion_tokens": 200,
                "origin": "har",
            }
        )
        yield one.model_dump_json()


def read(path: Path, identity: str) -> tuple[float, float]:
    """Read the folder in this process, which did nothing before. Return the seconds, and the peak in MB."""
    from rackwright.lifecycle.migrate.capacity.traffic import traffic
    from rackwright.lifecycle.migrate.place import Place
    from rackwright.lifecycle.migrate.replay.prepare import prepare
    from rackwright.migrate.asking.way import way_of
    from rackwright.migrate.capacity.answer_lengths import answer_lengths
    from rackwright.migrate.capacity.busiest import busiest
    from rackwright.migrate.cost.from_records import bill_of_records
    from rackwright.migrate.features.summary import summary
    from rackwright.migrate.recorded_request import RecordedRequest

    folder, plan = opened(path, identity), plan_of(identity)

    def requests() -> Iterator[RecordedRequest]:
        return (RecordedRequest.model_validate_json(line) for line in folder.read("requests"))

    start = time.perf_counter()
    assert len(summary(requests()).models) == MODELS
    assert len(prepare(plan, folder, None, way_of(plan, None)).sample.drawn) == plan.replay.sample
    found = traffic(cast(Place, SimpleNamespace(folder=folder, plan=plan)), frozenset(plan.models))
    window = busiest(found.arrivals, 86_400)
    assert window
    assert found.within(window)
    assert bill_of_records(requests(), plan.prices, answers=answer_lengths(folder), share=100).months
    return time.perf_counter() - start, own_peak_mb()


def opened(path: Path, identity: str) -> Folder:
    from rackwright.migrate.folder import Folder
    from rackwright.values.secrets import Secret

    return Folder(path, recipient(identity), Secret(identity))


def recipient(identity: str) -> str:
    import pyrage

    return str(pyrage.x25519.Identity.from_str(identity).to_public())


def plan_of(identity: str) -> Plan:
    from rackwright.migrate.plan.plan import Plan

    models = [f"gpt-{number}" for number in range(MODELS)]
    document: dict[str, Any] = {
        "format": "migration-plan/1",
        "migration": "readers",
        "intent": "A benchmark.",
        "cloud": "acme",
        "models": dict.fromkeys(models, "chat"),
        "records": {"recipient": recipient(identity), "identity": "file:identity"},
        "replay": {"budget": 1000},
        "currency": "EUR",
        "prices": {name: {"input": 1, "output": 2} for name in models},
    }
    return Plan.model_validate(document)


def measured(path: Path, gigabytes: float) -> Measured:
    import pyrage

    identity = str(pyrage.x25519.Identity.generate())
    count = filled(path, int(gigabytes * 1e9), identity)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, peak = pool.apply(read, (path, identity))
    return Measured(gigabytes, count, seconds, peak)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", metavar="GB", nargs="*", type=float)
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 # on a disk, unlike /tmp on some machines
    options = parser.parse_args()
    results: list[Measured] = []
    for gigabytes in options.sizes or SIZES:
        with tempfile.TemporaryDirectory(prefix="migrate-readers-", dir=options.folder) as name:
            one = measured(Path(name) / "records", gigabytes)
        results.append(one)
        line = f"{gigabytes:5.1f} GB, {one.requests:9,} requests: {one.peak_mb:6.1f} MB at most, {one.seconds:6.1f} s"
        print(line, flush=True)
    keep("migrate_readers", {"results": [asdict(one) for one in results]})
    more = results[-1].peak_mb - results[0].peak_mb
    print(f"{more:.1f} MB more with the largest folder")
    return 0 if more <= MOST_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
