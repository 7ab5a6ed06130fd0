"""A provider that fails, and a process that is killed: an export goes on to the same end, or says why it can't."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from copy import copy
from functools import partial
from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate import provider_client
from rackwright.lifecycle.migrate.export import jobs, procedure
from rackwright.lifecycle.migrate.export.opened import export_path
from rackwright.lifecycle.migrate.provider_turns import Turns
from rackwright.migrate.export import part_files
from rackwright.values.secrets import Secret
from tests.gateway.certificates import CertificateAuthority
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.stored_objects import exports_of, reach, run, store, what_is_there
from tests.loopback_tls import bundle, server_files
from tests.stand_in_cloud import KEY, Fault, StandInCloud, stand_in_cloud


class Clock:
    """Time that passes while someone waits."""

    waited = 0.0

    def now(self) -> float:
        return time.monotonic() + self.waited

    def sleep(self, seconds: float) -> None:
        self.waited += seconds


@pytest.fixture
def cloud(desk: Desk) -> Iterator[StandInCloud]:
    with stand_in_cloud(*server_files()) as running:
        store(running)
        reach(desk, running)
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(procedure, "Turns", partial(Turns, now=clock.now, sleep=clock.sleep))
    return clock


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=429, times=3, retry_after="7"),
        Fault("status", status=429, times=3),
        Fault("status", status=500, times=4),
        Fault("status", status=503, times=2, retry_after="20"),
        Fault("cut", times=3, path="/v1/files/"),
        Fault("cut", times=2, path="/v1/vector_stores/vs_1/files/"),
        Fault("reset", times=4),
        Fault("silence", times=2),
    ],
    ids=lambda one: f"{one.kind} {one.status} {one.retry_after} {one.path}",
)
def test_a_provider_that_fails_for_a_while(
    desk: Desk, cloud: StandInCloud, clock: Clock, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    if fault.kind == "silence":
        monkeypatch.setattr(provider_client, "SECONDS", 2)
    cloud.faults.append(fault)
    assert run(desk).whole
    assert fault.times == 0
    assert len(what_is_there(desk)) == 13


def test_it_waits_as_long_as_it_is_asked_to(desk: Desk, cloud: StandInCloud, clock: Clock) -> None:
    cloud.faults.append(Fault("status", status=429, retry_after="600"))
    assert run(desk).whole
    assert 599 < clock.waited < 601


def test_a_provider_that_takes_few_requests_in_a_second(desk: Desk, cloud: StandInCloud) -> None:
    cloud.rate = 12
    assert run(desk).whole
    assert len(what_is_there(desk)) == 13


def test_no_request_is_sent_while_the_provider_says_that_none_is_left(cloud: StandInCloud, clock: Clock) -> None:
    cloud.rate = 1
    turns = Turns(now=clock.now, sleep=clock.sleep)
    ca, url = Path(bundle()).read_text(), cloud.url.replace("127.0.0.1", "localhost") + "/v1"
    with provider_client.provider_client(
        url, "bearer", [Secret(KEY)], ca=ca, limits=procedure.LIMITS, turns=turns
    ) as client:
        client.get("/models")
        assert [one.status for one in cloud.received] == [200]
        turns.take()
    assert 0 < clock.waited <= 1.1


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault("status", status=429, times=-1), "it answers nothing but 429"),
        (Fault("status", status=429, times=-1, retry_after="90000"), "it asks to wait 86400 s"),
        (Fault("status", status=500, times=-1), "10 requests in a row have no answer: HTTP 500"),
        (Fault("reset", times=-1), "10 requests in a row have no answer: it doesn't answer"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.kind,
)
def test_a_provider_that_fails_in_the_middle_ends_the_run(
    desk: Desk, cloud: StandInCloud, clock: Clock, fault: Fault, why: str
) -> None:
    cloud.contents |= {f"more-{n}": b"more" for n in range(40)}
    cloud.objects["/v1/files"] += [{"id": f"more-{n}", "bytes": 4} for n in range(40)]
    fault.path = "/v1/files/more"
    cloud.faults.append(fault)
    with pytest.raises(RackwrightError, match=why) as ended:
        run(desk)
    assert ended.value.problems[0].next == "rackwright migrate export support"
    entry = desk.open().entries()[-1]
    assert entry.what.endswith(f"not whole; stopped: {why}")
    assert exports_of(desk).last_run is None
    cloud.faults.clear()
    assert run(desk).whole
    assert len(what_is_there(desk)) == 53


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (Fault("garbled", times=-1), "the answer isn't JSON"),
        (Fault("huge", times=-1), "an answer has more than 1 MiB"),
        (Fault("redirect", times=-1, location="https://127.0.0.1:1/"), "HTTP 302"),
        (Fault("status", status=403, times=-1), "HTTP 403"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.kind,
)
def test_a_list_that_cant_be_read_keeps_the_export_from_being_whole(
    desk: Desk, cloud: StandInCloud, clock: Clock, monkeypatch: pytest.MonkeyPatch, fault: Fault, problem: str
) -> None:
    assert run(desk).whole
    monkeypatch.setattr(provider_client, "MOST_PAGE", 2**19)
    monkeypatch.setattr(procedure, "LIMITS", provider_client.Limits(large=2**20, patient=True))
    fault.path = "/v1/batches"
    cloud.faults.append(fault)
    done = run(desk)
    assert (done.whole, done.unlisted) == (False, {"batches": problem})
    assert not exports_of(desk).known["batches", "batch_1"].gone


def test_a_list_that_is_cut_off_makes_nothing_gone(desk: Desk, cloud: StandInCloud, clock: Clock) -> None:
    assert run(desk).whole
    cloud.faults.append(Fault("cut", times=-1, path="/v1/files"))
    done = run(desk)
    assert (done.whole, done.unlisted) == (False, {"files": "it doesn't answer"})
    assert not any(one.gone for one in exports_of(desk).known.values())


def test_a_content_that_never_ends(
    desk: Desk, cloud: StandInCloud, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_client, "SLOW_START", 0.2)
    del cloud.objects["/v1/files"][1]["bytes"]
    cloud.faults.append(Fault("drip", times=-1, path="/v1/files/file-1/content"))
    done = run(desk)
    found = next(one for one in done.missing if one.id == "file-1")
    assert (found.why, found.reason) == ("failed", "its content is slower than 10 kB/s")


def test_a_page_with_more_than_8_mib_is_read(
    desk: Desk, cloud: StandInCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_client, "MOST_PAGE", 2**16)
    path = "/v1/vector_stores/vs_1/files/file-3/content"
    cloud.objects[path] = [{"id": "c1", "type": "text", "text": "a" * 2**18}]
    assert run(desk).whole


def test_an_untrusted_certificate(desk: Desk, cloud: StandInCloud, clock: Clock, tmp_path: Path) -> None:
    CertificateAuthority(tmp_path).issue("other", ("localhost",), client=False)
    cloud.present(tmp_path / "other.crt", tmp_path / "other.key.cred")
    with pytest.raises(RackwrightError, match="the provider lists nothing") as refused:
        run(desk)
    assert "files: its certificate isn't trusted" in refused.value.problems[0].listed
    assert not cloud.received


def test_a_run_that_ends_early_forgets_no_id(desk: Desk, cloud: StandInCloud, clock: Clock, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("resp_1\nconv_1\n")
    cloud.faults.append(Fault("status", status=429, times=-1, path="/v1/vector_stores"))
    with pytest.raises(RackwrightError, match="ended early"):
        run(desk, ids=ids)
    waiting = {(one.kind, one.id): one.reason for one in exports_of(desk).missing()}
    assert waiting["responses", "resp_1"] == waiting["conversations", "conv_1"] == "its turn hasn't come"
    cloud.faults.clear()
    assert run(desk).whole
    assert {("responses", "resp_1"), ("conversations", "conv_1")} <= set(what_is_there(desk))


@pytest.mark.parametrize("with_ids", [False, True])
def test_an_address_without_lists_is_no_empty_account(
    desk: Desk, cloud: StandInCloud, tmp_path: Path, with_ids: bool
) -> None:
    (tmp_path / "ids").write_text("resp_1\n")
    right = desk.path.read_text()
    desk.path.write_text(right.replace("/v1\n", "/v2\n"))
    with pytest.raises(RackwrightError, match="the provider lists nothing"):
        run(desk, ids=tmp_path / "ids" if with_ids else None)
    assert desk.open().entries() == ()
    desk.path.write_text(right)
    run(desk)
    assert (("responses", "resp_1") in what_is_there(desk)) == with_ids


@pytest.mark.parametrize("with_ids", [False, True])
def test_an_address_that_becomes_wrong_makes_nothing_gone(
    desk: Desk, cloud: StandInCloud, tmp_path: Path, with_ids: bool
) -> None:
    ids = tmp_path / "ids"
    ids.write_text("resp_1\n")
    run(desk, ids=ids)
    before = desk.open().entries()
    desk.path.write_text(desk.path.read_text().replace("/v1\n", "/v2\n"))
    with pytest.raises(RackwrightError, match="the provider lists nothing"):
        run(desk, ids=ids if with_ids else None)
    assert desk.open().entries() == before
    assert not exports_of(desk).known["responses", "resp_1"].gone


def test_a_provider_that_has_only_responses(desk: Desk, cloud: StandInCloud, tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("resp_1\n")
    lists = ("files", "batches", "fine_tuning/jobs", "vector_stores", "chat/completions")
    cloud.faults += [Fault("status", status=404, times=-1, path=f"/v1/{one}") for one in lists]
    for _ in range(2):
        assert run(desk, ids=ids).whole
    with pytest.raises(RackwrightError, match="the provider lists nothing"):
        run(desk)


def test_a_list_that_the_provider_doesnt_have(desk: Desk, cloud: StandInCloud) -> None:
    cloud.faults.append(Fault("status", status=404, path="/v1/vector_stores"))
    done = run(desk)
    assert (done.whole, done.not_offered) == (True, ("vector stores",))
    assert run(desk).whole
    # What was there before isn't gone because a list is.
    cloud.faults.append(Fault("status", status=404, path="/v1/vector_stores"))
    assert run(desk).unlisted == {"vector stores": "HTTP 404"}


def test_a_disk_that_is_full_stops_the_run(desk: Desk, cloud: StandInCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(part_files.os, "fsync", full)
        with pytest.raises(RackwrightError, match="can't be written: No space left on device"):
            run(desk)
    assert list(export_path(desk.open().folder).rglob("*.age")) == []
    assert run(desk).whole


def test_ctrl_c_ends_the_run_and_the_next_one_goes_on(
    desk: Desk, cloud: StandInCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return asked > 12

    with monkeypatch.context() as patched:
        patched.setattr(procedure, "Turns", lambda **words: Turns(**{**words, "stopping": stopping}))
        with pytest.raises(RackwrightError, match="ended early: it was interrupted"):
            run(desk)
    done = run(desk)
    assert done.whole
    assert len(what_is_there(desk)) == 13


def test_more_objects_than_may_wait(desk: Desk, cloud: StandInCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_WAITING", 1)
    assert run(desk).whole


def test_a_kill_at_any_write_leads_to_the_same_end(desk: Desk, cloud: StandInCloud, tmp_path: Path) -> None:
    run(desk)
    there = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.lifecycle.migrate.killed_export", str(there), cloud.url, bundle()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert int(ran.stdout) > 5, ran.stderr
    again = copy(desk)
    again.path = there / "laptop" / "site.yml"
    assert what_is_there(again) == what_is_there(desk)
    path = export_path(again.open().folder)
    named = {part.file for _, line in exports_of(again).contents() for one in line.pieces for part in one.parts}
    assert {str(one.relative_to(path)) for one in path.rglob("*.age")} == named
