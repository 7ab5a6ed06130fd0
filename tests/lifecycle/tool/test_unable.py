"""People hear that the tool couldn't look at what is due, once a day for each reason, at a real receiver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.notify import deliver
from rackwright.lifecycle.notify.notified import notified
from rackwright.lifecycle.tool import unable
from rackwright.lifecycle.tool.applied_fleet import applied_fleet
from rackwright.lifecycle.tool.unable import failures_reported
from tests.fleet.test_unattended import WHOLE
from tests.lifecycle.notify.fleets import Said, fleet_with
from tests.lifecycle.schedule.world import Clock
from tests.lifecycle.tool.test_applied_fleet import applied, handed, locked
from tests.loopback_tls import bundle
from tests.webhook_receiver import Receiver, webhook_receiver

DAY = timedelta(days=1)


@dataclass
class Bench:
    """A tool host whose root has handed over a fleet with receivers."""

    receiver: Receiver
    folder: Path
    clock: Clock = field(default_factory=lambda: Clock(datetime(2026, 12, 1, tzinfo=UTC)))
    said: Said = field(default_factory=Said)
    notify: str = ""
    version: str = "0.1.0+0000aaaa"

    @property
    def handed(self) -> Path:
        text = WHOLE + (self.notify or f"notify: {{url: '{self.receiver.url}', ca: ca.pem}}\n")
        given = applied(text, version=self.version, **{"site/ca.pem": Path(bundle()).read_bytes()})
        return handed(self.folder, given)

    def fails(self, what: str = "etcd can't answer", where: str = "ctl1") -> None:
        error = RackwrightError(what, where=where, next="look there")
        with pytest.raises(RackwrightError) as raised, self.watched():
            raise error
        assert raised.value is error

    def watched(self) -> Any:
        return failures_reported(cast(Any, self.said), self.handed)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(deliver, "WAITS", ())
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "state").mkdir()
    (tmp_path / "tmp").mkdir()
    with webhook_receiver() as receiver:
        made = Bench(receiver, tmp_path)
        monkeypatch.setattr(unable, "utc_now", made.clock)
        yield made


def test_a_failure_is_reported_with_its_reason_once_a_day(bench: Bench) -> None:
    bench.fails()
    (posted,) = bench.receiver.posted
    assert (posted.document["event"], posted.document["command"]) == ("failed", "schedule run")
    assert posted.document["summary"] == "schedule run failed: ctl1: etcd can't answer"
    assert posted.document["next"] == "look there"
    bench.fails()
    bench.clock.now += DAY / 2
    bench.fails()
    assert bench.receiver.events == ["failed"]
    bench.fails("its journal is damaged")
    bench.clock.now += DAY / 2
    bench.fails()
    assert bench.receiver.events == ["failed"] * 3
    assert bench.said.lines == []


def test_another_version_is_reported_although_the_fleet_can_t_be_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rackwright.lifecycle.tool.version.own_version", lambda: "0.1.0+0000aaaa")
    bench.version = "0.2.0+1111bbbb"
    monkeypatch.setattr("rackwright.lifecycle.tool.applied_fleet.read_lock", lambda path: locked(path.read_text()))
    with pytest.raises(RackwrightError, match="another version could undo"), bench.watched():
        applied_fleet(bench.handed, bench.folder / "own")
    (posted,) = bench.receiver.posted
    assert posted.document["reason"].startswith("the applied lock: has the tool 0.2.0+1111bbbb")


def test_numbers_that_change_are_no_other_reason_and_a_day_has_few_reasons(bench: Bench) -> None:
    for seconds in ("4.0", "4.1", "12"):
        bench.fails(f"timed out after {seconds} s")
    assert len(bench.receiver.events) == 1
    for letter in "abcdefghijklmnop":
        bench.fails(f"no {letter}")
    assert len(bench.receiver.events) == 10


def test_a_mark_of_the_future_silences_nothing(bench: Bench) -> None:
    bench.clock.now += 365 * DAY
    bench.fails()
    bench.clock.now -= 365 * DAY
    bench.fails()
    assert len(bench.receiver.events) == 2


def test_what_no_receiver_got_is_sent_again(bench: Bench) -> None:
    bench.notify = f"notify: {{url: '{bench.receiver.url}', token: 'env:TOKEN', ca: ca.pem}}\n"
    bench.fails()
    assert (bench.receiver.events, len(bench.said.lines)) == ([], 1)
    bench.notify = ""
    bench.fails()
    assert bench.receiver.events == ["failed"]


def test_what_a_run_reported_itself_is_not_reported_again(bench: Bench) -> None:
    fleet = fleet_with({"url": bench.receiver.url})
    run = notified(fleet, "patch run", cast(Any, bench.said), agreed=True)
    with pytest.raises(RackwrightError), bench.watched(), run:
        raise RackwrightError("a gate is closed", where="gpu1")
    assert [one.document["command"] for one in bench.receiver.posted] == ["patch run"]


def test_nothing_hides_the_error(bench: Bench) -> None:
    bench.notify = "no fleet file: {"
    bench.fails()
    assert bench.receiver.events == []
    bench.notify = ""
    (bench.folder / "state/reported").touch()
    bench.fails()
    bench.fails()
    assert bench.receiver.events == ["failed", "failed"]
    with pytest.raises(RackwrightError, match="etcd"), failures_reported(cast(Any, bench.said), bench.folder / "no"):
        raise RackwrightError("etcd can't answer")


def test_a_bug_is_reported_without_its_text(bench: Bench) -> None:
    with pytest.raises(KeyError), bench.watched():
        raise KeyError("s3cret")
    (posted,) = bench.receiver.posted
    assert posted.document["reason"] == "unexpected KeyError; this is a bug in rackwright"


def test_a_person_on_another_machine_sees_it_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RACKWRIGHT_TOOL")
    bench.fails()
    assert bench.receiver.events == []
    with bench.watched():
        pass
