"""Weights through libtorrent: they arrive and are hashed, and no other host gets a byte."""

from __future__ import annotations

import json
import runpy
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.roles.p2p_hosts import MEGABYTE, PORT, PROGRAM, CertificateAuthority, Make, contents
from tests.waiting import wait_until

pytest.importorskip("libtorrent")


def test_files_arrive_whole_at_every_host_each_from_the_one_before(chain: Make) -> None:
    hosts = chain(3 * MEGABYTE, 1, 5 * MEGABYTE)
    # The last host can reach only the second one.
    hosts.start(1)
    hosts.start(2, peers=(1,))
    wait_until(lambda: hosts.state(2) == "done")
    assert hosts.whole(1)
    assert hosts.whole(2)
    assert hosts.status(2)["bytes"] == 8 * MEGABYTE + 1


@pytest.mark.parametrize("wrong", ["another CA", "another p2p's name"])
def test_a_host_without_a_certificate_of_this_transfer_gets_no_byte(chain: Make, wrong: str) -> None:
    hosts = chain(2 * MEGABYTE)
    if wrong == "another CA":
        hosts.start(1, issuer=CertificateAuthority())
    else:
        hosts.start(1, name="p2p-0011223344556677-other")
    hosts.start(2, peers=(0,))
    # The second host gets all of it: that shows that there was time for the first.
    wait_until(lambda: hosts.state(2) == "done")
    assert hosts.status(1)["bytes"] == 0
    assert not any(path.name in hosts.files for path in hosts.data(1).iterdir() if path.stat().st_blocks)


def test_a_cap_holds_on_private_addresses(chain: Make) -> None:
    """Four seconds' worth of data; without the cap it takes one or two."""
    hosts = chain(16 * MEGABYTE, rate=4 * MEGABYTE)
    began = time.monotonic()
    hosts.start(1)
    wait_until(lambda: hosts.state(1) == "done")
    assert time.monotonic() - began > 3


def test_what_lies_on_the_disk_is_hashed_whatever_the_resume_data_says(chain: Make) -> None:
    hosts = chain(4 * MEGABYTE)
    hosts.start(1)
    wait_until(lambda: hosts.state(1) == "done")
    hosts.processes[1].terminate()
    hosts.processes[1].communicate()
    (digest,) = hosts.files
    with (hosts.data(1) / digest).open("r+b") as file:
        file.seek(MEGABYTE)
        file.write(b"damaged")
    hosts.start(1)
    _, said = hosts.processes[1].communicate(timeout=120)
    assert f"should be {digest}" in said
    assert not (hosts.data(1) / "resume").exists()


def test_it_asks_whom_it_is_told_to_while_it_runs(chain: Make) -> None:
    hosts = chain(2 * MEGABYTE)
    hosts.start(1, peers=(7,))
    wait_until(lambda: hosts.state(1) == "waiting")
    (hosts.run_folder(1) / "peers.json").write_text(json.dumps([[hosts.address(0), PORT]]))
    wait_until(lambda: hosts.state(1) == "done")


def test_it_ends_by_itself_when_nothing_comes_or_goes_any_more(chain: Make) -> None:
    hosts = chain(MEGABYTE, idle=2)
    hosts.start(1, peers=(7,))
    _, said = hosts.processes[1].communicate(timeout=120)
    assert hosts.processes[1].returncode == 1
    assert "nothing has arrived for 2 s" in said
    assert hosts.processes[0].wait(timeout=120) == 0


def test_a_torrent_of_other_files_than_the_plan_s_is_refused(chain: Make) -> None:
    hosts = chain(MEGABYTE)
    hosts.files = contents(MEGABYTE)
    hosts.start(1)
    _, said = hosts.processes[1].communicate(timeout=120)
    assert "the torrent's files are not those of the lock" in said
    assert hosts.state(1) == "failed"


def test_checking_what_arrived_before_is_no_standstill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that takes seconds needs gigabytes, so the session is a stand-in that checks a little at each look."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    program = runpy.run_path(str(PROGRAM))
    state: Any = Counted(progress_ppm=0)
    p2p = program["PeerToPeer"].__new__(program["PeerToPeer"])
    p2p.plan, p2p.folder = SimpleNamespace(idle=0, first=False), tmp_path
    p2p.moved, p2p.moved_at, p2p.saved_at, p2p.saving = (), 0.0, 0.0, True
    p2p.hashes = SimpleNamespace(wrong="", read=0, whole=0, size=0, all_right=False)
    p2p.handle = SimpleNamespace(status=lambda: state)
    p2p.peers = SimpleNamespace(look=lambda *_: None)
    p2p.status = SimpleNamespace(tell=lambda *_, **__: None)
    for progress in (1, 2, 3):
        state.progress_ppm = progress
        p2p._look()
    with pytest.raises(program["Failed"], match="nothing has arrived for 0 s"):
        p2p._look()


class Counted(SimpleNamespace):
    """A session's state in which all counters are 0, except those given."""

    def __getattr__(self, name: str) -> int:
        return 0
