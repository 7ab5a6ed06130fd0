"""A control host with files whose disk is full: commands fail with the reason, and nothing is lost."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.remote.completed import Completed
from rackwright.state.contents import Contents
from rackwright.state.journal import Event, open_rollout
from rackwright.state.lease import Lease
from rackwright.state.store import FileStore
from tests.shells import LocalShell
from tests.state.test_store import ANNA, entry

NO_SPACE = "No space left on device"


@dataclass
class SmallDisk(LocalShell):
    """A shell in namespaces of its own, where the folder is on a disk of 256 KiB."""

    folder: str = ""
    process: subprocess.Popen[str] | None = field(default=None)

    def start(self) -> None:
        """Mount the disk. It is there as long as the process."""
        mounting = f"mount -t tmpfs -o size=256k none {shlex.quote(self.folder)} && echo ready && read -r end"
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--user", "--map-root-user", "--mount"]
        self.process = subprocess.Popen(
            [*words, "sh", "-c", mounting], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def run(self, command: str, **more: Any) -> Completed:
        assert self.process
        inside = f"nsenter -t {self.process.pid} -U -m --preserve-credentials sh -c {shlex.quote(command)}"
        return super().run(inside, **more)

    def fill(self) -> None:
        self.run(f"cat /dev/zero >{shlex.quote(self.folder)}/fill 2>/dev/null; :")

    def free(self) -> None:
        self.run(f"rm {shlex.quote(self.folder)}/fill").check("freeing space")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    shell = SmallDisk(folder=str(tmp_path))
    shell.start()
    yield shell
    assert shell.process
    shell.process.kill()
    shell.process.wait()


@pytest.fixture
def store(disk: SmallDisk) -> FileStore:
    return FileStore(disk, f"{disk.folder}/control")


def test_no_lease_is_given_and_the_reason_is_said(store: FileStore, disk: SmallDisk) -> None:
    store.release(store.acquire(ANNA))
    disk.fill()
    with pytest.raises(HostError, match=rf"(?s)gate1: taking the lease failed.*{NO_SPACE}"):
        store.acquire(ANNA)
    assert (store.show(), store.entries()) == (None, ())
    disk.free()
    assert store.acquire(ANNA).live


Act = Callable[[FileStore, Lease], object]
ACTS: dict[str, Act] = {
    "renewing the lease": lambda store, lease: store.renew(lease),
    "writing the journal": lambda store, lease: store.append(lease, entry(detail="x" * 9000)),
    "storing rollout-1.json": lambda store, lease: store.keep(lease, "rollout-1.json", "x" * 9000),
    "storing bench/a/1.json": lambda store, _: store.put("bench/a/1.json", "x" * 9000),
    "storing golden/a/2.json": lambda store, _: store.put_first("golden/a/2.json", "x" * 9000),
    "storing the control host's state": lambda store, lease: store.load(
        lease, Contents(documents={"bench/b/1.json": "x" * 9000})
    ),
}


@pytest.mark.parametrize("what", ACTS)
def test_a_write_fails_with_the_reason_and_what_was_there_stays(store: FileStore, disk: SmallDisk, what: str) -> None:
    lease = store.acquire(ANNA)
    store.append(lease, entry(Event.OPENED, detail="first"))
    store.keep(lease, "rollout-1.json", "{}")
    store.put("bench/a/1.json", "1")
    store.put_first("golden/a/1.json", "2")
    disk.fill()
    with pytest.raises(HostError, match=f"(?s)gate1: {what}.*{NO_SPACE}"):
        ACTS[what](store, lease)
    shown = store.show()
    assert shown
    assert (shown.owner, shown.token) == (ANNA, lease.token)
    assert [one.detail for one in store.entries()] == ["first"]
    opened = open_rollout(store.entries())
    assert opened
    assert opened.rollout == "r1"
    assert (store.kept("rollout-1.json"), store.read("bench/a/1.json")) == ("{}", "1")
    assert store.read("golden/a/1.json") == "2"
    disk.free()
    ACTS[what](store, lease)
    store.append(lease, entry(Event.CLOSED, detail="last"))
    assert [one.detail for one in store.entries()][-1] == "last"
    assert open_rollout(store.entries()) is None


def test_on_a_full_disk_a_lease_can_be_released(store: FileStore, disk: SmallDisk) -> None:
    lease = store.acquire(ANNA)
    disk.fill()
    store.release(lease)
    assert store.show() is None
