"""A temporary API key of the gateways whose requests go to one side, for as long as a replay takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from rackwright.fleet.keys_file import new_key
from rackwright.lifecycle.session.remember import note_lent_key
from rackwright.lifecycle.session.session import Session
from rackwright.migrate.side import Side
from rackwright.values.secrets import Secret

SECONDS = 3600
"""How long a key is valid if the command is killed."""
Lend = Callable[[str, int], AbstractContextManager[None]]
"""Given a key's sha256 and seconds, make the gateways accept it for a block, but no longer than these seconds."""


class LentKey:
    """A key that is replaced before it expires, or if the gateways have forgotten it. Threads share it."""

    def __init__(self, id: str, lend: Lend, keys: ExitStack, clock: Callable[[], float] = time.monotonic) -> None:
        self._id, self._lend, self._keys, self._clock = id, lend, keys, clock
        self._changing = threading.Lock()
        self._key: Secret | None = None
        self._lent = 0.0

    def current(self) -> Secret:
        """Return a key that is valid for at least half of SECONDS, unless the gateways forget it."""
        with self._changing:
            if self._key is None or self._clock() - self._lent > SECONDS / 2:
                self._key = self._another()
            return self._key

    def instead_of(self, refused: Secret) -> Secret:
        """Return another key than the one that was refused: a gateway that reloads forgets lent keys."""
        with self._changing:
            if self._key is None or self._key == refused:
                self._key = self._another()
            return self._key

    def _another(self) -> Secret:
        key, sha256 = new_key(self._id)
        # The one before stays until the end: requests with it may be in flight.
        self._keys.enter_context(self._lend(sha256, SECONDS))
        self._lent = self._clock()
        return key


@contextmanager
def lent_key(session: Session, side: Side) -> Iterator[LentKey]:
    """Yield a key whose requests this side answers. After the block, the gateways have none of it."""
    id = f"replay-{side}"

    def lend(sha256: str, seconds: int) -> AbstractContextManager[None]:
        return session.gateways.temporary_key(sha256, id=id, seconds=seconds, side=side)

    note_lent_key(session, "migrate")
    with ExitStack() as keys:
        yield LentKey(id, lend, keys)
