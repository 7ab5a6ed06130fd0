"""Installs what binds one member of a replica to the others."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.watched_replica import looking
from rackwright.roles.bond import scripts, units
from rackwright.roles.bond.settings import Settings


@deploy("bond")
def bond(*, settings: Settings) -> None:
    """Afterwards this member tells the others how its engine is, and looks at them every few seconds.

    Needs curl on the host.
    """
    texts = {"bond": scripts.bond(settings), "word": scripts.word(settings)}
    looking(
        replica=settings.replica,
        scripts={kind: (settings.scripts[kind], text) for kind, text in texts.items()},
        service=("bond's unit", settings.service, units.service(settings)),
        answer=("word's unit", settings.word, units.word(settings)),
        started=(
            ("bond's timer", settings.timer, units.timer(settings)),
            ("word's socket", settings.word_socket, units.word_socket(settings)),
        ),
    )
