"""What etcd holds is written to the files of a single control host, with a real etcd."""

from __future__ import annotations

import base64
import fcntl
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from rackwright.errors import RackwrightError
from rackwright.roles.etcd.configuration import export_text
from rackwright.roles.etcd.settings import CTL
from rackwright.state.contents import Contents
from rackwright.state.control import NAME, ControlRecord
from rackwright.state.etcd.transaction import Transaction, put
from rackwright.state.formats import utc_now
from rackwright.state.journal import Event
from rackwright.state.shell import FOLDER
from rackwright.state.store import FileStore
from tests.etcd_cluster import Cluster, cluster_in
from tests.shells import LocalShell
from tests.state.test_store import ANNA, entry, expire

JOURNAL = tuple(entry(Event.INTENT, detail=f"{number} ü\x85'\"").model_dump_json() for number in range(150))
FULL = Contents(
    journal=JOURNAL,
    kept={"rollout-20261125T040500Z-1a2b.json": '{"a":\n"$HOME"}\n', "patch-1.json": "x" * 70_000},
    documents={
        "golden/assistant/0123456789abcdef.json": "first",
        "golden/assistant/1.json": "",
        "bench/coder-2/20261125T040500Z-1a2b.json": "{}\n",
        "canaries/assistant/1.json": "{ü}",
        "schedules/patch/20261206T010000Z-01.json": "{}",
    },
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Host:
    """A control host whose /var/lib/rackwright is a folder here, with a member of a real etcd."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.state = cluster, folder / "state"
        self.control = self.state / "control"
        self.state.mkdir()
        self.files = FileStore(LocalShell(), str(self.control))
        self.record("gate1", "gpu1", "gpu2")
        self.ctl = cluster.members[0].ctl
        self.program = folder / "export"

    def record(self, *hosts: str) -> None:
        record = ControlRecord(hosts=hosts, number=1, since=utc_now(), who="ada")
        (self.state / NAME).write_text(record.model_dump_json())

    def text(self) -> str:
        return export_text().replace(CTL, str(self.ctl)).replace(FOLDER, str(self.state))

    def module(self) -> ModuleType:
        self.program.write_text(self.text())
        loader = SourceFileLoader("export", str(self.program))
        spec = importlib.util.spec_from_loader("export", loader)
        assert spec
        found = importlib.util.module_from_spec(spec)
        sys.modules["export"] = found
        loader.exec_module(found)
        return found

    def export(self, **limits: int) -> str:
        """Run it in this process, which is faster; return why it failed, "" if it didn't."""
        module, before = self.module(), os.umask(0o077)
        for name, limit in limits.items():
            assert getattr(module, name) > limit
            setattr(module, name, limit)
        try:
            module.main()
        except (module.Refused, OSError) as error:
            return str(error)
        finally:
            os.umask(before)
        return ""

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it as the host does."""
        self.program.write_text(self.text())
        return subprocess.run([sys.executable, "-I", self.program], capture_output=True, text=True, check=False)

    def answer(self, script: str) -> None:
        """Have the member answer what this script prints."""
        self.ctl = self.program.with_name("ctl")
        self.ctl.write_text(f"#!/bin/sh\n{script}\n")
        self.ctl.chmod(0o700)

    def answer_pair(self, key: str, value: str, revision: int = 2) -> None:
        pair = {"key": encoded(f"/rackwright/{key}"), "create_revision": 2, "value": encoded(value)}
        (self.program.with_name("page")).write_text(json.dumps({"header": {"revision": revision}, "kvs": [pair]}))
        self.answer(f"cat {self.program.with_name('page')}")

    def exported(self) -> Contents:
        assert self.export() == ""
        return self.files.dump()

    def put(self, key: str, value: str = "{}") -> None:
        done = self.cluster.members[0].run("txn", "-w", "json", stdin=Transaction(then=(put(key, value),)).text)
        assert '"succeeded":true' in done.stdout

    def remove(self, key: str) -> None:
        assert self.cluster.members[0].run("del", "--", key).stdout == "1\n"

    def load(self, contents: Contents) -> None:
        store = self.cluster.store()
        store.load(store.acquire(ANNA), contents)

    def tree(self) -> dict[str, tuple[int, bytes]]:
        """Return mode and content of every file, and the mode of every folder."""
        return {
            str(path.relative_to(self.state)): (
                path.stat().st_mode & 0o777,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in self.state.rglob("*")
        }


@pytest.fixture(scope="module")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_in(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
def host(running_cluster: Cluster, tmp_path: Path) -> Host:
    """Return a host whose etcd holds what the last test left."""
    return Host(running_cluster, tmp_path)


@pytest.fixture
def loaded(host: Host) -> Host:
    """Return a host whose etcd holds FULL."""
    with suppress(RackwrightError):
        if dict(host.cluster.store().dump().documents) == FULL.documents:
            return host
    host.cluster.empty()
    host.load(FULL)
    return host


@pytest.mark.usefixtures("loaded")
def test_a_store_in_files_then_holds_what_the_store_in_etcd_holds(host: Host) -> None:
    there = host.cluster.store().dump()
    assert (there.journal, dict(there.kept), dict(there.documents)) == (FULL.journal, FULL.kept, FULL.documents)
    assert host.exported() == there
    assert host.files.entries() == host.cluster.store().entries()
    assert host.files.show() is None
    assert not (host.control / "lease").exists()


def test_the_journal_is_in_the_order_in_which_it_was_written(host: Host) -> None:
    host.cluster.empty()
    store = host.cluster.store()
    lease = store.acquire(ANNA)
    written = [entry(Event.INTENT, detail=str(number)) for number in range(6)]
    for one in written:
        store.append(lease, one)
    host.exported()
    assert host.files.entries() == tuple(written)


@pytest.mark.usefixtures("loaded")
def test_files_have_the_modes_that_a_single_control_host_gives_them(host: Host, tmp_path: Path) -> None:
    exported = host.exported()
    modes = {name: mode for name, (mode, _) in host.tree().items() if name != NAME}
    other = FileStore(LocalShell(), str(tmp_path / "other" / "control"))
    lease = other.acquire(ANNA)
    other.load(lease, exported)
    other.release(lease)
    wanted = {
        str(path.relative_to(tmp_path / "other")): path.stat().st_mode & 0o777
        for path in (tmp_path / "other").rglob("*")
    }
    assert modes == wanted


@pytest.mark.usefixtures("loaded")
def test_a_second_run_writes_no_file_again(host: Host) -> None:
    host.exported()
    before = {path: path.stat().st_ino for path in host.state.rglob("*")}
    host.exported()
    assert {path: path.stat().st_ino for path in host.state.rglob("*")} == before


@pytest.mark.usefixtures("loaded")
def test_what_etcd_no_longer_has_is_removed_and_the_rest_replaced(host: Host) -> None:
    host.exported()
    (host.control / "lease").write_text("lease/1 1 1 1\n{}\n")
    host.remove("/rackwright/control/patch-1.json")
    host.remove("/rackwright/canaries/assistant/1.json")
    host.put("/rackwright/golden/assistant/1.json", "new")
    found = host.exported()
    assert set(found.kept) == {*FULL.kept} - {"patch-1.json"}
    assert set(found.documents) == {*FULL.documents} - {"canaries/assistant/1.json"}
    assert found.documents["golden/assistant/1.json"] == "new"
    assert (host.control / "lease").read_text() == "lease/1 1 1 1\n{}\n"


@pytest.mark.parametrize(
    ("present", "after"),
    [(None, "7\n"), ("6\n", "7\n"), ("7\n", "7\n"), ("8\n", "8\n"), ("99999999999", "99999999999"), ("x", "7\n")],
)
def test_the_token_is_at_least_etcds_revision_and_never_goes_back(
    host: Host, present: str | None, after: str
) -> None:
    if present is not None:
        host.control.mkdir()
        (host.control / "token").write_text(present)
    host.answer_pair("bench/a/1.json", "{}", revision=7)
    assert host.export() == ""
    assert (host.control / "token").read_text() == after


@pytest.mark.usefixtures("loaded")
def test_a_lease_that_is_taken_in_the_files_has_a_greater_token_than_all_of_etcd(host: Host) -> None:
    host.exported()
    assert host.files.acquire(ANNA).token > host.cluster.store().dump().token


@pytest.mark.parametrize(
    "key",
    [
        "control/../../evil.json",
        "control/.evil.json",
        "control/lease",
        "control/token",
        "control/a/b.json",
        "golden/../control/x.json",
        "golden/.x/1.json",
        "golden/a/../../x.json",
        "golden/a/1.json/2.json",
        "golden//1.json",
        "golden/a/1.json ",
        "golden/a\nb/1.json",
        "bench/a/1.sh",
        f"bench/a/{'x' * 300}.json",
        "journal/../x",
        "fleet/acme.yml",
        "audit.log",
        "/etc/passwd",
    ],
)
def test_a_key_that_has_no_file_is_named_and_written_nowhere(host: Host, key: str) -> None:
    host.answer_pair(key, "evil")
    assert host.export() == f"etcd has {key[:100]!a}, which has no file"
    assert not any(b"evil" in content for _, content in host.tree().values())
    assert not list(host.state.parent.glob("evil*"))


def test_a_key_that_has_no_file_is_found_in_a_real_etcd(host: Host) -> None:
    host.cluster.empty()
    host.put("/rackwright/golden/../x.json")
    done = host.run()
    assert (done.returncode, done.stderr) == (1, "etcd has 'golden/../x.json', which has no file\n")


def test_a_journal_entry_of_two_lines_is_refused(host: Host) -> None:
    host.answer_pair("journal/a", "one\ntwo")
    assert host.export() == "etcd has 'journal/a', which has no file"
    assert not (host.control / "journal").exists()


@pytest.mark.parametrize("name", ["golden", "golden/assistant", "control"])
@pytest.mark.usefixtures("loaded")
def test_no_link_is_followed_to_another_folder(host: Host, tmp_path: Path, name: str) -> None:
    (outside := tmp_path / "outside").mkdir()
    (outside / "kept.json").touch()
    (link := host.state / name).parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    assert "Not a directory" in host.export()
    assert [path.name for path in outside.iterdir()] == ["kept.json"]


@pytest.mark.usefixtures("loaded")
def test_a_link_in_the_place_of_a_file_is_replaced(host: Host, tmp_path: Path) -> None:
    (outside := tmp_path / "outside").write_text("first")
    host.control.mkdir()
    (host.state / "golden/assistant").mkdir(parents=True)
    for name in ("golden/assistant/0123456789abcdef.json", "control/token", "control/.journal.new"):
        (host.state / name).symlink_to(outside)
    assert host.exported() == host.cluster.store().dump()
    assert outside.read_text() == "first"


@pytest.mark.usefixtures("loaded")
def test_what_a_crash_left_is_completed_by_the_next_run(host: Host) -> None:
    """It ends after the first page of keys; files of the one before stay until the next run."""
    whole = host.ctl
    host.answer(f'case $* in *--rev=*) kill -9 $PPID; exit 1 ;; esac\nexec {whole} "$@"')
    host.control.mkdir()
    (host.control / "old-1.json").touch()
    for name in (".journal.new", ".old-2.json.new"):
        (host.control / name).write_text("half")
    assert host.run().returncode == -9
    assert (host.control / "old-1.json").exists()
    assert not (host.control / "journal").exists()
    host.ctl = whole
    assert host.exported() == host.cluster.store().dump()
    assert not list(host.state.rglob(".*"))


@pytest.mark.usefixtures("loaded")
def test_it_waits_for_the_lock_of_the_control_hosts_scripts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.control.mkdir()
    with (lock := host.control / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        monkeypatch.setattr(time, "monotonic", count(0, 30).__next__)
        assert host.export() == f"{lock} stayed locked for 20 s"
        assert [path.name for path in host.control.iterdir()] == ["lock"]
    monkeypatch.undo()
    assert host.exported().journal == JOURNAL


@pytest.mark.parametrize("new_format", [True, False])
def test_files_that_are_in_use_are_left_alone_while_lease_and_journal_move_to_etcd(
    host: Host, *, new_format: bool
) -> None:
    """The members of the new etcd run before it has anything."""
    host.record("gate1") if new_format else (host.state / NAME).write_text(
        '{"format": "control-host/1", "host": "a"}'
    )
    host.files.load(host.files.acquire(ANNA), FULL)
    before = host.tree()
    assert host.export() == ""
    assert host.tree() == before


@pytest.mark.usefixtures("loaded")
def test_a_clock_that_was_set_neither_ends_nor_prolongs_the_lease(host: Host) -> None:
    """The clock was an hour ahead when it was taken, or an hour behind; in another boot, the clock decides."""
    refused = "an operator has the lease in this host's files: try again later"
    host.files.release(host.files.acquire(ANNA))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    now, uptime = int(time.time()), int(100 * time.clock_gettime(time.CLOCK_BOOTTIME))
    for expires, ends, said in ((now - 3600, uptime + 6000, refused), (now + 3600, uptime - 6000, "")):
        lease = f"lease/1 1 1 {expires}\n{{}}\n"
        (host.control / "lease").write_text(f"{lease}{boot} {ends} {expires}\n")
        assert host.export() == said
        (host.control / "lease").write_text(f"{lease}other {ends} {expires}\n")
        assert host.export() == ("" if said else refused)
        (host.control / "lease").write_text(f"{lease}{boot} {ends} {expires + 1}\n")
        assert host.export() == ("" if said else refused)


@pytest.mark.usefixtures("loaded")
def test_files_are_left_alone_while_lease_and_journal_move_back_to_them(host: Host) -> None:
    lease = host.files.acquire(ANNA)
    host.files.load(lease, replace(FULL, journal=JOURNAL[:1]))
    before = host.tree()
    assert host.export() == "an operator has the lease in this host's files: try again later"
    assert host.tree() == before
    expire(host.files)
    assert host.exported().journal == JOURNAL


@pytest.mark.parametrize("record", [None, "", "[]", '{"format": "control-hosts/2"}', '{"hosts": ["a", "b"]}'])
@pytest.mark.usefixtures("loaded")
def test_a_record_that_cannot_be_read_is_an_error(host: Host, record: str | None) -> None:
    (host.state / NAME).unlink() if record is None else (host.state / NAME).write_text(record)
    assert host.export() == f"{host.state}/{NAME} can't be read"
    assert [path.name for path in host.control.iterdir()] == ["lock"]


@pytest.mark.usefixtures("loaded")
def test_a_member_that_does_not_answer_is_an_error_and_changes_nothing(host: Host) -> None:
    host.exported()
    before = host.tree()
    for script, said in (
        ("echo a >&2; echo 'it is down' >&2; exit 5", "this host's etcd can't be read: it is down\n"),
        ("exit 5", "this host's etcd can't be read: exit status 5\n"),
        ("echo []", "etcd gave an answer that can't be read\n"),
        ("""echo '{"header":{"revision":1},"kvs":[{"key":"%"}]}'""", "etcd gave an answer that can't be read\n"),
    ):
        host.answer(script)
        done = host.run()
        assert (done.returncode, done.stderr) == (1, said)
        assert host.tree() == before


def test_no_more_is_read_than_a_restore_takes(host: Host) -> None:
    host.answer_pair("journal/a", "x" * 1000)
    said = "the journal has 1001 bytes; a restore takes 1000 at most"
    assert host.export(MOST_JOURNAL=1000) == said
    assert not (host.control / "journal").exists()
    host.answer("yes")
    assert host.export(MOST_BYTES=10_000) == "64 keys of etcd have more than 10000 bytes"


@pytest.mark.usefixtures("loaded")
def test_a_member_answers_without_the_others(host: Host) -> None:
    host.exported()
    for other in host.cluster.members[1:]:
        other.kill()
    try:
        assert host.exported().documents == FULL.documents
    finally:
        host.cluster.whole()
