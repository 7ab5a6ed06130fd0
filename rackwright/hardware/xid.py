"""Xids: the errors that NVIDIA's driver writes to the kernel's log, and what the well-known ones mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from rackwright.hardware.pci import address
from rackwright.hardware.plain_text import plain

_LINE = re.compile(r"NVRM: Xid \((?:PCI:)?(?P<pci>[0-9a-fA-F:.]{7,16})\): (?P<number>\d{1,5})(?:, |$)(?P<text>.*)")
LONGEST = 200
"""Characters to keep of a line's text."""


@dataclass(frozen=True)
class Xid:
    """An error that the driver wrote to the journal since the host booted."""

    number: int
    pci: str
    text: str


class Cause(StrEnum):
    APPLICATION = "application"
    """Usually the engine's own error; restarting it is enough."""
    DRIVER = "driver"
    HARDWARE = "hardware"


@dataclass(frozen=True)
class Meaning:
    what: str
    cause: Cause
    next: str


class Fault(StrEnum):
    """What an Xid breaks."""

    CARD = "card"
    """The GPU, until it is reset or the host is rebooted."""
    LINK = "link"
    """The GPU's work together with other GPUs, until then."""
    ENGINE = "engine"
    """The process that it names, until it is restarted; the GPU is fine."""


FAULTS = {
    **dict.fromkeys((8, 13, 31, 32, 43, 69, 94), Fault.ENGINE),
    **dict.fromkeys((46, 48, 54, 61, 62, 64, 79, 95, 109, 119, 120, 140, 143, 156, 158, 171, 172), Fault.CARD),
    **dict.fromkeys((74, 136, 144, 145, 146, 147, 148, 149, 150), Fault.LINK),
}
"""Xids that break something, by number.

NVIDIA's catalog (see `meaning`) has an immediate action for each: RESTART_APP is ENGINE; RESET_GPU, RESTART_BM,
CHECK_MECHANICALS and the workflows that end in them are CARD or LINK. Xids that it says to ignore (63, 92, 121, 137,
157) or that only follow another one (45, 154) break nothing. It says to ignore 43, too, but the process must end, and
an engine that hasn't noticed the error doesn't."""

HARMLESS = frozenset((45, 63, 92, 121, 137, 154, 157))
"""Xids that break nothing, as the catalog says."""

_RESTART = "restart the engine that it names"
_RESET = "drain the host, then reset the GPU (nvidia-smi --gpu-reset) or reboot"
_REPLACE = "drain the host and reboot; if it happens again, have the GPU replaced"
_LINK = "drain the host and reboot; if it happens again, have cables, switches and the GPU inspected"

_APPLICATION, _DRIVER, _HARDWARE = Cause
_MEANINGS = {
    8: Meaning("a program's work on the GPU stalled", _APPLICATION, _RESTART),
    13: Meaning("a program sent something that the GPU rejects", _APPLICATION, _RESTART),
    31: Meaning("a program used memory that isn't its own", _APPLICATION, _RESTART),
    32: Meaning("a program's commands to the GPU were corrupted", _APPLICATION, _RESTART),
    43: Meaning("a program was stopped after its own error", _APPLICATION, _RESTART),
    45: Meaning(
        "a program was cleaned up, because it was killed or after another error", _APPLICATION, "see the Xid before"
    ),
    46: Meaning("the GPU stopped working", _HARDWARE, _RESET),
    48: Meaning("memory error that could not be corrected", _HARDWARE, _RESET),
    54: Meaning("the card's power cable isn't plugged in", _HARDWARE, "have its power cables inspected"),
    61: Meaning("the card's own controller stopped", _HARDWARE, _RESET),
    62: Meaning("the card's own controller halted", _HARDWARE, _RESET),
    63: Meaning("a row or page of memory will be retired at the next reset", _HARDWARE, _RESET),
    64: Meaning("a row or page of memory could not be retired", _HARDWARE, _REPLACE),
    69: Meaning("a program sent something that the GPU rejects", _APPLICATION, _RESTART),
    74: Meaning("NVLink error", _HARDWARE, _LINK),
    79: Meaning("the GPU has fallen off the bus", _HARDWARE, _REPLACE),
    92: Meaning(
        "many memory errors that were corrected", _HARDWARE, "watch it; if it continues, have the GPU replaced"
    ),
    94: Meaning("memory error; only the affected program was stopped", _HARDWARE, _RESTART),
    95: Meaning("memory error that may have affected every program on the GPU", _HARDWARE, _RESET),
    109: Meaning("the GPU didn't switch between programs in time", _DRIVER, _RESET),
    119: Meaning("the GPU's system processor didn't answer the driver", _DRIVER, _RESET),
    120: Meaning("the GPU's system processor failed", _DRIVER, _RESET),
    121: Meaning("error in the link between CPU and GPU", _HARDWARE, _LINK),
    136: Meaning("an NVLink didn't come up", _HARDWARE, _LINK),
    140: Meaning("memory errors that could not be corrected", _HARDWARE, _RESET),
    143: Meaning("the GPU didn't start", _HARDWARE, _REPLACE),
    **{number: Meaning("NVLink error", _HARDWARE, _LINK) for number in (137, 144, 145, 146, 147, 148, 149, 150)},
    154: Meaning("the driver requests an action", _DRIVER, "see the Xid before"),
    156: Meaning("a part of the GPU will be disabled at the next reset", _HARDWARE, _RESET),
    157: Meaning("a part of the GPU could not be disabled", _HARDWARE, _REPLACE),
    158: Meaning("the GPU didn't answer in time", _HARDWARE, _RESET),
    171: Meaning("memory error that could not be corrected", _HARDWARE, _RESET),
    172: Meaning("error in the GPU's internal memory that could not be corrected", _HARDWARE, _RESET),
}
_UNKNOWN = Meaning("not well known", _DRIVER, "look it up in NVIDIA's Xid catalog")


def meaning(number: int) -> Meaning:
    """Return what an Xid means and what to do.

    https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html, in our words.
    """
    return _MEANINGS.get(number, _UNKNOWN)


def parse_xids(log: str) -> tuple[Xid, ...]:
    """Given lines of the kernel's log, return their Xids in order. Other lines are skipped.

    Lines like `NVRM: Xid (PCI:0000:17:00): 79, pid=1234, name=llama-server, GPU has fallen off the bus.`; drivers
    before 364 omit `PCI:`, some add the function.
    """
    found = (_LINE.search(line) for line in log.splitlines())
    return tuple(
        Xid(int(line["number"]), address(line["pci"]), plain(line["text"], LONGEST)) for line in found if line
    )
