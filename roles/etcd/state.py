"""What a host's member of etcd does, and whether it must restart, in one command that reads no data of etcd."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from rackwright.roles.certificate.settings import FOLDER as CERTIFICATES
from rackwright.roles.etcd.settings import (
    CERTIFICATE,
    CREDENTIALS,
    DATA,
    MEMBER,
    SETTINGS,
    STARTED,
    UNIT,
    UNIT_FILE,
)

Active = Literal["active", "activating", "deactivating", "failed", "inactive"]
"""ActiveState of systemctl(1); `activating` also means that the member waits until most members run."""
_DIGEST = re.compile("[0-9a-f]{64}")
_NUMBER = re.compile("[0-9]{1,9}")
LOW_MIB = 512
"""With less left on its disk, a member may soon end: etcd allocates 64 MiB at a time for its log."""


def _files(certificates: str) -> str:
    """Return the files that a member is started from, with its certificate and CA in this folder, as words."""
    return f"{UNIT_FILE} {SETTINGS} {certificates}/{CERTIFICATE}.crt {certificates}/{CERTIFICATE}.ca.crt"


def _digest_of(files: str) -> str:
    # An update of the package leaves the old program running.
    return f"{{ cat -- {files}; dpkg-query -W etcd-server; }} | sha256sum"


def record_command() -> str:
    """Return the command, for the starting unit, that keeps the digest of what it is started from in STARTED."""
    folder = STARTED.rpartition("/")[0]
    return f"umask 022; mkdir -p {folder} && {_digest_of(_files(CREDENTIALS))} >{STARTED}"


_SLOW = "slow fdatasync"
"""etcd logs this when the disk took over a second for a write."""
COMMAND = f"""
[ -x /usr/bin/etcd ] && [ -f {UNIT_FILE} ] && echo installed
[ -f {MEMBER} ] && echo member
[ -d {DATA}/member ] && echo data
[ -d {DATA} ] && echo "left $(df -P -B 1M -- {DATA} | awk 'NR == 2 {{ print $4 }}')"
[ -f {MEMBER} ] && echo "slow $(journalctl --quiet --unit={UNIT} --since=-1h --grep='{_SLOW}' 2>/dev/null | wc -l)"
echo "active $(systemctl show -p ActiveState -p SubState --value -- {UNIT} | tr '\\n' ' ')"
[ -f {STARTED} ] && echo "started $(head -c 64 {STARTED})"
for f in {_files(CERTIFICATES)}; do [ -f "$f" ] || exit 0; done
echo "present $({_digest_of(_files(CERTIFICATES))} | head -c 64)"
"""
"""For root. Its output is public."""


@dataclass(frozen=True)
class EtcdState:
    """One host's member of etcd as systemd and the files there show it."""

    installed: bool = False
    """Whether the role has been there."""
    member: bool = False
    """Whether the host is a member: whether `member.env` says what it joins."""
    data: bool = False
    """Whether it has data. A member gets some when it starts for the first time."""
    active: Active = "inactive"
    ends: bool = False
    """Whether it has ended on its own, and systemd starts it again in a moment."""
    started: str | None = None
    """Digest of what the running member was started from; None: it doesn't run, or that isn't known."""
    present: str | None = None
    """Digest of what a start would use now; None: something is missing."""
    left: int | None = None
    """MiB that its disk has left for data; None: there is no folder for data, or it isn't known."""
    slow: int = 0
    """Writes of the last hour for which the disk took over a second."""

    @property
    def runs(self) -> bool:
        return self.active in ("active", "activating")

    @property
    def low(self) -> bool:
        """Whether its disk is full or almost full."""
        return self.left is not None and self.left < LOW_MIB

    @property
    def outdated(self) -> bool:
        """Whether it runs with another unit, settings, certificate, CA or package version than are there now."""
        return self.runs and (self.started is None or self.started != self.present)


def parse(output: str) -> EtcdState:
    """Parse COMMAND's output. What can't be read counts as not there."""
    lines = [line.partition(" ") for line in output.splitlines()]
    found = {key: value for key, _, value in reversed(lines)}
    active, _, sub = found.get("active", "").partition(" ")
    return EtcdState(
        installed="installed" in found,
        member="member" in found,
        data="data" in found,
        active=_active(active, get_args(Active)),
        ends=sub.strip() == "auto-restart",
        started=_digest(found.get("started", "")),
        present=_digest(found.get("present", "")),
        left=_number(found.get("left", "")),
        slow=_number(found.get("slow", "")) or 0,
    )


def _active(word: str, known: Iterable[Active]) -> Active:
    return next((one for one in known if one == word), "inactive")


def _digest(text: str) -> str | None:
    return text if _DIGEST.fullmatch(text) else None


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None
