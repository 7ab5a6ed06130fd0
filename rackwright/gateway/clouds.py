"""Whether running gateways reach their clouds, as HAProxy's health checks found."""

from __future__ import annotations

from dataclasses import dataclass

SHOW_CLOUDS = """answer admin 'show servers state'
case $said in '1
# be_id '*) printf '%s\n' "$said" ;; *) unexpected admin 'show servers state' ;; esac
"""
_MAINTENANCE, _RUNNING = 1, 2
"""srv_admin_state's bit FMAINT, srv_op_state's SRV_ST_RUNNING (management guide, `show servers state`)."""


@dataclass(frozen=True)
class CloudState:
    """One cloud as one gateway sees it."""

    up: int
    """How many of its addresses answer."""
    known: int
    """How many addresses HAProxy has. Through a proxy, the cloud counts as one."""

    @property
    def reached(self) -> bool:
        return self.up > 0

    @property
    def text(self) -> str:
        """What is up, or why nothing is, in a few words."""
        if not self.known:
            return "its name has no address here"
        return f"{self.up} of {self.known} addresses up"


def parse_clouds(text: str) -> dict[str, CloudState]:
    """Given the output of SHOW_CLOUDS, return one gateway's clouds by name."""
    found: dict[str, CloudState] = {}
    for row in (line.split() for line in text.splitlines()):
        if len(row) < 7 or not row[1].startswith("cloud."):
            continue
        name, before = row[1].removeprefix("cloud."), found.get(row[1].removeprefix("cloud."), CloudState(0, 0))
        known = not int(row[6]) & _MAINTENANCE
        up = known and int(row[5]) == _RUNNING
        found[name] = CloudState(before.up + up, before.known + known)
    return found
