"""The package sets that a host stores, and the sets that apt installed last."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyinfra.api.facts import FactBase

from rackwright.package_set import ROOT


@dataclass(frozen=True)
class KeptSets:
    installed: dict[str, str]
    """A set's purpose (driver, cuda) → its name."""
    previous: dict[str, str]
    folders: tuple[str, ...]
    """Names of all stored sets."""
    names: dict[str, tuple[str, ...]]
    """Set → the packages whose files are in its folder."""
    on_hold: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Purpose → the packages that are on hold for it."""


class PackageSets(FactBase[KeptSets]):
    """Return the host's sets, from their folders and the records next to these."""

    def command(self) -> str:
        return (
            f"if cd {ROOT} 2>/dev/null; then for f in *.installed *.previous *.held; do "
            '[ ! -f "$f" ] || echo "$f $(cat "$f")"; done; '
            'for d in */; do for p in "$d"*.deb; do [ ! -e "$p" ] || echo "file ${d%/} ${p##*/}"; done; done; fi'
        )

    @staticmethod
    def default() -> KeptSets:
        return KeptSets({}, {}, (), {})

    def process(self, output: list[str]) -> KeptSets:
        reply = [line.split() for line in output if len(line.split()) >= 2]
        names: dict[str, tuple[str, ...]] = {}
        for _, folder, file in (words for words in reply if words[0] == "file" and len(words) == 3):
            names[folder] = (*names.get(folder, ()), file.partition("_")[0])
        return KeptSets(
            installed={words[0].partition(".")[0]: words[1] for words in reply if words[0].endswith(".installed")},
            previous={words[0].partition(".")[0]: words[1] for words in reply if words[0].endswith(".previous")},
            folders=tuple(names),
            names=names,
            on_hold={words[0].partition(".")[0]: tuple(words[1:]) for words in reply if words[0].endswith(".held")},
        )
