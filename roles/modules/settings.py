"""Kernel modules that a serving host doesn't need, never loaded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from rackwright.values.base import Frozen
from rackwright.values.text import Manage, Shape

MODPROBE = "/etc/modprobe.d/60-rackwright.conf"

Unneeded = Literal["dccp", "sctp", "rds", "tipc", "firewire_core", "firewire_ohci"]
_NEEDED = ("nvidia", "nf_", "nft_", "nfnetlink", "overlay")


def _unneeded(module: str) -> str:
    if module.startswith(_NEEDED):
        raise ValueError(f"{module} is needed on the hosts, for GPUs, the packet filter or containers; leave it out")
    return module


Module = Annotated[
    str,
    Shape("[a-z0-9][a-z0-9_]{0,62}", "should be a kernel module as lsmod prints it, like usb_storage"),
    AfterValidator(_unneeded),
]


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves kernel modules as they are."""
    block: tuple[Module, ...] = ()
    """Additional modules that are never loaded, like usb_storage."""
    allow: tuple[Unneeded, ...] = ()
    """Modules of the built-in list that may be loaded after all."""
