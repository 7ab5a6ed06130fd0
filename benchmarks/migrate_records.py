"""The peak memory and the CPU time of importing and adding up recorded requests, for logs of several sizes.

A log is read, redacted and encrypted into a folder, then decrypted and added up, as in `migrate import` and
`migrate assess`. It has chats of 1 to 30 kB, with an e-mail address in each third one; in a HAR, an answer as well.
There is no peer.

Target: at most 48 MB more with the largest log of a format than with its smallest.

    python -m benchmarks.migrate_records [GB …] [--format jsonl|har] [--folder /var/tmp]      0.2 and 1 without a size
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measure import keep, own_peak_mb

MOST_MB = 48
SIZES = (0.2, 1.0)
FORMATS = ("jsonl", "har")
_WORDS = (
    "the invoice of our customer arrives at noon and has 4711 items which the warehouse in Berlin counts again "
    "because version 2.4 of the list from 2026-03-17 was wrong: please write a short and friendly answer, in JSON, "
    "with the keys reason, amount and date."
).split()


@dataclass(frozen=True)
class Measured:
    format: str
    gigabytes: float
    requests: int
    import_cpu: float
    read_cpu: float
    peak_mb: float


def chats(size: int) -> Iterator[dict[str, object]]:
    """Yield bodies until their text has this many bytes."""
    dice = random.Random(37)  # noqa: S311
    texts = [" ".join(dice.choices(_WORDS, k=dice.randint(150, 5000))) for _ in range(200)]
    done, number = 0, 0
    while done < size:
        text = texts[number % 200]
        said = f"Request {number}. {f'I am user{number}@example.com. ' if number % 3 == 0 else ''}{text}"
        messages = [{"role": "system", "content": "You answer customers."}, {"role": "user", "content": said}]
        yield {"model": f"gpt-{number % 4}", "messages": messages, "max_tokens": 500, "seed": number}
        done, number = done + len(said) + 200, number + 1


def write_log(path: Path, format: str, size: int) -> None:
    with path.open("w") as stream:
        if format == "jsonl":
            stream.writelines(json.dumps(one) + "\n" for one in chats(size))
            return
        stream.write('{"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": [\n')
        for number, one in enumerate(chats(size)):
            stream.write(",\n" if number else "")
            stream.write(json.dumps(_entry(one)))
        stream.write("\n]}}\n")


def _entry(body: dict[str, object]) -> dict[str, object]:
    usage = {"prompt_tokens": 900, "completion_tokens": 200}
    answer = json.dumps({"choices": [{"message": {"content": "Dear customer, " * 60}}], "usage": usage})
    return {
        "startedDateTime": "2026-11-30T09:15:01.250+01:00",
        "request": {
            "method": "POST",
            "url": "https://api.openai.com/v1/chat/completions",
            "headers": [{"name": "Authorization", "value": "Bearer x"}],
            "postData": {"mimeType": "application/json", "text": json.dumps(body)},
        },
        "response": {"status": 200, "content": {"mimeType": "application/json", "text": answer}},
    }


def imported(log: Path, folder: Path, format: str, gigabytes: float) -> Measured:
    """Import the log in this process, which did nothing before."""
    import pyrage

    from rackwright.migrate.features.summary import summary
    from rackwright.migrate.folder import Folder
    from rackwright.migrate.importing.importer import Importer, shapes_of
    from rackwright.migrate.importing.seen_ids import SeenIds
    from rackwright.migrate.recorded_request import RecordedRequest
    from rackwright.values.secrets import Secret

    identity = pyrage.x25519.Identity.generate()
    records = Folder(folder, str(identity.to_public()), Secret(str(identity)))
    start = time.process_time()
    with SeenIds() as seen:
        importer = Importer({}, seen)
        records.write("requests", (one.model_dump_json() for one in importer.requests(shapes_of((log,)))))
    middle = time.process_time()
    found = summary(RecordedRequest.model_validate_json(line) for line in records.read("requests"))
    end = time.process_time()
    assert found.requests == importer.counts.kept == importer.counts.read, importer.counts
    assert importer.counts.personal == {"email": -(-found.requests // 3)}, importer.counts
    return Measured(format, gigabytes, found.requests, middle - start, end - middle, own_peak_mb())


def measured(folder: Path, format: str, gigabytes: float) -> Measured:
    log = folder / f"log.{format}"
    write_log(log, format, int(gigabytes * 1e9))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(imported, (log, folder / "records", format, gigabytes))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", metavar="GB", nargs="*", type=float)
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 # on a disk, unlike /tmp on some machines
    parser.add_argument("--format", dest="formats", choices=FORMATS, action="append", help="only this one")
    options = parser.parse_args()
    results: list[Measured] = []
    formats = options.formats or FORMATS
    for format in formats:
        for gigabytes in options.sizes or SIZES:
            with tempfile.TemporaryDirectory(prefix="migrate-records-", dir=options.folder) as name:
                one = measured(Path(name), format, gigabytes)
            results.append(one)
            speed, again = (gigabytes * 1000 / took for took in (one.import_cpu, one.read_cpu))
            print(
                f"{format:5} {gigabytes:5.1f} GB, {one.requests:9,} requests: {one.peak_mb:6.1f} MB at most; "
                f"import {speed:5.1f} MB and read {again:5.1f} MB per CPU second",
                flush=True,
            )
    keep("migrate_records", {"results": [asdict(one) for one in results]})
    more = max(_more([one for one in results if one.format == format]) for format in formats)
    print(f"{more:.1f} MB more with the largest log")
    return 0 if more <= MOST_MB else 1


def _more(results: list[Measured]) -> float:
    results = sorted(results, key=lambda one: one.gigabytes)
    return results[-1].peak_mb - results[0].peak_mb


if __name__ == "__main__":
    raise SystemExit(main())
