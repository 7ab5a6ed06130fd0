"""`notify test`: every receiver gets a test notice."""

from __future__ import annotations

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.notify.channels import channels_of
from rackwright.lifecycle.notify.deliver import Delivery, deliver
from rackwright.lifecycle.notify.notice import notice_of


def notify_test(fleet: Fleet) -> tuple[Delivery, ...]:
    """Send a test notice to every receiver, whatever events it hears of. Raise UsageError if there is none."""
    channels = channels_of(fleet)
    if not channels:
        raise UsageError(
            "has no receivers", where=str(fleet.path), should="notify: should name a webhook or a mail address"
        )
    return deliver(notice_of(fleet, "notify test", "test", "test notice: nothing happened"), channels)
