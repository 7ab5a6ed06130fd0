"""Assigns GPUs to a host's replicas by UUID. A replica keeps its GPUs as long as they exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rackwright.hardware.hardware import Hardware, NumaNode
from rackwright.roles.replica.settings import Settings

_UUID = re.compile(r"GPU-[0-9A-Za-z-]{1,60}")
_CPUS = re.compile(r"[0-9][0-9,-]*")
_VISIBLE = re.compile(r'^Environment="?CUDA_VISIBLE_DEVICES=([A-Za-z0-9,-]*)"?$', re.MULTILINE)


@dataclass(frozen=True)
class Device:
    """One whole GPU."""

    uuid: str
    pci: str
    node: NumaNode | None = None
    """None: the host has one NUMA node or doesn't report them."""


@dataclass(frozen=True)
class Given:
    """The GPUs that each replica gets. A replica that is in neither `devices` nor `without` needs no GPUs."""

    devices: Mapping[str, tuple[Device, ...]] = field(default_factory=dict)
    """By replica, in the order of PCI addresses."""
    without: Mapping[str, str] = field(default_factory=dict)
    """By replica: why it can't get its GPUs."""
    surplus: frozenset[str] = frozenset()
    """Replicas that have a drop-in but no longer need a GPU."""


def devices_of(hardware: Hardware) -> tuple[Device, ...]:
    """Return the host's GPUs in the order of PCI addresses, without those that are split into MIG instances."""
    numbers = {device.address: device.numa for device in hardware.pci}
    nodes = {node.number: node for node in hardware.numa if _CPUS.fullmatch(node.cpus)}
    nodes = nodes if len(nodes) > 1 else {}
    gpus = [
        gpu for gpu in (hardware.report.gpus if hardware.report else ()) if not gpu.mig and _UUID.fullmatch(gpu.uuid)
    ]
    gpus.sort(key=lambda gpu: (len(gpu.pci), gpu.pci))
    return tuple(Device(gpu.uuid, gpu.pci, nodes.get(_number(numbers.get(gpu.pci)))) for gpu in gpus)


def _number(numa: int | None) -> int:
    return -1 if numa is None else numa


def given(
    replicas: Iterable[Settings],
    hardware: Hardware,
    present: Mapping[str, tuple[str, ...]],
    in_use: Mapping[str, tuple[str, ...]] | None = None,
) -> Given:
    """Given a host's replicas in the fleet's order, and the UUIDs that each has now, return what each should have.

    `in_use`: the UUIDs that running engines use. If no driver answers, no replica gets GPUs, and existing assignments
    must not be changed.
    """
    wanted = {settings.name: settings.gpus for settings in replicas}
    surplus = frozenset(name for name, count in wanted.items() if not count and name in present)
    wanted = {name: count for name, count in wanted.items() if count}
    if hardware.report is None:
        why = f"waits for the driver: {hardware.smi_error or 'nvidia-smi is not there'}"
        return Given(without=dict.fromkeys(wanted, why), surplus=surplus)
    return replace(assign(devices_of(hardware), wanted, present, in_use or present), surplus=surplus)


def assign(
    devices: tuple[Device, ...],
    wanted: Mapping[str, int],
    present: Mapping[str, tuple[str, ...]],
    in_use: Mapping[str, tuple[str, ...]],
) -> Given:
    """Given GPUs in order, and how many each replica needs, return the assignment.

    A replica that has as many as it needs, all still present, keeps them. The others get free ones: from one NUMA
    node if one has enough; first those that they already have, last those that another engine still uses.
    """
    there = {device.uuid: device for device in devices}
    kept: dict[str, tuple[Device, ...]] = {}
    taken: set[str] = set()
    for name, count in wanted.items():
        has = set(present.get(name, ()))
        if len(has) == count and has <= there.keys() - taken:
            kept[name] = tuple(device for device in devices if device.uuid in has)
            taken |= has
    without: dict[str, str] = {}
    run_with = {uuid for uuids in in_use.values() for uuid in uuids}
    for name, count in wanted.items():
        free = [device for device in devices if device.uuid not in taken]
        if name in kept:
            continue
        if len(free) < count:
            without[name] = f"needs {_gpus(count)}, but {len(free)} of {len(devices)} without MIG are free"
            continue
        kept[name] = _chosen(free, count, own=set(present.get(name, ())), in_use=run_with)
        taken |= {device.uuid for device in kept[name]}
    return Given({name: kept[name] for name in wanted if name in kept}, without)


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _chosen(free: list[Device], count: int, *, own: set[str], in_use: set[str]) -> tuple[Device, ...]:
    def rank(device: Device) -> int:
        return 0 if device.uuid in own else 2 if device.uuid in in_use else 1

    def strangeness(group: list[Device]) -> tuple[int, int]:
        # Of two equally good nodes, take the one with fewer free GPUs: a larger replica may need the other one.
        return sum(sorted(map(rank, group))[:count]), len(group)

    nodes: dict[NumaNode | None, list[Device]] = {}
    for device in free:
        nodes.setdefault(device.node, []).append(device)
    enough = [group for group in nodes.values() if len(group) >= count]
    group = min(enough, key=strangeness) if enough else free
    chosen = {device.uuid for device in sorted(group, key=rank)[:count]}
    return tuple(device for device in free if device.uuid in chosen)


def render_gpus(devices: tuple[Device, ...]) -> str:
    """Return the drop-in of a replica with these GPUs. An engine that was started with another text is outdated."""
    lines = [
        "# Made by rackwright: the GPUs of this replica, and the processors and memory next to them.",
        "[Service]",
        f"Environment=CUDA_VISIBLE_DEVICES={','.join(device.uuid for device in devices)}",
        "Environment=CUDA_DEVICE_ORDER=PCI_BUS_ID",
    ]
    nodes = {device.node for device in devices}
    if len(nodes) == 1 and (node := nodes.pop()):
        # Preferred, not bound: weights that don't fit into the node's memory may use another node's.
        lines += ["NUMAPolicy=preferred", f"NUMAMask={node.number}", f"CPUAffinity={node.cpus}"]
    return "\n".join(lines) + "\n"


def uuids_in(drop_in: str) -> tuple[str, ...]:
    """Given a drop-in's text, return the UUIDs in it."""
    found = _VISIBLE.search(drop_in)
    return tuple(uuid for uuid in found[1].split(",") if uuid) if found else ()
