"""Connect one member of a replica to the others."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.watched_replica import looking
from rackwright.roles.replica_group import scripts, units
from rackwright.roles.replica_group.settings import Settings


@deploy("replica_group")
def replica_group(*, settings: Settings) -> None:
    """Ensure that this member reports the state of its engine to the others, and checks them every few seconds.

    Needs curl on the host.
    """
    texts = {"watch": scripts.watch(settings), "member": scripts.member(settings)}
    looking(
        replica=settings.replica,
        scripts={kind: (settings.scripts[kind], text) for kind, text in texts.items()},
        service=("replica group's unit", settings.service, units.service(settings)),
        answer=("member's unit", settings.member, units.member(settings)),
        started=(
            ("replica group's timer", settings.timer, units.timer(settings)),
            ("member's socket", settings.member_socket, units.member_socket(settings)),
        ),
    )
