from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from rackwright.cli.status import _lines
from rackwright.gateway.fallback_counts import Fallback
from rackwright.lifecycle.gpus.status import driver_of, gpu_statuses
from rackwright.lifecycle.status.parts import CloudStatus, HostState, HostStatus, KitStatus, Status
from rackwright.state.journal import Entry, Event
from tests.hardware.outputs import hardware


def test_gpus_and_their_driver_stand_below_the_replicas():
    machine = hardware("h100", facts="loaded 550.163.01\nnvrm Open Kernel Module\n")
    found = Status(
        hosts=(
            HostStatus("gate1", HostState.OK, None, {}),
            HostStatus("gpu1", HostState.OK, None, {}, driver_of(machine)),
        ),
        replicas=(),
        backups=(),
        lease=None,
        notes=(),
        warnings=(),
        gpus=tuple(gpu_statuses("gpu1", machine)),
    )
    lines = _lines(found)
    assert lines[1] == "driver gpu1: 550.163.01, CUDA 12.4, open module"
    assert lines[3] == "gpu gpu1/1: NVIDIA H100 80GB HBM3, 79.6 GiB (12.3 used), 31 °C, 72 of 700 W, ok"
    assert lines[6].endswith("31 °C, 72 of 700 W, PCI Express has 8 of 16 lanes")
    assert len(lines) == 10


def test_an_open_rollout_is_named_with_what_to_do():
    moment = datetime(2026, 11, 26, tzinfo=UTC)
    opened = Entry(
        time=moment, rollout="r1", run="r1", operator="anna", event=Event.OPENED, detail="model update assistant"
    )
    found = Status(hosts=(), replicas=(), backups=(), lease=None, notes=(), warnings=(), rollout=opened)
    said = "rollout open: model update assistant, started by anna; next: rackwright rollout status"
    assert _lines(found)[-1] == said


def test_each_kit_has_a_line_with_its_age():
    kits = (
        KitStatus("web", "abc", "2026-11-29T08:00:00Z", 7500, with_ca_key=True, current=True),
        KitStatus("ssh", "abc", "2026-11-29T08:00:00Z", 60, with_ca_key=False, current=True),
        KitStatus("new", None, None, None, None, None),
    )
    found = Status(hosts=(), replicas=(), backups=(), lease=None, notes=(), warnings=(), kits=kits)
    assert _lines(found)[1:] == ["kit at web: 2 h old, with the CA key", "kit at ssh: 1 min old, without the CA key"]


def test_what_fell_back_to_a_cloud_has_a_line_and_is_not_well():
    found = Status(hosts=(), replicas=(), backups=(), lease=None, notes=(), warnings=())
    fell = replace(found, fallbacks=(Fallback("support", 120, sent=37, refused=3), Fallback("other", 5)))
    assert _lines(fell)[1:] == [
        "fallback of support: the cloud got requests that no replica took: 37 in this hour, 0 in the hour before; "
        "at most 120 an hour; refused past that: 3"
    ]
    assert (fell.healthy, replace(fell, fallbacks=fell.fallbacks[1:]).healthy) == (False, True)


def test_each_cloud_has_a_line_for_each_gateway_and_one_that_is_not_reached_is_not_well():
    clouds = (
        CloudStatus("gate1", "openai", reached=True, found="2 of 2 addresses up"),
        CloudStatus("gate2", "openai", reached=False, found="its name has no address here"),
    )
    found = Status(hosts=(), replicas=(), backups=(), lease=None, notes=(), warnings=(), clouds=clouds)
    assert _lines(found)[1:] == [
        "cloud openai from gate1: up, 2 of 2 addresses up",
        "cloud openai from gate2: DOWN, its name has no address here",
    ]
    assert (found.healthy, replace(found, clouds=clouds[:1]).healthy) == (False, True)
