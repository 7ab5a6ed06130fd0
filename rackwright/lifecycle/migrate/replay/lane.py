"""One side of a replay: asks it, waits as it says, asks again where that may help, and knows when to stop."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rackwright.lifecycle.migrate.replay.sender import Got, Sender
from rackwright.migrate.asking.price_of import UNCERTAIN
from rackwright.migrate.asking.stopped import Kind, Stopped
from rackwright.migrate.side import Side
from rackwright.values.secrets import Secret

TRIES = 4
"""How often a request is sent that the other end fails to answer."""
FIRST_PAUSE = 1.0
"""Seconds before the second try; each further one waits twice as long."""
LONGEST_PAUSE = 60.0
"""Seconds after a 429 that doesn't say how long to wait."""
LONGEST_WAIT = 3600.0
"""Seconds. If an end asks to wait longer, the replay stops; it can be continued then."""
MOST_LIMITED = 12
"""How many pauses after 429 may follow one another: an account without credit answers nothing else."""
MOST_FAILED = 10
"""How many requests in a row may end without an answer."""
_UNWILLING = (401, 403)
_HOPELESS: Mapping[str, Kind] = {
    "cloud_refused_key": "cloud's key refused",
    "cloud_redirected": "redirect",
    "model_not_on_side": "no model",
}
"""Codes of the gateways' own errors → why asking again has no use."""


class Stop(Exception):
    """This side can't be asked any further; `stopped` says why."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(stopped.line())
        self.stopped = stopped


class Keys(Protocol):
    def current(self) -> Secret: ...

    def instead_of(self, refused: Secret) -> Secret: ...


@dataclass(frozen=True)
class Pace:
    """Time, and when the ends may be asked. Tests have their own."""

    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    stopping: Callable[[], bool] = lambda: False
    """Whether the operator asked to stop."""
    closed_until: Callable[[], float] = lambda: 0.0
    """Seconds until the ends may be asked; 0: now."""

    def rest(self, seconds: float) -> None:
        """Wait, in steps so that Ctrl-C is heard. Raise Stop then."""
        end = self.now() + seconds
        while (left := end - self.now()) > 0:
            self.refuse_stopped()
            self.wait(min(left, 0.25))
        self.refuse_stopped()

    def refuse_stopped(self) -> None:
        if self.stopping():
            raise Stop(Stopped(kind="interrupted"))


@dataclass
class Lane:
    """Threads share it: when one of them is asked to wait, all do."""

    side: Side
    sender: Sender
    keys: Keys
    pace: Pace
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _until: float = 0.0
    """No request before this time."""
    _limited: int = 0
    _failed: int = 0
    _stop: Stopped | None = None

    def ask(self, path: str, body: bytes) -> Got:
        """Send a request and return its answer; an error of HTTP is one, too. Raise Stop if the replay must end."""
        tries, pause = 0, FIRST_PAUSE
        while True:
            got = self.ask_once(path, body)
            tries += 1
            if not self._may_help(got) or tries >= TRIES:
                return self._counted(got)
            if got.retry_after is not None:
                self._pause(got.retry_after)
            else:
                self.pace.rest(pause)
            pause *= 2

    def ask_once(self, path: str, body: bytes) -> Got:
        """Do the same, but send it again only after a 429, and let no failure count towards the end."""
        while True:
            got, sent = self._send(path, body)
            if got.status != 429:
                self._refuse_hopeless(got)
                return got
            self._wait_as_asked(got, sent)

    def end(self, stopped: Stopped) -> None:
        """Let no further request start."""
        with self._lock:
            self._stop = self._stop or stopped

    def _send(self, path: str, body: bytes) -> tuple[Got, float]:
        """Send a request when it may be; return the answer and when it was sent."""
        self._wait_for_turn()
        key, sent = self.keys.current(), self.pace.now()
        got = self.sender.send(path, body, key)
        if got.status in _UNWILLING:
            self._wait_for_turn()
            got = self.sender.send(path, body, self.keys.instead_of(key))
        return got, sent

    def _wait_for_turn(self) -> None:
        while True:
            with self._lock:
                if self._stop:
                    raise Stop(self._stop)
                left = self._until - self.pace.now()
            self.pace.refuse_stopped()
            left = max(left, self.pace.closed_until())
            if left <= 0:
                return
            self.pace.rest(min(left, 5.0))

    def _wait_as_asked(self, got: Got, sent: float) -> None:
        with self._lock:
            # Of several that were in flight together, the first counts.
            counts = sent >= self._until
            self._limited += counts
            limited = self._limited
        if limited > MOST_LIMITED:
            raise self._stopped("rate limit", _code(got))
        if got.retry_after is not None:
            self._pause(got.retry_after)
        elif counts:
            self._pause(min(FIRST_PAUSE * 2 ** (limited - 1), LONGEST_PAUSE))

    def _pause(self, seconds: float) -> None:
        if seconds > LONGEST_WAIT:
            raise self._stopped("long wait", f"{seconds:.0f} s")
        with self._lock:
            self._until = max(self._until, self.pace.now() + seconds)

    def _refuse_hopeless(self, got: Got) -> None:
        if got.status in _UNWILLING:
            raise self._stopped("key refused", str(got.status))
        if 300 <= got.status < 400:
            raise self._stopped("redirect", f"HTTP {got.status}")
        code = _code(got) if got.status >= 400 else ""
        if code in _HOPELESS:
            raise self._stopped(_HOPELESS[code], code)
        if got.untrusted:
            raise self._stopped("untrusted")

    def _may_help(self, got: Got) -> bool:
        """Whether the same request may be sent again. Not to a cloud that may have answered it: it is paid twice."""
        if got.status in UNCERTAIN:
            return self.side == "fleet"
        return got.status in (408, 425) or got.status >= 500 or not got.sent

    def _counted(self, got: Got) -> Got:
        unheard = got.status == 0 or got.status >= 500
        with self._lock:
            self._limited = 0
            self._failed = self._failed + 1 if unheard else 0
            failed = self._failed
        if failed >= MOST_FAILED:
            self._stopped("unanswered", f"{failed} requests in a row unanswered: {_seen(got)}")
        return got

    def _stopped(self, kind: Kind, detail: str = "") -> Stop:
        stopped = Stopped(kind=kind, side=self.side, detail=detail)
        self.end(stopped)
        return Stop(stopped)


def _seen(got: Got) -> str:
    return got.problem or f"HTTP {got.status}"


def _code(got: Got) -> str:
    """Return the error's code. Its message may have a part of the key."""
    try:
        code = json.loads(got.content)["error"]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return code if isinstance(code, str) and re.fullmatch("[a-z_]{1,40}", code) else ""
