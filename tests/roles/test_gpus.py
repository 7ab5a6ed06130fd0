from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.hardware.gpus import Gpu, MemoryHealth, Power, SmiReport
from rackwright.hardware.hardware import Hardware, NumaNode
from rackwright.hardware.pci import PciDevice
from rackwright.roles.replica.gpus import Device, assign, devices_of, given, render_gpus, uuids_in
from tests.roles.serving import REPLICA

NODES = (NumaNode(0, "0-31,64-95"), NumaNode(1, "32-63,96-127"))
DEVICES = tuple(Device(f"GPU-{n}", f"0000:{n + 1:02x}:00.0", NODES[n // 4]) for n in range(8))


def gave(
    wanted: dict[str, int],
    present: dict[str, str] | None = None,
    held: dict[str, str] | None = None,
    devices: tuple[Device, ...] = DEVICES,
) -> dict[str, str]:
    """Given the counts, and the digits of the GPUs that each replica has, return the digits that each gets."""
    now, run = (
        {name: tuple(f"GPU-{n}" for n in digits) for name, digits in (told or {}).items()} for told in (present, held)
    )
    found = assign(devices, wanted, now, run or now)
    assert found.devices.keys() | found.without.keys() == wanted.keys()
    return {name: "".join(device.uuid[4:] for device in given) for name, given in found.devices.items()}


@pytest.mark.parametrize(
    ("wanted", "present", "got"),
    [
        ({"a": 1, "b": 1, "c": 2}, {}, {"a": "0", "b": "1", "c": "23"}),
        ({"a": 2, "b": 4, "c": 2}, {}, {"a": "01", "b": "4567", "c": "23"}),
        ({"a": 1, "b": 4, "c": 3}, {}, {"a": "0", "b": "4567", "c": "123"}),
        ({"a": 3, "b": 3, "c": 2}, {}, {"a": "012", "b": "456", "c": "37"}),
        ({"a": 8}, {}, {"a": "01234567"}),
    ],
    ids=["in order", "of one node", "a small one leaves a node whole", "over nodes where none has enough", "all"],
)
def test_new_replicas_get_gpus_of_one_node_in_order(
    wanted: dict[str, int], present: dict[str, str], got: dict[str, str]
) -> None:
    assert gave(wanted, present) == got


@pytest.mark.parametrize(
    ("wanted", "present", "got"),
    [
        ({"a": 1, "b": 1}, {"a": "7", "b": "2"}, {"a": "7", "b": "2"}),
        ({"new": 1, "a": 1, "b": 1}, {"a": "0", "b": "1"}, {"new": "2", "a": "0", "b": "1"}),
        ({"a": 2}, {"a": "70"}, {"a": "07"}),
        ({"a": 1, "b": 1}, {"a": "3", "b": "3"}, {"a": "3", "b": "0"}),
        ({"a": 2}, {"a": "09"}, {"a": "01"}),
        ({"a": 1}, {"a": "67"}, {"a": "6"}),
        ({"a": 2}, {"a": "5"}, {"a": "45"}),
    ],
    ids=["none moves", "none moves for a new one", "spans nodes", "named twice", "one is gone", "fewer", "more"],
)  # fmt: skip
def test_a_replica_keeps_what_it_has(wanted: dict[str, int], present: dict[str, str], got: dict[str, str]) -> None:
    assert gave(wanted, present) == got


def test_what_an_engine_still_runs_with_is_given_away_last() -> None:
    assert gave({"a": 1, "new": 1}, {"a": "0"}, {"a": "01"}) == {"a": "0", "new": "2"}
    assert gave({"new": 3}, {}, {"retired": "01"}) == {"new": "456"}
    pair = DEVICES[:2]
    assert gave({"a": 1, "new": 1}, {"a": "01"}, {"a": "01"}, pair) == {"a": "0", "new": "1"}


def test_a_replica_that_comes_too_late_gets_no_gpu_and_the_others_get_theirs() -> None:
    found = assign(DEVICES[:3], {"a": 2, "b": 2, "c": 1}, {}, {})
    assert {name: len(devices) for name, devices in found.devices.items()} == {"a": 2, "c": 1}
    assert found.without == {"b": "needs 2 GPUs, but 1 of 3 without MIG are free"}


def gpu(number: int) -> Gpu:
    return Gpu(
        *(number, "NVIDIA A10", f"GPU-{number}", f"0000:{number + 1:02x}:00.0", 24 * 10**9, 0, MemoryHealth()),
        *(None, None, Power(None, None, None), None, (), False, (), None),
    )


def hardware(*gpus: Gpu, nodes: tuple[NumaNode, ...] = NODES) -> Hardware:
    pci = tuple(PciDevice(gpu.pci, "0302", "10de", "2236", numa=gpu.index % 2) for gpu in gpus)
    return Hardware(pci=pci, report=SmiReport("580.95.05", "13.0", gpus), numa=nodes)


def test_devices_come_in_the_order_of_addresses_with_their_nodes() -> None:
    found = devices_of(hardware(gpu(2), gpu(0), gpu(1)))
    assert [(device.uuid, device.node) for device in found] == [
        *(("GPU-0", NODES[0]), ("GPU-1", NODES[1]), ("GPU-2", NODES[0]))
    ]
    (alone,) = devices_of(hardware(gpu(0), nodes=NODES[:1]))
    assert alone.node is None


def test_gpus_that_are_cut_into_instances_or_bear_no_name_of_a_gpu_are_left_out() -> None:
    odd = replace(gpu(1), uuid="GPU-1\nExecStartPre=/bin/false")
    assert [device.uuid for device in devices_of(hardware(replace(gpu(0), mig=True), odd, gpu(2)))] == ["GPU-2"]


def test_the_drop_in_names_gpus_processors_and_memory_next_to_them() -> None:
    text = render_gpus(DEVICES[4:6])
    assert text.splitlines()[1:] == [
        "[Service]",
        "Environment=CUDA_VISIBLE_DEVICES=GPU-4,GPU-5",
        "Environment=CUDA_DEVICE_ORDER=PCI_BUS_ID",
        "NUMAPolicy=preferred",
        "NUMAMask=1",
        "CPUAffinity=32-63,96-127",
    ]
    assert uuids_in(text) == ("GPU-4", "GPU-5")
    assert uuids_in("") == ()


def test_a_replica_over_nodes_or_of_an_unknown_one_is_bound_to_none() -> None:
    for devices in (DEVICES[3:5], (Device("GPU-a", "0000:01:00.0"),)):
        assert "NUMA" not in render_gpus(devices)
        assert "Affinity" not in render_gpus(devices)


ONE = REPLICA.model_copy(update={"gpus": 1})


def test_without_a_driver_that_answers_nobody_gets_any_and_says_why() -> None:
    found = given((ONE, REPLICA.model_copy(update={"name": "other@1"})), Hardware(smi_error="no devices"), {})
    assert found.devices == {}
    assert found.without == {"assistant@1": "waits for the driver: no devices"}


def test_a_replica_that_wants_no_gpu_any_more_has_one_too_many() -> None:
    assert given((REPLICA,), Hardware(), {"assistant@1": ("GPU-0",)}).surplus == {"assistant@1"}
    assert given((REPLICA,), Hardware(), {}).surplus == frozenset()
