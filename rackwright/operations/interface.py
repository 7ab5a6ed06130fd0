"""Files that must name the interface of an address."""

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
    """Afterwards the file has the content for the interface that has this address. Fails where none has it."""
    interface = host.get_fact(InterfaceOf, address=address)
    if not interface:
        raise OperationError(f"no interface has {address}; give it to one, or mend the host's service address")
    yield from write(path=path, content=content(interface), check=check)
