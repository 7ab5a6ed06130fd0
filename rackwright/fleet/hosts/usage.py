"""The usage that this host adds up, if it is a gateway, and the quotas that it knows of."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.fleet.sections.teams import Team
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.usage.settings import Settings, TeamQuota
from rackwright.values.text import Name


def usage_of(gateway: Gateway | None, teams: Mapping[Name, Team]) -> Settings | None:
    """Return whose usage the host adds up; None if it is no gateway."""
    if gateway is None:
        return None
    limited = {name: team for name, team in teams.items() if team.tokens_per_day or team.tokens_per_month}
    return Settings(
        gateway=gateway.name,
        others=tuple(peer.name for peer in gateway.peers),
        teams=tuple(
            TeamQuota(team=name, tokens_per_day=team.tokens_per_day or 0, tokens_per_month=team.tokens_per_month or 0)
            for name, team in limited.items()
        ),
        limits_keys=any(key.tokens_per_day or key.tokens_per_month for key in gateway.keys),
    )
