"""How far a cutover is, as the migration's log has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rackwright.migrate.cutover.fallback_cap import FallbackCap
from rackwright.values.base import Stored

Phase = Literal["going", "reached", "passed", "failed", "open", "back"]
"""going: a change of the share was started; reached: every gateway has it; passed: its gate said PASS; failed: a gate
said FAIL, and the gateways have this smaller share again; open: there was no clear verdict in time, the share stays;
back: a rollback."""


class CutoverState(Stored):
    format: str = "migration-cutover/1"
    phase: Phase
    share: float
    """Percent of new conversations that the fleet should have now."""
    before: float = 0
    """What it had before this step."""
    change: str = ""
    """Names the change of the share at the gateways."""
    follows: str = ""
    """The change before it; "": the cloud answered all requests."""
    since: Mapping[str, int] = {}
    """Gateway → when it got the share, by its clock, Unix seconds."""
    earlier: Mapping[str, int] = {}
    """The same of the newest share with which the cloud had new conversations, too."""
    earlier_share: float = 0
    why: str = ""
    """What the gate said."""
    passed: tuple[float, ...] = ()
    """The shares whose gates have said PASS in this migration."""
    tried_back: bool = False
    """Whether a rollback has reached all gateways in this migration."""
    missed: Mapping[str, str] = {}
    """Gateway → why it couldn't be rolled back."""
    fallback: FallbackCap | None = None
    """What the cloud may answer in the fleet's place; None: nothing."""

    @property
    def under_way(self) -> bool:
        """Whether the fleet has a share, or is about to get one."""
        return self.phase != "back" and self.share > 0

    @property
    def whole(self) -> bool:
        """Whether all new conversations go to the fleet, for good."""
        return self.phase == "passed" and self.share == 100
