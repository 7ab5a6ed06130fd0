"""Weights through libtorrent: they arrive, are hashed, and nobody else gets a byte."""

from __future__ import annotations

import json
import runpy
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.roles.staging_hosts import PORT, PROGRAM, Authority, Chain, contents
from tests.waiting import wait_until

pytest.importorskip("libtorrent")
MEGABYTE = 10**6
Make = Callable[..., Chain]


@pytest.fixture
def chain(tmp_path: Path, worker_id: str) -> Iterator[Make]:
    chains: list[Chain] = []

    def make(*sizes: int, **more: int) -> Chain:
        number = sum(map(ord, worker_id)) % 200
        made = Chain(tmp_path, contents(*sizes), net=number, **more)
        chains.append(made)
        made.start(0)
        wait_until(made.made)
        return made

    yield make
    for one in chains:
        one.end()


def test_files_arrive_whole_at_every_host_each_from_the_one_before(chain: Make) -> None:
    hosts = chain(3 * MEGABYTE, 1, 5 * MEGABYTE)
    # The last one can reach the second alone.
    hosts.start(1)
    hosts.start(2, peers=(1,))
    wait_until(lambda: hosts.state(2) == "done")
    assert hosts.whole(1)
    assert hosts.whole(2)
    assert hosts.status(2)["bytes"] == 8 * MEGABYTE + 1


@pytest.mark.parametrize("wrong", ["another authority", "another staging's name"])
def test_who_has_no_certificate_of_this_staging_gets_no_byte(chain: Make, wrong: str) -> None:
    hosts = chain(2 * MEGABYTE)
    if wrong == "another authority":
        hosts.start(1, issuer=Authority())
    else:
        hosts.start(1, name="staging-0011223344556677-other")
    hosts.start(2, peers=(0,))
    # That the second one gets all shows that there was time for the first.
    wait_until(lambda: hosts.state(2) == "done")
    assert hosts.status(1)["bytes"] == 0
    assert not any(path.name in hosts.files for path in hosts.data(1).iterdir() if path.stat().st_blocks)


def test_a_cap_holds_on_private_addresses(chain: Make) -> None:
    """Six seconds' worth; without the cap it takes one or two."""
    hosts = chain(24 * MEGABYTE, rate=4 * MEGABYTE)
    began = time.monotonic()
    hosts.start(1)
    wait_until(lambda: hosts.state(1) == "done")
    assert time.monotonic() - began > 5


@pytest.mark.parametrize("again", ["by itself", "in another staging"])
def test_one_that_was_killed_goes_on_from_what_it_had(chain: Make, again: str) -> None:
    hosts = chain(30 * MEGABYTE, rate=6 * MEGABYTE)
    hosts.start(1)
    wait_until(lambda: hosts.status(1)["bytes"] > 20 * MEGABYTE)
    hosts.kill(1)
    (hosts.run_folder(1) / "status.json").unlink()
    if again == "in another staging":
        hosts.kill(0)
        (hosts.run_folder(0) / "torrent").unlink()
        hosts.name = "staging-0011223344556677-other"
        hosts.start(0)
        wait_until(hosts.made)
    hosts.start(1)
    wait_until(lambda: hosts.status(1)["bytes"] > 0)
    # More than a second's worth at once: it was there. What came in the last moments may not have been kept.
    assert hosts.status(1)["bytes"] > 9 * MEGABYTE
    wait_until(lambda: hosts.state(1) == "done")
    assert hosts.whole(1)


def test_a_host_that_dies_does_not_cut_the_chain(chain: Make) -> None:
    hosts = chain(24 * MEGABYTE, rate=6 * MEGABYTE)
    hosts.start(1)
    hosts.start(2)
    wait_until(lambda: hosts.status(2)["bytes"] > 4 * MEGABYTE)
    hosts.kill(1)
    wait_until(lambda: hosts.state(2) == "done")
    assert hosts.whole(2)


def asks(hosts: Chain, number: int) -> set[int]:
    """Which hosts it is connected to at their port."""
    told = subprocess.run(["ss", "-Htn", "state", "established"], capture_output=True, text=True, check=True).stdout
    pairs = [line.split()[-2:] for line in told.splitlines()]
    ours = hosts.address(number)
    return {
        other
        for other in range(5)
        if any(f"{ours}:" in here and there == f"{hosts.address(other)}:{PORT}" for here, there in pairs)
    }


def test_who_had_to_ask_an_earlier_one_leaves_it_alone_when_the_nearest_is_there_again(chain: Make) -> None:
    """Else all would share the first one's line to the end."""
    hosts = chain(60 * MEGABYTE, rate=4 * MEGABYTE)
    hosts.start(2)
    wait_until(lambda: asks(hosts, 2) == {0})
    hosts.start(1)
    wait_until(lambda: asks(hosts, 2) == {1})
    assert hosts.state(2) != "done"
    wait_until(lambda: hosts.status(2)["bytes"] > 12 * MEGABYTE)
    assert asks(hosts, 2) == {1}


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
    _, said = hosts.processes[1].communicate(timeout=60)
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
    _, said = hosts.processes[1].communicate(timeout=60)
    assert hosts.processes[1].returncode == 1
    assert "nothing has arrived for 2 s" in said
    assert hosts.processes[0].wait(timeout=60) == 0


def test_a_torrent_of_other_files_than_the_plan_s_is_refused(chain: Make) -> None:
    hosts = chain(MEGABYTE)
    hosts.files = contents(MEGABYTE)
    hosts.start(1)
    _, said = hosts.processes[1].communicate(timeout=60)
    assert "the torrent has other files than the lock" in said
    assert hosts.state(1) == "failed"


def test_checking_what_arrived_before_is_no_standstill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of it want gigabytes: so the session is a stand-in, which checks a little at each look."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    program = runpy.run_path(str(PROGRAM))
    state: Any = Counted(progress_ppm=0)
    staging = program["Staging"].__new__(program["Staging"])
    staging.plan, staging.folder = SimpleNamespace(idle=0, first=False), tmp_path
    staging.moved, staging.moved_at, staging.saved_at, staging.saving = (), 0.0, 0.0, True
    staging.hashes = SimpleNamespace(wrong="", read=0, whole=0, size=0, all_right=False)
    staging.handle = SimpleNamespace(status=lambda: state)
    staging.peers = SimpleNamespace(look=lambda *_: None)
    staging.status = SimpleNamespace(tell=lambda *_, **__: None)
    for progress in (1, 2, 3):
        state.progress_ppm = progress
        staging._look()
    with pytest.raises(program["Failed"], match="nothing has arrived for 0 s"):
        staging._look()


class Counted(SimpleNamespace):
    """A session's state in which all counts but those given are 0."""

    def __getattr__(self, name: str) -> int:
        return 0
