"""Files that change our units and that rackwright didn't write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.operations.facts.systemctl_show import shown_units
from rackwright.roles.layout.settings import SOCKETS_UNIT

_UNITS = "/etc/systemd/system"
_PACKAGED = "/usr/lib/systemd/"
"""Where packages of the distribution put drop-ins that apply to all services."""
_ENGINE = re.compile(r"rackwright-.+@[0-9]+\.service")

OVERRIDES_COMMAND = f"""cd {_UNITS} 2>/dev/null || exit 0
set --
for u in rackwright-* {SOCKETS_UNIT}; do
  [ -f "$u" ] || continue
  case $u in *@.*) ;; *.service | *.timer | *.socket | *.path | *.target | *.mount) set -- "$@" "$u" ;; esac
done
[ $# = 0 ] || systemctl show -p Id,FragmentPath,DropInPaths -- "$@"
"""


@dataclass(frozen=True)
class Override:
    """A unit of ours, and another file that systemd reads for it."""

    unit: str
    file: str

    def __str__(self) -> str:
        return f"{self.unit} is changed by {self.file}, which rackwright didn't write"


def parse_overrides(output: str) -> tuple[Override, ...]:
    """Given the output of OVERRIDES_COMMAND, return the files: drop-ins, or a unit file in the place of ours."""
    return tuple(
        Override(unit, file)
        for unit, shown in shown_units(output.splitlines()).items()
        for file in _files(unit, shown.get("FragmentPath", ""), shown.get("DropInPaths", ""))
    )


def _files(unit: str, fragment: str, drop_ins: str) -> Iterator[str]:
    if fragment not in ("", f"{_UNITS}/{unit}"):
        yield fragment
    # The engines' drop-in with their GPUs is ours.
    ours = f"{_UNITS}/{unit}.d/gpus.conf" if _ENGINE.fullmatch(unit) else ""
    yield from (file for file in drop_ins.split() if file != ours and not file.startswith(_PACKAGED))
