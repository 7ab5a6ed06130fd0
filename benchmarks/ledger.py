"""The time and the peak memory of one look of a gateway's ledger, for 100,000 and 1,000,000 lines of the access log.

The program runs as on a gateway: its own files, the host's Python, and nothing else. `cat` stands in for journalctl,
and a file for HAProxy's tables. The lines are of 20 hours, ten keys and both sides, with each outcome, and they lack
three of the requests that the tables have. The peer is the shortest pipeline that counts the same: jq, sort and uniq.

Targets: 1,000,000 lines in at most 20 s, and at most 8 MB more than with 100,000.

    python -m benchmarks.ledger [--folder /var/tmp]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Cost, environment, keep, shown, whole
from rackwright.roles.ledger.program.book import parse_book
from rackwright.roles.ledger.program.rows import Row
from rackwright.roles.ledger.role import PROGRAM

SIZES = (100_000, 1_000_000)
MOST_SECONDS, MOST_MORE_MB = 20.0, 8.0
RUNS = 3
_ENDS = (
    ("completed", 200, 6),
    ("completed", 200, 6),
    ("completed", 200, 6),
    ("completed", 200, 6),
    ("client_aborted", 200, 6),
    ("server_error", 200, 6),
    ("completed", 429, 6),
    ("server_error", 503, -1),
)
_LINE = {
    "format": "access/1", "time": "", "request": "93ac796a-1cc3-4293-ab5f-e6107e67e3f7", "key": "",
    "model": "assistant", "name": "gpt-4o-mini", "replica": "gpu1/assistant@1", "digest": "5f" * 32,
    "path": "/v1/chat/completions", "stream": False, "status": 0, "end": "", "bytes": 353, "queued_ms": 0,
    "first_byte_ms": 0, "total_ms": 500, "prompt_tokens": 7, "completion_tokens": 3, "canary": None,
    "conversation": None, "side": "", "accepted": True,
}  # fmt: skip
_LOST = Row(0, "key1", "cloud")
_START = """
import runpy, sys
try:
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""
_PEER = (
    "jq -r 'select(.accepted) | \"\\(.time[:13]) \\(.key) \\(.side) \\(.end) \\(.status < 400) "
    "\\(.first_byte_ms != null)\"' {lines} | sort | uniq -c"
)


def write(folder: Path, size: int) -> int:
    """Write the log, HAProxy's tables, and a journalctl that prints the log; return the hour with lost requests."""
    hours: Counter[Row] = Counter()
    now = int(time.time() * 1000)
    begins = now - 20 * 3_600_000
    with (folder / "lines").open("w") as stream:
        for number in range(size):
            began = begins + number * 19 * 3_600_000 // size
            end, status, first = _ENDS[number * 7 % len(_ENDS)]
            key, side = f"key{number % 10}", ("cloud", "fleet")[number % 3 == 0]
            at = datetime.fromtimestamp(began / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
            said = {
                "time": at,
                "key": key,
                "side": side,
                "end": end,
                "status": status,
                "first_byte_ms": first,
            }
            stream.write(json.dumps(_LINE | said, separators=(",", ":")) + "\n")
            hours[Row(began // 3_600_000, key, side)] += 1
    with (folder / "cursor").open("w") as stream:
        stream.write("-- cursor: s=1;i=1\n")
    hour = begins // 3_600_000 + 1
    hours[_LOST._replace(hour=hour)] += 3
    entries = "".join(
        f"0x7f{index:04x}: key={row.key}|{row.side}|{row.hour}|100 use=0 exp=1 shard=0 gpc0={number} conn_cur=0\n"
        for index, (row, number) in enumerate(hours.items())
    )
    (folder / "entries").write_text(f"== own gate1 100 {now}\n{entries}== read {now + 10}\n== end\n")
    _program(folder / "tables", f"exec cat {folder}/entries")
    # Later looks go on at the last line.
    last = f"*--cursor=*) tail -n 1 {folder}/lines; cat {folder}/cursor"
    rest = f"*) exec cat {folder}/lines {folder}/cursor"
    _program(folder / "journalctl", f'case "$*" in --sync) ;; {last} ;; {rest} ;; esac')
    return hour


def _program(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


def install(folder: Path) -> None:
    """Copy the program's files, as the role does."""
    for name, source in PROGRAM.modules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(source.read_bytes())


def look(folder: Path, program: Path, size: int, hour: int) -> Cost:
    """Run the program once, with no document, and check what it found."""
    state = folder / "ledger.json"
    state.unlink(missing_ok=True)
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    argv = [python, "-I", "-S", "-B", "-c", _START, str(program), "gate1", str(folder / "tables"), "tag", str(state)]
    ran = whole(argv, environment(PATH=f"{folder}:{os.environ['PATH']}"))
    # What wait4 says of memory includes this process, from which that one was made.
    cost = replace(ran.cost, peak_mb=int(ran.out) / 1000)
    book = parse_book(state.read_text())
    assert sum(map(sum, book.outcomes.values())) == size, book.dropped
    assert book.residuals == {_LOST._replace(hour=hour): (3, 3)}, book.residuals
    return cost


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 # on a disk, unlike /tmp on some machines
    options = parser.parse_args()
    ours: dict[int, list[Cost]] = {}
    theirs: dict[int, list[Cost]] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="ledger-", dir=options.folder) as name:
            folder, program = Path(name), Path(name, "program")
            install(program)
            hour = write(folder, size)
            for _ in range(RUNS):
                ours.setdefault(size, []).append(look(folder, program, size, hour))
                peer = whole(["sh", "-c", _PEER.format(lines=folder / "lines")], environment(LC_ALL="C"))
                theirs.setdefault(size, []).append(peer.cost)
                said = f"{peer.cost.seconds:8.2f} s  CPU {peer.cost.cpu:6.2f} s"
                print(f"{size:9,} lines: ledger {shown(ours[size][-1])}   jq {said}", flush=True)
    peer_times = {str(size): [[cost.seconds, cost.cpu] for cost in costs] for size, costs in theirs.items()}
    keep("ledger", {"ours": {str(size): list(map(asdict, costs)) for size, costs in ours.items()}, "jq": peer_times})
    slowest = max(cost.seconds for cost in ours[SIZES[-1]])
    small, large = (max(cost.peak_mb for cost in ours[size]) for size in SIZES)
    print(f"{SIZES[-1]:,} lines: {slowest:.1f} s at most; {large - small:.1f} MB more than with {SIZES[0]:,}")
    return 0 if slowest <= MOST_SECONDS and large - small <= MOST_MORE_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
