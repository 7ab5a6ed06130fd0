"""What is worse on a host after it was patched than before. Pure.

It compares facts of roles/patch/well.py. What is better than before, like a wider link, isn't named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from rackwright.hardware.xid import HARMLESS, meaning
from rackwright.roles.patch.well import NONE


@dataclass(frozen=True)
class _Facts:
    units: Mapping[str, str] = field(default_factory=dict)
    """Name → running, active or failed."""
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Path → type of file system."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Family and name of a table → sha256."""
    synchronized: bool = False
    driver: Mapping[str, str] = field(default_factory=dict)
    """Part of the driver → versions, separated by commas; empty: no module is loaded."""
    gpus: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """UUID → state of error correction, lanes."""
    instances: frozenset[str] = frozenset()
    xids: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """The whole fact → number, PCI address."""


_RAN = {
    "running": ("ran", "doesn't run"),
    "active": ("was active", "isn't active"),
}
_PARTS = {"driver": "module", "library": "libraries", "fabric": "Fabric Manager"}


def worse(before: Collection[str], after: Collection[str], *, rebooted: bool) -> tuple[str, ...]:
    """Return in plain words what is worse than before: units, file systems, packet filter, clock, driver, GPUs, Xids.

    After a reboot, every Xid is new: the kernel's log of this boot has only those since then. Versions of the driver
    may change, but its parts must agree. Lines that aren't facts are ignored.
    """
    was, now = _facts(before), _facts(after)
    return (
        *_units(was.units, now.units),
        *_mounts(was.mounts, now.mounts),
        *_filters(was.filters, now.filters),
        *(("the clock was synchronized before and isn't now",) if was.synchronized and not now.synchronized else ()),
        *_driver(was.driver, now.driver),
        *_gpus(was.gpus, now.gpus),
        *(f"GPU instance {uuid} was there before and isn't now" for uuid in sorted(was.instances - now.instances)),
        *_xids({} if rebooted else was.xids, now.xids),
    )


def _facts(lines: Collection[str]) -> _Facts:
    words = [line.split(" ") for line in sorted(lines)]
    return _Facts(
        units={name: state for _, name, state in _of(words, "unit", 3)},
        mounts={path: kind for _, path, kind in _of(words, "mount", 3)},
        filters={f"{family} {table}": sha256 for _, family, table, sha256 in _of(words, "filter", 4)},
        synchronized="clock synchronized" in lines,
        driver={part: one[at] for one in _of(words, "driver", 6) for part, at in zip(_PARTS, (1, 3, 5), strict=True)},
        gpus={one[1]: (one[3], one[5]) for one in _of(words, "gpu", 6)},
        instances=frozenset(uuid for _, uuid in _of(words, "instance", 2)),
        xids={" ".join(one): (int(one[1]), one[2]) for one in _of(words, "xid", 4)},
    )


def _of(words: list[list[str]], kind: str, count: int) -> Iterator[list[str]]:
    return (one for one in words if one[0] == kind and len(one) == count)


def _units(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*was, *now}):
        before, after = was.get(name), now.get(name)
        if after == "failed" and before != "failed":
            yield f"{name} has failed{f'; it {_RAN[before][0]} before' if before in _RAN else ''}"
        elif after is None and before in _RAN:
            ran, now_not = _RAN[before]
            yield f"{name} {ran} before and {now_not} now"


def _mounts(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for path, kind in was.items():
        if path not in now:
            yield f"{path} ({kind}) was mounted before and isn't now"
        elif now[path] != kind:
            yield f"{path} was a file system of type {kind} before and is {now[path]} now"


def _filters(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for table in sorted({*was, *now}):
        if table not in now:
            yield f"the packet filter's table {table} was there before and isn't now"
        elif table not in was:
            yield f"the packet filter's table {table} wasn't there before"
        elif was[table] != now[table]:
            yield f"the packet filter's table {table} has other rules than before"


def _driver(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    if was and not now:
        yield "the NVIDIA driver was loaded before and isn't now"
        return
    for part in ("library", "fabric"):
        if was.get(part, NONE) != NONE and now[part] == NONE:
            yield f"the NVIDIA driver had {_PARTS[part]} {was[part]} before and has none now"
    there = {part: version for part, version in now.items() if version != NONE}
    if len({one for version in there.values() for one in version.split(",")}) > 1:
        said = ", ".join(f"{_PARTS[part]} {version.replace(',', ' and ')}" for part, version in there.items())
        yield f"the NVIDIA driver's parts have different versions: {said}"


def _gpus(was: Mapping[str, tuple[str, str]], now: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    for uuid, (ecc, width) in was.items():
        if uuid not in now:
            yield f"{uuid} was there before and isn't now"
            continue
        ecc_now, width_now = now[uuid]
        if ecc not in (NONE, ecc_now):
            yield f"{uuid}: error correction (ECC) was {ecc} before and is {_known(ecc_now)} now"
        if width != NONE and _lanes(width_now) < _lanes(width):
            yield f"{uuid}: its PCI Express link had {width} lanes before; now: {_known(width_now)}"


def _known(reported: str) -> str:
    return "not reported" if reported == NONE else reported


def _lanes(width: str) -> int:
    return int(width) if width.isdecimal() else 0


def _xids(was: Collection[str], now: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    for number, pci in sorted(what for fact, what in now.items() if fact not in was):
        # Ending an engine may cause such a one.
        if number not in HARMLESS:
            yield f"the GPU at {pci} has a new Xid {number}: {meaning(number).what}"
