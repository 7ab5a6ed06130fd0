"""Allow logins with keys only, and make this permanent after a fresh connection has proven that logins still work."""

from __future__ import annotations

from pyinfra.api.deploy import deploy
from pyinfra.context import host

from rackwright.operations.banner import banner
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
    """Have sshd allow keys only, with modern algorithms, for `confirm_seconds`; at boot the old settings still apply.

    Lines of other files that override rackwright's are reported and left alone, as is a host without sshd.
    """
    state = _state(settings)
    if state.present:
        banner(name="Show the banner before logins", text=settings.banner)
        sshd_pending(
            name="Allow keys only, until confirmed",
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
    """Make the current settings permanent. Run this over a connection that was made after `sshd`."""
    state = _state(settings)
    if state.present:
        sshd_confirmed(name="Confirm sshd's settings", content=configuration(settings, state), pending=state.pending)


def _state(settings: Settings) -> Sshd:
    """Return sshd's state; an sshd that rackwright doesn't manage counts as absent."""
    return Sshd() if settings.manage == "no" else host.get_fact(SshdState, keywords=KEYWORDS)
