"""The script that prints what must be as before after patching, and the parser of what it prints. No pyinfra.

A fact is a line in one of these forms:

    kernel RELEASE                      it runs; it may be another one afterwards
    unit NAME running|active|failed     it starts automatically; sockets and timers are active
    mount PATH TYPE                     PATH as findmnt(8) escapes it
    filter FAMILY TABLE SHA256          of `nft -sp list table` without what programs change all the time
    clock synchronized                  as timedatectl(1) says
    driver V library V,V fabric V       versions; -: none
    gpu UUID ecc on|off|- width N|-     N lanes of PCI Express; -: not reported
    instance UUID                       of a divided GPU (MIG)
    xid NUMBER PCI SECONDS              the last one of this number on this GPU since boot, and when: after boot
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rackwright.hardware.command import COMMAND
from rackwright.hardware.hardware import Hardware, parse_hardware
from rackwright.hardware.pci import address

SECONDS = 120
"""Time limit of the script on a host: nvidia-smi alone may take half a minute."""
MOST_BYTES = 16 * 2**20
"""Most that a host may answer."""
NONE = "-"
_MOST_FACTS = 5000
_TEMPLATE = (Path(__file__).parent / "templates/well.sh").read_text()
_HARDWARE, _END = "\nhardware\n", "\nend\n"
_VERSION = r"[0-9]{1,6}(?:\.[0-9]{1,6}){1,3}"
_FACT = re.compile(
    r"kernel [A-Za-z0-9.+~_-]{1,100}"
    r"|unit [A-Za-z0-9:_.@\\-]{1,256} (?:running|active|failed)"
    r"|mount /[!-~]{0,1000} [A-Za-z0-9._-]{1,60}"
    r"|filter [a-z0-9]{2,10} [A-Za-z0-9/\\_.-]{1,256} [0-9a-f]{64}"
    r"|clock synchronized"
)
_PARTS = ("library", "fabric")
_PART = re.compile(rf"(library|fabric) ({_VERSION})")
_XID = re.compile(r"xid ([0-9]{1,5}) ([0-9a-fA-F:.]{7,16}) ([0-9]{1,12}\.[0-9]{1,9})")
_UUID = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z/-]{1,100}")


@dataclass(frozen=True)
class Well:
    """What a host said about itself at one moment."""

    facts: tuple[str, ...]
    """In the forms above, sorted, each once."""


def script() -> str:
    """Return the script for `sh -s` as root. It changes nothing."""
    # In braces nothing runs until the whole script has arrived.
    return f"{{\nset -u\n{_TEMPLATE}echo hardware\n{COMMAND}echo end\n}}\n"


def parse_well(output: str) -> Well:
    """Return what the host said. Raise ValueError if it isn't complete or has a line in another form."""
    said, _, asked = f"\n{output}".partition(_HARDWARE)
    lines = said.split("\n")[1:]
    if not f"\n{asked}".endswith(_END):
        raise ValueError("its answer is incomplete")
    if len(lines) > _MOST_FACTS:
        raise ValueError(f"its answer has more than {_MOST_FACTS} lines")
    found = parse_hardware(asked.removesuffix("end\n"))
    parts = {part: {one[2] for one in map(_PART.fullmatch, lines) if one and one[1] == part} for part in _PARTS}
    facts = {_fact(line) for line in lines if not _PART.fullmatch(line)}
    return Well(tuple(sorted(facts | set(_driver(found, parts)) | set(_gpus(found)))))


def _fact(line: str) -> str:
    if xid := _XID.fullmatch(line):
        return f"xid {int(xid[1])} {address(xid[2])} {xid[3]}"
    if not _FACT.fullmatch(line):
        raise ValueError("its answer has a line that isn't a fact")
    return line


def _driver(hardware: Hardware, parts: dict[str, set[str]]) -> Iterator[str]:
    """Yield nothing if no module is loaded: a host without a driver may have some of its libraries."""
    if hardware.loaded and re.fullmatch(_VERSION, hardware.loaded):
        library, fabric = (",".join(sorted(parts[part])) or NONE for part in _PARTS)
        yield f"driver {hardware.loaded} library {library} fabric {fabric}"


def _gpus(hardware: Hardware) -> Iterator[str]:
    for gpu in hardware.report.gpus if hardware.report else ():
        if _UUID.fullmatch(gpu.uuid):
            ecc = {True: "on", False: "off", None: NONE}[gpu.health.ecc]
            yield f"gpu {gpu.uuid} ecc {ecc} width {gpu.link.width if gpu.link else NONE}"
        yield from (f"instance {uuid}" for uuid in gpu.mig_devices if _UUID.fullmatch(uuid))
