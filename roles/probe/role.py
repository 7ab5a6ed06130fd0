"""Install one replica's probe and the agent that the host proxy asks."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.watched_replica import looking
from rackwright.roles.probe import scripts, units
from rackwright.roles.probe.settings import Settings


@deploy("probe")
def probe(*, settings: Settings) -> None:
    """Ensure that the probe renews the replica's state every few seconds, and that its agent answers on loopback.

    Needs curl on the host.
    """
    looking(
        replica=settings.replica,
        scripts={kind: (settings.scripts[kind], render(settings)) for kind, render in scripts.ALL.items()},
        service=("probe's unit", settings.service, units.service(settings)),
        answer=("answer's unit", settings.agent, units.agent(settings)),
        started=(
            ("timer", settings.timer, units.timer(settings)),
            ("agent", settings.agent_socket, units.agent_socket(settings)),
        ),
    )
