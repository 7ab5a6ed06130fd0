"""Lines from published kernel logs, each with its source."""

from __future__ import annotations

MMU_FAULT = "NVRM: Xid (0000:01:00): 31, Ch 0000000b, engmask 00000120, intr 10000000"
"""https://pastebin.com/NGng33SB: a driver that doesn't name the process."""

EXCEPTION = (
    "NVRM: Xid (PCI:0000:cb:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on "
    "(GPC 7, TPC 7, SM 0): Illegal Instruction Parameter"
)
SWITCH_TIMEOUT = (
    "NVRM: Xid (PCI:0000:cb:00): 109, pid=1797828, name=pt_main_thread, Ch 00000008, "
    "errorString CTX SWITCH TIMEOUT, Info 0x58005"
)
"""Both https://github.com/leptonai/gpud/pull/46, five seconds apart."""

CLEANED_AWAY = "NVRM: Xid (PCI:0000:dc:00): 45, pid=1818990, name=python3, Ch 00000001 caused by previous Xid 149"
"""https://github.com/NVIDIA/open-gpu-kernel-modules/issues/1150."""

ROW_REMAPPED = (
    "NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate."
)
"""https://github.com/stas00/ml-engineering, compute/accelerator/nvidia/debug.md."""

OFF_THE_BUS = "NVRM: Xid (PCI:0000:44:00): 79, GPU has fallen off the bus"
"""https://github.com/NVIDIA/NVSentinel/issues/155."""
