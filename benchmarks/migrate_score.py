"""The time and memory of scoring 10,000 pairs, and the memory of 50,000 and 200,000.

The requests are of four kinds: an answer in JSON by a schema, a tool call, a label, and a text of 1,000 characters.
The lines are read from an encrypted folder, as `migrate score` does. There is no peer: no other tool scores recorded
requests in pairs.

Target: at most 10 s (median of 5 runs), and at most 64 MB more for 200,000 pairs than for 50,000, whose
files are already as large as files get.

    python -m benchmarks.migrate_score [--folder /var/tmp]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pyrage
from pydantic import JsonValue

from benchmarks.measure import keep, own_peak_mb
from rackwright.migrate.file_kind import ANSWERS
from rackwright.migrate.folder import Folder
from rackwright.migrate.plan.plan import Score
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer, ReplayedCall
from rackwright.migrate.score.decide import decide
from rackwright.migrate.score.join import Join
from rackwright.migrate.score.result import Scored
from rackwright.migrate.score.tally import Tally
from rackwright.values.secrets import Secret
from rackwright.verdict.result import Word

PAIRS = 10_000
LARGER = (50_000, 200_000)
SECONDS = 10.0
MORE_MB = 64
RUNS = 5
_SCHEMA: JsonValue = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
    "required": ["name", "count"],
}
_TEXT = "The answer to this is that the one and the other are not the same, but both of them are of use to us. " * 10
_BODIES: tuple[dict[str, JsonValue], ...] = (
    {"response_format": {"type": "json_schema", "json_schema": {"name": "item", "schema": _SCHEMA}}},
    {"tools": [{"type": "function", "function": {"name": "count", "parameters": _SCHEMA}}]},
    {},
    {},
)


def requests(count: int) -> Iterator[str]:
    for number in range(count):
        asked: JsonValue = [{"role": "user", "content": f"{_TEXT} {number}"}]
        body = {"model": "m", "messages": asked, **_BODIES[number % 4]}
        one = RecordedRequest(id=f"r{number}", path="/v1/chat/completions", model="m", body=body, origin="jsonl")
        yield one.model_dump_json()


def answers(count: int, asked: Asked) -> Iterator[str]:
    for number in range(count):
        # One in fifty differs, each end in requests of its own.
        value = number + (crc32(f"{asked} {number}".encode()) % 50 == 0)
        content = json.dumps({"name": "x", "count": value})
        texts = (content, "", f"label {value % 7}", f"{_TEXT}{value}")
        calls = (ReplayedCall(name="count", arguments=content),) if number % 4 == 1 else ()
        finish = "tool_calls" if calls else "stop"
        one = ReplayedAnswer(
            request=f"r{number}", asked=asked, status=200, text=texts[number % 4], calls=calls, finish=finish
        )
        yield one.model_dump_json()


def filled(path: Path, count: int, identity: pyrage.x25519.Identity) -> Folder:
    folder = Folder(path, str(identity.to_public()), Secret(str(identity)))
    folder.write("requests", requests(count))
    for asked, kind in ANSWERS.items():
        folder.write(kind, answers(count, asked))
    return folder


def scored(folder: Folder) -> Scored:
    tally, join = Tally(frozenset(("m",))), Join(folder.read)
    for one in join:
        tally.add(one)
    return decide(tally, Score())


def measured(path: Path, recipient: str, identity: str) -> tuple[float, float]:
    """Return the seconds of one score, and the peak resident size of this process in MB."""
    began = time.perf_counter()
    found = scored(Folder(path, recipient, Secret(identity)))
    seconds = time.perf_counter() - began
    assert found.word is Word.PASS, found
    return seconds, own_peak_mb()


def runs(root: Path, count: int, times: int) -> list[tuple[float, float]]:
    identity = pyrage.x25519.Identity.generate()
    folder = filled(root / str(count), count, identity)
    found = []
    for _ in range(times):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found.append(pool.apply(measured, (folder.path, folder.recipient, str(identity))))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 # on a disk, unlike /tmp on some machines
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="migrate-score-", dir=options.folder) as name:
        found = {count: runs(Path(name), count, RUNS if count == PAIRS else 1) for count in (PAIRS, *LARGER)}
    seconds = {count: statistics.median(one for one, _ in all_runs) for count, all_runs in found.items()}
    peaks = {count: max(size for _, size in all_runs) for count, all_runs in found.items()}
    keep("migrate_score", {"seconds": [one for one, _ in found[PAIRS]], "peak_mb": peaks})
    for count in found:
        median = f" (median of {RUNS})" if count == PAIRS else ""
        print(f"{count:7} pairs: {seconds[count]:6.2f} s{median}, {peaks[count]:.0f} MB at most")
    more = peaks[LARGER[1]] - peaks[LARGER[0]]
    print(f"{more:.0f} MB more with {LARGER[1]} pairs than with {LARGER[0]}")
    return 0 if seconds[PAIRS] <= SECONDS and more <= MORE_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
