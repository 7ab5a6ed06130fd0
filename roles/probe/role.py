"""Installs one replica's probe and the answer that the host proxy asks for."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.watched_replica import looking
from rackwright.roles.probe import scripts, units
from rackwright.roles.probe.settings import Settings


@deploy("probe")
def probe(*, settings: Settings) -> None:
    """Afterwards the replica's state is renewed every few seconds, and its agent answers on loopback.

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
