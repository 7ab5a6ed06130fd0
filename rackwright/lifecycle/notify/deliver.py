"""Send a notice to all receivers at the same time, with a few tries, within a bounded time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Protocol

from rackwright.lifecycle.notify.notice import Notice
from rackwright.lifecycle.notify.undelivered import Undelivered

SECONDS = 20.0
"""The longest time for all of it."""
WAITS = (1.0, 3.0)
"""Seconds before the second and the third try."""


class Channel(Protocol):
    """A receiver that can be sent to."""

    @property
    def name(self) -> str:
        """What an operator knows it by."""

    @property
    def events(self) -> tuple[str, ...]:
        """What it hears of."""

    def send(self, notice: Notice) -> None:
        """Send the notice once. Raise Undelivered if the receiver doesn't have it."""


@dataclass(frozen=True)
class Delivery:
    channel: Channel
    failure: Undelivered | None
    """Why the receiver doesn't have the notice; None: it has."""


def deliver(notice: Notice, channels: Sequence[Channel]) -> tuple[Delivery, ...]:
    """Send the notice; return for each receiver whether it has it."""
    end = time.monotonic() + SECONDS
    given_up = Event()
    tries = [_Tries(channel, notice, given_up) for channel in channels]
    try:
        for one in tries:
            one.start()
        for one in tries:
            one.join(max(0.0, end - time.monotonic()))
        return tuple(Delivery(one.channel, one.failure) for one in tries)
    finally:
        given_up.set()


class _Tries(Thread):
    """The tries for one receiver. `failure` is None as soon as it has the notice."""

    def __init__(self, channel: Channel, notice: Notice, given_up: Event) -> None:
        super().__init__(daemon=True)
        self.channel, self._notice, self._given_up = channel, notice, given_up
        self.failure: Undelivered | None = Undelivered("doesn't answer in time", where=channel.name)

    def run(self) -> None:
        for wait in (*WAITS, None):
            self.failure = self._failure()
            if not (self.failure and self.failure.again) or wait is None or self._given_up.wait(wait):
                return

    def _failure(self) -> Undelivered | None:
        try:
            self.channel.send(self._notice)
        except Undelivered as error:
            return error
        except Exception as error:
            # Its text may have a secret.
            what = f"unexpected {type(error).__name__}; this is a bug in rackwright"
            return Undelivered(what, where=self.channel.name)
        return None
