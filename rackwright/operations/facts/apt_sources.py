"""The apt sources of a host that aren't ours, and those that an earlier run set aside."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api.facts import FactBase

APT = "/etc/apt"
OURS = f"{APT}/sources.list.d/rackwright.sources"
ASIDE = "/var/lib/rackwright/apt-sources"
"""Folder of the files that are set aside, with the same names as below /etc/apt."""


@dataclass(frozen=True)
class Sources:
    """Names below /etc/apt."""

    others: tuple[str, ...] = ()
    """Files of sources that apt reads, except ours."""
    aside: tuple[str, ...] = ()
    """Files that are set aside, with no file in their old place."""
    keyrings: tuple[str, ...] = ()
    """Keyrings of our mirrors."""


class AptSources(FactBase[Sources]):
    """Return the host's sources. The command starts no process."""

    def command(self) -> str:
        listed = "sources.list sources.list.d/*.list sources.list.d/*.sources"
        there = '[ -e "$f" ] || [ -L "$f" ]'
        return (
            f'(cd {APT} && for f in {listed}; do if {there}; then echo "others $f"; fi; done); '
            f'(cd {APT} && for f in keyrings/rackwright-*; do if {there}; then echo "keyrings $f"; fi; done); '
            f"if cd {ASIDE} 2>/dev/null; then for f in {listed}; do "
            f'if {{ {there}; }} && [ ! -e "{APT}/$f" ]; then echo "aside $f"; fi; done; fi'
        )

    @staticmethod
    def default() -> Sources:
        return Sources()

    def process(self, output: list[str]) -> Sources:
        found = [line.partition(" ")[::2] for line in output]
        return Sources(
            others=tuple(name for kind, name in found if kind == "others" and f"{APT}/{name}" != OURS),
            aside=tuple(name for kind, name in found if kind == "aside"),
            keyrings=tuple(f"{APT}/{name}" for kind, name in found if kind == "keyrings"),
        )
