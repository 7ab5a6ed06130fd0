"""Shortcuts through pyinfra 3.10: without them two thirds of a plan's CPU time goes into its global arguments.

Each operation and each fact looks up some thirty of them anew, in the type hints and in seven layers of host data.
"""

from __future__ import annotations

import functools

from pyinfra.api import arguments
from pyinfra.api.host import Host, HostData


def install() -> None:
    """pyinfra works out the list of its global arguments once. Does nothing the second time."""
    if not hasattr(arguments.all_global_arguments, "cache_info"):
        arguments.all_global_arguments = functools.cache(arguments.all_global_arguments)


class Data(HostData):
    """A host's data in which no global argument (`_sudo`, `_env`, …) is ever set: our deploys pass them by hand."""


for _name in arguments.all_argument_meta:
    # pyinfra's own word for what isn't set. Found on the class, it costs a fifth of an AttributeError.
    setattr(Data, _name, arguments.default_sentinel)


def simplify(host: Host) -> None:
    """The host's data holds what it did, but looks up no global argument."""
    host.data = Data(host, *host.data.datas[1:])
