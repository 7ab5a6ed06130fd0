"""The installed Debian packages and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pyinfra.api.facts import FactBase


@dataclass(frozen=True)
class Installed:
    version: str
    on_hold: bool
    """Whether apt keeps it at this version."""


class InstalledPackages(FactBase[dict[str, Installed]]):
    """Return all installed and configured packages, so that every role asks the same question."""

    def command(self) -> str:
        # A package may also be installed for a second architecture.
        fields = "${db:Status-Status} ${db:Status-Want} ${Package} ${Version} ${Architecture}"
        return f"dpkg-query -W -f '{fields}\\n' | grep -E \" (all|$(dpkg --print-architecture))\\$\""

    @staticmethod
    def default() -> dict[str, Installed]:
        return {}

    def process(self, output: list[str]) -> dict[str, Installed]:
        return dict(_installed(tuple(output)))


# A dozen operations parse the same answer, which has hundreds of lines.
@lru_cache(maxsize=2)
def _installed(output: tuple[str, ...]) -> Mapping[str, Installed]:
    rows = (line.split() for line in output if line.startswith("installed "))
    return {name: Installed(version, want == "hold") for _, want, name, version, _ in rows}
