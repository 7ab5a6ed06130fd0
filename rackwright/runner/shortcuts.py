"""Shortcuts for pyinfra 3.10: without them, two thirds of a plan's CPU time is spent on global arguments.

Each operation and each fact looks up about thirty of them again, in type hints and in seven layers of host data.
"""

from __future__ import annotations

import functools

from pyinfra.api import arguments
from pyinfra.api.host import Host, HostData


def install() -> None:
    """Make pyinfra compute the list of its global arguments only once. Does nothing the second time."""
    if not hasattr(arguments.all_global_arguments, "cache_info"):
        arguments.all_global_arguments = functools.cache(arguments.all_global_arguments)


class Data(HostData):
    """A host's data in which no global argument (`_sudo`, `_env`, …) is ever set; our deploys pass them directly."""


for _name in arguments.all_argument_meta:
    # pyinfra's value for "not set". Finding it on the class takes a fifth of the time of an AttributeError.
    setattr(Data, _name, arguments.default_sentinel)


def simplify(host: Host) -> None:
    """Replace the host's data by the same data without lookups of global arguments."""
    host.data = Data(host, *host.data.datas[1:])
