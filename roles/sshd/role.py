"""Let people in with keys only, and keep it so once a fresh connection has proven that we still get in."""

from __future__ import annotations

from pyinfra.api.deploy import deploy
from pyinfra.context import host

from rackwright.operations.facts.sshd import Sshd, SshdState
from rackwright.operations.sshd import sshd_confirmed, sshd_pending
from rackwright.roles.sshd.configuration import (
    KEYWORDS,
    acts,
    configuration,
    decided,
    opposed,
    overridden,
    unread,
)
from rackwright.roles.sshd.settings import Settings


@deploy("sshd")
def sshd(*, settings: Settings, confirm_seconds: int = 60) -> None:
    """Afterwards sshd admits keys only, by modern algorithms, for `confirm_seconds`; at boot it still does as before.

    What others say and wins over ours is named and left; a host without sshd is left alone.
    """
    state = _state(settings)
    if state.present:
        sshd_pending(
            name="Admit keys only, until it is confirmed",
            content=configuration(settings, state),
            keywords=decided(settings, state),
            acts=acts(settings, state),
            problem=unread(state),
            overridden=overridden(settings, state),
            opposed=opposed(settings, state),
            confirm_seconds=confirm_seconds,
        )


@deploy("sshd")
def confirm_sshd(*, settings: Settings) -> None:
    """Afterwards the settings that act stay, and act at boot. To be run over a connection made after `sshd`."""
    state = _state(settings)
    if state.present:
        sshd_confirmed(name="Keep what sshd admits", content=configuration(settings, state), pending=state.pending)


def _state(settings: Settings) -> Sshd:
    """What sshd is told; one that isn't looked after counts as none."""
    return Sshd() if settings.manage == "no" else host.get_fact(SshdState, keywords=KEYWORDS)
