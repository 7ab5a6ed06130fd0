"""Files that must contain the name of an address's network interface."""

from __future__ import annotations

from collections.abc import Callable, Generator

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import OperationError
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.interface import InterfaceOf
from rackwright.operations.filesystem.file import write


@operation()
def file_for_interface(
    *, path: str, address: str, content: Callable[[str], str], check: str
) -> Generator[PyinfraCommand]:
    """Ensure that the file has the content for the interface with this address. Fails if no interface has it."""
    interface = host.get_fact(InterfaceOf, address=address)
    if not interface:
        raise OperationError(f"no interface has {address}; assign it to one, or correct the host's service address")
    yield from write(path=path, content=content(interface), check=check)
