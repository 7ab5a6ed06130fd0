"""The unit's script, and the table of Xids that it reads."""

from __future__ import annotations

from pathlib import Path

from rackwright.hardware.xid import FAULTS, meaning
from rackwright.roles.gpu_faults.settings import FOLDER, XIDS

_TEMPLATE = Path(__file__).parent / "templates/gpu-faults.sh"


def script() -> str:
    """Return the script that adds new Xids in the kernel's log to the host's faults."""
    head = f"#!/bin/sh\n# Made by rackwright: which GPUs of this host have failed.\nfolder={FOLDER} xids={XIDS}\n"
    return head + _TEMPLATE.read_text()


def xids() -> str:
    """Return the table of Xids that fault a replica."""
    return "".join(f"{number} {fault} {meaning(number).what}\n" for number, fault in sorted(FAULTS.items()))
