"""Which Debian packages are installed, at which versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pyinfra.api.facts import FactBase


@dataclass(frozen=True)
class Installed:
    version: str
    on_hold: bool
    """Whether apt leaves it at this version."""


class InstalledPackages(FactBase[dict[str, Installed]]):
    """Return the packages that are installed and configured: all, for every role asks the same question then."""

    def command(self) -> str:
        # A package may be there for a second architecture, too.
        reply = "${db:Status-Status} ${db:Status-Want} ${Package} ${Version} ${Architecture}"
        return f"dpkg-query -W -f '{reply}\\n' | grep -E \" (all|$(dpkg --print-architecture))\\$\""

    @staticmethod
    def default() -> dict[str, Installed]:
        return {}

    def process(self, output: list[str]) -> dict[str, Installed]:
        return dict(_installed(tuple(output)))


# A dozen operations get the same answer, of hundreds of lines.
@lru_cache(maxsize=2)
def _installed(output: tuple[str, ...]) -> Mapping[str, Installed]:
    reply = (line.split() for line in output if line.startswith("installed "))
    return {name: Installed(version, want == "hold") for _, want, name, version, _ in reply}
