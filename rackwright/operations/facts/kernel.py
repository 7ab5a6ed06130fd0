"""The running kernel's settings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from pyinfra.api.facts import FactBase


@dataclass(frozen=True)
class Setting:
    value: str
    """With single spaces between fields."""
    writable: bool


def path_of(key: str) -> str:
    """Given a setting in the format of sysctl.d(5), return its path below /proc/sys.

    If the first separator is a dot, dots and slashes are exchanged.
    """
    first = re.search(r"[./]", key)
    return key.translate(str.maketrans("./", "/.")) if first and first[0] == "." else key


class KernelSettings(FactBase[dict[str, Setting]]):
    """Given settings, in which `*` may replace a part, return those that exist, by path below /proc/sys."""

    def command(self, keys: tuple[str, ...]) -> str:
        # All is quoted except the stars. The shell's `read` would get only the first digit of a number.
        globs = " ".join("*".join(shlex.quote(part) for part in path_of(key).split("*")) for key in keys)
        return f'cd /proc/sys && for f in {globs}; do [ ! -w "$f" ] || echo "w $f"; done; grep -Hs "" {globs} || true'

    @staticmethod
    def default() -> dict[str, Setting]:
        return {}

    def process(self, output: list[str]) -> dict[str, Setting]:
        writable = {line.removeprefix("w ") for line in output if line.startswith("w ")}
        reply = (line.partition(":") for line in output if not line.startswith("w "))
        return {path: Setting(" ".join(value.split()), path in writable) for path, _, value in reply}


class Advertised(FactBase[dict[str, str]]):
    """Return the interfaces on which the kernel accepts router advertisements and has used one, with `accept_ra`.

    An address from DHCPv6 counts too, because its routes come from router advertisements. So do the interfaces that
    our file at `path` names as such: their router may be down now.
    """

    def command(self, path: str) -> str:
        return (
            f"sed -n 's|^net/ipv6/conf/\\([^/ ]*\\)/accept_ra = |\\1 |p' {shlex.quote(path)} 2>/dev/null; "
            "for f in $({ ip -6 -o address show scope global dynamic | awk '{ print $2 }'; "
            "ip -6 -o route show proto ra | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p'; } 2>/dev/null | sort -u); do "
            'v=$(cat "/proc/sys/net/ipv6/conf/$f/accept_ra") && [ "$v" != 0 ] && echo "$f $v"; done; true'
        )

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        return dict(line.split() for line in output if re.fullmatch(r"[A-Za-z0-9_.:-]{1,15} [12]", line))
