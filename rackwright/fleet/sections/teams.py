"""`teams`: how much the keys of one owner may use together, and whose requests go first."""

from __future__ import annotations

from rackwright.values.amounts import Tokens
from rackwright.values.base import Frozen
from rackwright.values.priority import Priority


class Team(Frozen):
    """The keys whose owner has this name. Quotas are over all gateways, in UTC."""

    tokens_per_day: Tokens | None = None
    tokens_per_month: Tokens | None = None
    priority: Priority = "normal"
    """In which order requests wait for a free slot."""
