"""A host's backup of 2 GiB that haven't changed: the script that a host's timer runs, next to `restic backup`.

Beyond the backup, the script proves that it is the same repository as before, and that the snapshot has the files
that it must have. The peer only makes a snapshot of the same folder, in a repository of its own. Both run in turn,
each with its own cache.

Target: at most 1.5 times the peer's time.

    python -m benchmarks.backup_unchanged [--runs 9] [--mib 2048] [--folder /var/tmp]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Cost, keep, median, pairs, whole
from benchmarks.restore_faults.saved_host import write_pieces
from benchmarks.restore_speed import pieces
from tests.roles.test_backup_history import Host

MOST = 1.5


def ours(host: Host) -> Cost:
    """Run the timer's script; it fails unless it has made a good snapshot."""
    return whole(["sh", str(host.folder / "run.sh"), "disk"], host.environment).cost


def theirs(host: Host, repository: Path) -> Cost:
    return _raw(host, repository, "backup", "--json", f"{host.folder}/source")


def _raw(host: Host, repository: Path, *words: str) -> Cost:
    environment: Mapping[str, str] = host.environment | {"RESTIC_CACHE_DIR": str(repository.with_name("raw-cache"))}
    own = ("--repo", str(repository), "--password-file", str(host.folder / "password"))
    return whole(["restic", *own, *words], environment).cost


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 # on a disk, unlike /tmp on some machines
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backup-unchanged-", dir=options.folder) as name:
        folder = Path(name)
        host, repository = Host(folder), folder / "raw"
        for file, sizes in pieces(options.mib).items():
            write_pieces(folder / "source" / file, sizes)
        _raw(host, repository, "init")
        # The first snapshot has all bytes; in the second, each side's cache is warm.
        for _ in range(2):
            ours(host)
            theirs(host, repository)
        taken = pairs(options.runs, lambda: ours(host), lambda: theirs(host, repository))
    keep("backup_unchanged", {**taken.raw(), "mib": options.mib})
    for what, costs in (("run.sh", taken.ours), ("restic backup", taken.theirs)):
        print(f"{what:14} {median(costs).seconds:6.2f} s  CPU {median(costs).cpu:6.2f} s")
    times = 1 / taken.ratio
    print(f"{times:.2f} times as long as restic backup, {1 / taken.cpu_ratio:.2f} times the CPU time")
    return 0 if times <= MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
