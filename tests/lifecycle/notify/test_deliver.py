"""Delivery: tries, a bounded time, all receivers at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rackwright.lifecycle.notify import deliver as deliver_module
from rackwright.lifecycle.notify.deliver import deliver
from rackwright.lifecycle.notify.notice import Notice
from rackwright.lifecycle.notify.undelivered import Undelivered
from tests.lifecycle.notify.notices import EVENTS, NOTICE, TOKEN, webhook
from tests.waiting import wait_until
from tests.webhook_receiver import webhook_receiver


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_module, "WAITS", (0.01, 0.01))


@dataclass
class Scripted:
    """A channel whose sends do this."""

    does: Callable[[], None]
    name: str = "scripted"
    events: tuple[str, ...] = EVENTS
    tries: list[Notice] = field(default_factory=list)

    def send(self, notice: Notice) -> None:
        self.tries.append(notice)
        self.does()


def why(channel: Scripted) -> str | None:
    (done,) = deliver(NOTICE, [channel])
    return done.failure.problems[0].what if done.failure else None


def test_a_receiver_that_answers_500_first_gets_it_at_the_second_try() -> None:
    with webhook_receiver(500, 200) as receiver:
        (done,) = deliver(NOTICE, [webhook(receiver.url)])
    assert done.failure is None
    assert receiver.events == ["failed", "failed"]


@pytest.mark.parametrize(("code", "tries"), [(500, 3), (404, 1)])
def test_what_goes_on_failing_is_reported_after_some_tries(code: int, tries: int) -> None:
    with webhook_receiver(*[code] * 9) as receiver:
        (done,) = deliver(NOTICE, [webhook(receiver.url)])
    assert len(receiver.posted) == tries
    assert done.failure
    assert done.failure.problems[0].what == f"answers {code}"


def test_all_receivers_are_reached_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=30)
    channels = [Scripted(lambda: [together.wait()].clear()) for _ in range(3)]
    assert [one.failure for one in deliver(NOTICE, channels)] == [None] * 3


def test_one_that_fails_keeps_no_other_from_it() -> None:
    with webhook_receiver(404) as failing, webhook_receiver() as well:
        first, second = deliver(NOTICE, [webhook(failing.url), webhook(well.url)])
    assert (first.failure is None, second.failure) == (False, None)
    assert well.events == ["failed"]


def test_the_time_is_bounded_and_no_try_starts_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_module, "SECONDS", 0.2)
    monkeypatch.setattr(deliver_module, "WAITS", (0.0, 0.0))
    released, ended = threading.Event(), threading.Event()

    def hangs() -> None:
        released.wait(60)
        ended.set()
        raise Undelivered("answers 500", where="scripted", again=True)

    channel = Scripted(hangs)
    assert why(channel) == "doesn't answer in time"
    before = threading.active_count()
    released.set()
    assert ended.wait(60)
    wait_until(lambda: threading.active_count() < before)
    assert len(channel.tries) == 1


def test_a_bug_is_a_failure_without_its_text() -> None:
    def breaks() -> None:
        raise RuntimeError(TOKEN)

    assert why(Scripted(breaks)) == "unexpected RuntimeError; this is a bug in rackwright"


@pytest.mark.parametrize(
    "channel", ["webhook(receiver.url.replace('https', 'http'), token=None)", "mail('127.0.0.1:1')"]
)
def test_the_lease_is_renewed_and_hosts_are_heard_meanwhile(channel: str) -> None:
    """Where sockets are cooperative, the receiver can be in the same thread: else both would wait forever."""
    code = f"""
from rackwright.cli.common.context import hosts_needed
hosts_needed()
from gevent import monkey
from tests.lifecycle.notify.notices import NOTICE, mail, webhook
from rackwright.lifecycle.notify import deliver
from tests.webhook_receiver import webhook_receiver
with webhook_receiver(tls=False) as receiver:
    deliver.WAITS = ()
    deliver.deliver(NOTICE, [{channel}])
    print(receiver.events, monkey.is_module_patched("ssl"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    events = ["failed"] if "webhook" in channel else []
    assert done.stdout == f"{events} True\n", done.stderr
