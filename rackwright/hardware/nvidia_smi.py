"""Parsers for `nvidia-smi -q -x` and `nvidia-smi -L`, of drivers 418 to 610 (schemas v10 to v13).

The schemas differ in names. A value that a card or driver doesn't have is `N/A`, `[N/A]`, `None`, `Requested
functionality has been deprecated`, or missing; each of these is parsed as None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

from rackwright.hardware.gpus import Gpu, Link, MemoryHealth, Power, SmiReport
from rackwright.hardware.pci import address

LONGEST = 16 * 2**20
"""Characters; a machine with 16 cards prints about one million."""
_MIB = 2**20
_END = "</nvidia_smi_log>"
_ABSENT = re.compile(
    r"|\[?(n/?a|not supported|unknown( error)?|gpu is lost)\]?|err!|none|-|requested functionality .*", re.IGNORECASE
)
_NOT_THROTTLED = {"gpu_idle", "applications_clocks_setting", "display_clocks_setting", "sync_boost", "none"}
"""Reasons for lower clocks that were chosen, or that cost nothing."""
_PENDING = (
    "retired_pages/pending_retirement",
    "retired_pages/pending_blacklist",
    "retired_pages/pending_page_blacklist",
    "remapped_rows/remapped_row_pending",
    "ecc_errors/channel_repair_pending",
    "ecc_errors/tpc_repair_pending",
)
_FAILED = ("remapped_rows/remapped_row_failure", "ecc_errors/unrepairable_memory")
_UNCORRECTED = (
    "double_bit/total",
    "dram_uncorrectable",
    "sram_uncorrectable",
    "sram_uncorrectable_parity",
    "sram_uncorrectable_secded",
)


def parse_nvidia_smi(xml: str) -> SmiReport:
    """Given the output of `nvidia-smi -q -x`, return its report. Raise ValueError with the reason if it is bad."""
    root = _root(xml)
    gpus = tuple(_gpu(index, node) for index, node in enumerate(root.iterfind("gpu")))
    return SmiReport(_text(root, "driver_version") or "", _text(root, "cuda_version") or "", gpus)


def with_instances(report: SmiReport, listing: str) -> SmiReport:
    """Given the output of `nvidia-smi -L`, return the report with each card's MIG instances: the XML has no UUIDs."""
    instances: dict[str, list[str]] = {}
    card = ""
    for line in listing.splitlines():
        if found := re.match(r"GPU \d+: .*\(UUID: (GPU-[^)\s]+)\)", line):
            card = found[1]
        elif found := re.match(r"\s*MIG .*\(UUID: (MIG-[^)\s]+)\)", line):
            instances.setdefault(card, []).append(found[1])
    gpus = (replace(gpu, mig_devices=tuple(instances.get(gpu.uuid, gpu.mig_devices))) for gpu in report.gpus)
    return replace(report, gpus=tuple(gpus))


def _root(xml: str) -> ElementTree.Element:
    if len(xml) > LONGEST:
        raise ValueError(f"nvidia-smi printed {len(xml)} characters, more than {LONGEST}")
    # Expat reads no external entities; internal ones could expand without limit, and nvidia-smi has none.
    if "<!ENTITY" in xml:
        raise ValueError("nvidia-smi printed an XML entity, which it never does")
    # Warnings, for example about a corrupted infoROM, come before or after the XML.
    begin, end = xml.find("<nvidia_smi_log>"), xml.rfind(_END)
    whole = xml[max(begin, 0) : end + len(_END) if end >= 0 else None]
    try:
        root = ElementTree.fromstring(whole.strip())  # noqa: S314
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"nvidia-smi printed incomplete or invalid XML: {error}") from None
    if root.tag != "nvidia_smi_log":
        raise ValueError(f"nvidia-smi printed <{root.tag}>, not <nvidia_smi_log>")
    return root


def _gpu(index: int, node: ElementTree.Element) -> Gpu:
    mig = _text(node, "mig_mode/current_mig")
    return Gpu(
        index=index,
        name=_text(node, "product_name") or "unknown",
        uuid=_text(node, "uuid") or "",
        pci=address(_text(node, "pci/pci_bus_id") or node.get("id") or ""),
        memory=_whole(node, "fb_memory_usage/total", 0) * _MIB,
        memory_used=_whole(node, "fb_memory_usage/used", 0) * _MIB,
        health=_health(node),
        link=_link(node, "current_link_gen", "current_link_width"),
        link_max=_link(node, "max_link_gen", "max_link_width"),
        power=_power(node),
        temperature=_optional(node, "temperature/gpu_temp"),
        throttled=tuple(_throttled(node)),
        mig=None if mig is None else mig == "Enabled",
        mig_devices=tuple(_uuids(node)),
        fabric=_text(node, "fabric/state"),
        fabric_status=_text(node, "fabric/status"),
        recovery=_recovery(node),
    )


