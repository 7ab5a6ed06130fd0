"""Keep modules from being loaded that a serving host doesn't need."""

from __future__ import annotations

from typing import get_args

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.roles.modules.settings import MODPROBE, Settings, Unneeded


@deploy("modules")
def modules(*, settings: Settings) -> None:
    """Ensure that these modules aren't loaded anymore. A module that is already loaded stays until the next boot."""
    if settings.manage == "no":
        return
    checked_file(name="Block unneeded kernel modules", path=MODPROBE, content=blocked(settings), folder=True)


def blocked(settings: Settings) -> str:
    """Return modprobe's drop-in. An alias or a dependency would still load a module that is only blacklisted."""
    wanted = [module for module in get_args(Unneeded) if module not in settings.allow]
    lines = "".join(f"install {module} /bin/false\n" for module in dict.fromkeys((*wanted, *settings.block)))
    return f"# Written by rackwright: baseline.modules of the fleet file.\n{lines}"
