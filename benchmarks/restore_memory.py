"""The peak memory of the process that controls a restore, with a model of 100 MB and with one of 1 GB.

The host's paths are folders of this machine, so no connection is counted. restic and the other programs of the host
are processes of their own, and aren't counted either. There is no peer.

Target: at most 8 MB more with the larger model.

    python -m benchmarks.restore_memory [--folder /var/tmp]
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from pathlib import Path

from benchmarks.measure import keep, own_peak_mb
from benchmarks.restore_faults.judge import wrong_weights
from benchmarks.restore_faults.saved_host import SavedHost, saved_host
from benchmarks.restore_speed import pieces

MOST_MB = 8
_MIB = (96, 1024)


def peak_mb(host: SavedHost) -> float:
    """Return the peak resident size of this process after a restore of the host's state and weights, in MB."""
    with host.changed(0) as bench:
        done = bench.restore()
    peak = own_peak_mb()
    wrong = list(wrong_weights(host, wanted=True))
    assert done.models, done
    assert not wrong, wrong
    return peak


def measured(folder: Path, mib: int) -> float:
    with saved_host(folder, weights=pieces(mib)) as host:
        (host.folder / "kept").rename(host.work)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(peak_mb, (host,))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 # on a disk, unlike /tmp on some machines
    options = parser.parse_args()
    peaks: dict[int, float] = {}
    for mib in _MIB:
        with tempfile.TemporaryDirectory(prefix="restore-memory-", dir=options.folder) as name:
            peaks[mib] = measured(Path(name) / "path", mib)
        print(f"a model of {mib:5} MiB: {peaks[mib]:6.1f} MB at most", flush=True)
    more = peaks[_MIB[1]] - peaks[_MIB[0]]
    keep("restore_memory", {"peak_mb": peaks})
    print(f"{more:.1f} MB more with the larger model")
    return 0 if more <= MOST_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