def _recovery(node: ElementTree.Element) -> str | None:
    if action := _text(node, "gpu_recovery_action"):
        return action
    if _text(node, "gpu_reset_status/reset_required") == "Yes":
        return "GPU Reset"
    recommended = _text(node, "gpu_reset_status/drain_and_reset_recommended") == "Yes"
    return "Drain and Reset" if recommended else None


def _uuids(node: ElementTree.Element) -> Iterator[str]:
    for instance in node.iterfind("mig_devices/mig_device"):
        if uuid := _text(instance, "uuid"):
            yield uuid


def _health(node: ElementTree.Element) -> MemoryHealth:
    ecc = _text(node, "ecc_mode/current_ecc")
    return MemoryHealth(
        ecc=None if ecc is None else ecc == "Enabled",
        uncorrected=_uncorrected(node, "volatile"),
        uncorrected_ever=_uncorrected(node, "aggregate"),
        retired_pages=_sum(
            node,
            "retired_pages/multiple_single_bit_retirement/retired_count",
            "retired_pages/double_bit_retirement/retired_count",
            "remapped_rows/remapped_row_corr",
            "remapped_rows/remapped_row_unc",
        ),
        pending=any(_text(node, path) == "Yes" for path in _PENDING),
        failed=any(_text(node, path) == "Yes" for path in _FAILED),
    )


def _uncorrected(node: ElementTree.Element, period: str) -> int | None:
    """Before Ampere: double_bit/total. Since: DRAM, and SRAM in total (to driver 530) or by kind of detection."""
    return _sum(node, *(f"ecc_errors/{period}/{name}" for name in _UNCORRECTED))


def _link(node: ElementTree.Element, generation: str, width: str) -> Link | None:
    link = "pci/pci_gpu_link_info"
    speed = _optional(node, f"{link}/pcie_gen/{generation}")
    lanes = _optional(node, f"{link}/link_widths/{width}")
    return None if speed is None or lanes is None else Link(speed, lanes)


def _power(node: ElementTree.Element) -> Power:
    """Driver 530 renamed power_readings; 550 or later split power_draw into average and instant."""
    readings = ("gpu_power_readings", "power_readings")

    def first(*names: str) -> float | None:
        found = (_number(node, f"{part}/{name}") for part in readings for name in names)
        return next((value for value in found if value is not None), None)

    return Power(
        draw=first("power_draw", "average_power_draw", "instant_power_draw"),
        limit=first("current_power_limit", "power_limit"),
        default=first("default_power_limit"),
    )


def _throttled(node: ElementTree.Element) -> Iterator[str]:
    """`clocks_throttle_reasons` became `clocks_event_reasons` with driver 535."""
    for kind in ("event", "throttle"):
        for reason in node.iterfind(f"clocks_{kind}_reasons/*"):
            name = reason.tag.removeprefix(f"clocks_{kind}_reason_")
            if (reason.text or "").strip() == "Active" and name not in _NOT_THROTTLED:
                yield name


def _text(node: ElementTree.Element, path: str) -> str | None:
    text = " ".join((node.findtext(path) or "").split())
    return None if _ABSENT.fullmatch(text) else text


def _number(node: ElementTree.Element, path: str) -> float | None:
    found = re.match(r"\d{1,12}(\.\d{1,6})?", _text(node, path) or "")
    return float(found[0]) if found else None


def _optional(node: ElementTree.Element, path: str) -> int | None:
    number = _number(node, path)
    return None if number is None else int(number)


def _whole(node: ElementTree.Element, path: str, default: int) -> int:
    number = _optional(node, path)
    return default if number is None else number


def _sum(node: ElementTree.Element, *paths: str) -> int | None:
    """Return the sum of the reported values, or None if none is reported."""
    numbers = [number for path in paths if (number := _optional(node, path)) is not None]
    return sum(numbers) if numbers else None
