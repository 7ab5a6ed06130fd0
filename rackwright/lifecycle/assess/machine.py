"""A read-only script for facts that readiness depends on and `hardware.COMMAND` doesn't report."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.lifecycle.check.requirements import Answers, parse

_DRIVES = """\
for d in /sys/block/*; do case ${d##*/} in loop*|ram*|zram*|dm-*|md*|sr*|fd*|nbd*) continue ;; esac
[ "$(cat "$d/size")" = 0 ] ||
echo "drive ${d##*/} $(cat "$d/queue/rotational") $(cat "$d/size") $(cat "$d/device/model")"
done 2>/dev/null"""
_POWER = """\
if command -v ipmitool >/dev/null; then
timeout 5 ipmitool dcmi power reading 2>/dev/null </dev/null | awk '/Instantaneous/ {print "watts", $4}'
timeout 10 ipmitool sdr type 'Power Supply' 2>/dev/null </dev/null | sed 's/^/supply /'
fi"""
_MEMORY = """\
if command -v dmidecode >/dev/null; then
dmidecode -q -t 16 2>/dev/null | sed -n 's/^[[:space:]]*Error Correction Type: /correction /p'; fi
set -- /sys/devices/system/edac/mc/mc[0-9]*; [ ! -e "$1" ] || echo edac yes
awk '$1 == "SwapTotal:" {print "swap", $2 * 1024}' /proc/meminfo"""

_VIRTUAL = ("vd", "xvd")
"""Names of virtual drives: they report that they rotate, whatever the real drive is."""


@dataclass(frozen=True)
class Drive:
    name: str
    rotational: bool
    bytes: int
    model: str

    @property
    def kind(self) -> str:
        if self.name.startswith(_VIRTUAL):
            return "virtual"
        return "NVMe" if self.name.startswith("nvme") else "rotating" if self.rotational else "SSD"


@dataclass(frozen=True)
class Machine:
    systemd: bool = True
    virtual: str | None = None
    """As systemd-detect-virt names it: kvm, vmware, podman, …; None: not virtual."""
    container: bool = False
    ecc: bool | None = None
    """Whether main memory corrects errors; None: not known."""
    swap: int = 0
    """Bytes."""
    drives: tuple[Drive, ...] = ()
    models_free: int = 0
    """Bytes free in the folder of models, or in the nearest existing folder above it."""
    models_total: int = 0
    models_rotating: bool | None = None
    """Whether that is a rotating disk; None: not known, or virtual."""
    synchronised: bool | None = None
    """Whether the clock is synchronized over the network."""
    watts: int | None = None
    """Power that the whole machine draws, as its management controller measures it."""
    supplies_failed: tuple[str, ...] = ()
    """Power supplies that report a failure, with their messages."""


def script(models_at: str) -> str:
    """Return a read-only shell script for root; each line that it prints is a key, a space and a value."""
    return f"""\
export LC_ALL=C
[ ! -d /run/systemd/system ] || echo systemd yes
echo virtual $(systemd-detect-virt --vm 2>/dev/null)
echo container $(systemd-detect-virt --container 2>/dev/null)
echo synchronised $(timeout 5 timedatectl show -p NTPSynchronized --value 2>/dev/null)
at={shlex.quote(models_at)}; while [ ! -d "$at" ]; do at=$(dirname -- "$at"); done
df -PB1 -- "$at" | awk 'NR == 2 {{print "models", $2, $4}}'
echo rotating $(lsblk -ndo ROTA -- "$(df -P -- "$at" | awk 'NR == 2 {{print $1}}')" 2>/dev/null)
{_DRIVES}
{_MEMORY}
{_POWER}
"""


def parse_machine(output: str) -> Machine:
    """Parse the script's output. Unknown values are None or empty."""
    answers = parse(output)
    total, _, free = answers.one("models").partition(" ")
    container = _known(answers, "container")
    virtual = container or _known(answers, "virtual")
    return Machine(
        systemd=bool(answers.one("systemd")),
        virtual=virtual,
        container=container is not None,
        ecc=_ecc(answers),
        swap=int(answers.number("swap")),
        drives=tuple(_drives(answers)),
        models_free=int(free or 0),
        models_total=int(total or 0),
        models_rotating=None if virtual else {"0": False, "1": True}.get(answers.one("rotating")),
        synchronised={"yes": True, "no": False}.get(answers.one("synchronised")),
        watts=int(answers.number("watts")) or None,
        supplies_failed=tuple(_failed(answers)),
    )


def _known(answers: Answers, key: str) -> str | None:
    return None if answers.one(key) in ("", "none") else answers.one(key)


def _ecc(answers: Answers) -> bool | None:
    if correction := answers.one("correction"):
        return None if correction in ("Unknown", "Other") else correction != "None"
    # The kernel's EDAC driver finds a memory controller only if errors are corrected.
    return True if answers.one("edac") else None


def _drives(answers: Answers) -> Iterator[Drive]:
    for line in answers.values.get("drive", ()):
        name, rotational, sectors, *model = line.split()
        yield Drive(name, rotational == "1", int(sectors) * 512, " ".join(model))


def _failed(answers: Answers) -> Iterator[str]:
    """Yield failed supplies from ipmitool's lines like
    `PS2 Status | C9h | ok | 10.2 | Presence detected, Power Supply AC lost`."""
    for line in answers.values.get("supply", ()):
        name, said = line.partition("|")[0].strip(), line.rpartition("|")[2].strip()
        if re.search(r"fail|lost|out-of-range|error", said, re.IGNORECASE):
            yield f"{name}: {said}"
