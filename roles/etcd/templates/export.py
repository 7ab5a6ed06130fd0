#!/usr/bin/python3
"""Write what the control hosts' etcd holds, except the lease, to the files that a single control host would have.

Root runs it before each snapshot, with the host's own Python; it imports only what python3-minimal has. It asks this
host's own member, which answers also if too few of the others run. If the record on this host doesn't name several
control hosts, these files are the original, and it changes nothing. A file is replaced by a synced rename, so that a
crash leaves either the old or the new one, and the next run completes the rest.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

CTL = "/etc/rackwright/etcd/ctl"
STATE = "/var/lib/rackwright"
ROOT = "/rackwright/"
END = "/rackwright0"
"""The first key after all those that begin with ROOT."""
LEFT_OUT = ("lease", "holder")
JOURNAL = re.compile("journal/[0-9a-f-]{1,64}")
_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
DOCUMENT = re.compile(rf"control/{_NAME}\.json|(golden|bench|canaries|schedules|migrations)/{_NAME}/{_NAME}\.json")
FOLDERS = ("golden", "bench", "canaries", "schedules", "migrations")
PAGE = 64
"""Keys in one answer."""
MOST_BYTES = 2**28
"""Of one answer."""
MOST_JOURNAL = 2**24
"""In bytes: a restore refuses a longer one."""
LOCK_SECONDS = 20
TOKEN = re.compile(rb"[0-9]{1,11}\n?")
LEFT_OVER = re.compile(r"\..*\.new")
"""What a crash can leave."""


class Refused(Exception):
    """The files can't be written; its text is for people."""


@dataclass(frozen=True)
class Pair:
    name: str
    """The key without ROOT."""
    created: int
    value: bytes


def main() -> None:
    """Bring the files up to date. Raise Refused or OSError, with the files partly old, if that fails."""
    os.umask(0o022)
    with (
        opened(os.open(STATE, os.O_RDONLY | os.O_DIRECTORY)) as state,
        folder(state, "control", 0o700) as control,
        locked(control),
    ):
        if several_control_hosts(state):
            refuse_held(control)
            export(state, control)


def several_control_hosts(state: int) -> bool:
    """Return whether etcd is in use. While lease and journal move to it, it may not have everything yet."""
    try:
        record = json.loads(content_of(state, "control-host.json") or b"")
        count = {"control-host/1": 1, "control-hosts/1": len(record.get("hosts", ()))}[record["format"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(f"{STATE}/control-host.json can't be read") from None
    return count > 1


def refuse_held(control: int) -> None:
    """Raise Refused while an operator works with the files, as when lease and journal move from etcd to them."""
    if live((content_of(control, "lease") or b"").decode(errors="replace")):
        raise Refused("an operator has the lease in this host's files: try again later")


def live(lease: str) -> bool:
    """Return whether the lease in these lines lasts: by the uptime in this boot, else by the clock."""
    first, _, third = (line.split() for line in (*lease.split("\n"), "", "", "")[:3])
    if len(first) != 4 or not first[3].isdigit():
        return False
    if len(third) == 3 and third[1].isdigit() and (third[0], third[2]) == (boot(), first[3]):
        # /proc/uptime counts on while the host is suspended.
        return int(third[1]) > 100 * time.clock_gettime(time.CLOCK_BOOTTIME)
    return int(first[3]) > time.time()


def boot() -> str:
    with os.fdopen(os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY)) as file:
        return file.read().strip()


def export(state: int, control: int) -> None:
    """Write documents before the journal, which names them, and remove old ones last."""
    revision, pairs = everything()
    raise_token(control, revision)
    names: set[str] = set()
    journal: list[Pair] = []
    for pair in pairs:
        if pair.name in LEFT_OUT:
            continue
        if JOURNAL.fullmatch(pair.name) and b"\n" not in pair.value:
            journal.append(pair)
        elif DOCUMENT.fullmatch(pair.name):
            write_document(state, control, pair)
            names.add(pair.name)
        else:
            raise Refused(f"etcd has {pair.name[:100]!a}, which has no file")
    write_journal(control, journal)
    remove_others(state, control, names)


def everything() -> tuple[int, Iterator[Pair]]:
    """Return etcd's revision, and all keys below ROOT as they were at this revision."""
    first = page(ROOT, None)
    revision = first["header"]["revision"]

    def pairs() -> Iterator[Pair]:
        answer, last = first, None
        while found := [one for one in map(pair_of, answer.get("kvs", ())) if one.name != last]:
            yield from found
            last = found[-1].name
            if not answer.get("more"):
                return
            # It begins with the last key again: the one after it has a byte that no argument can have.
            answer = page(f"{ROOT}{last}", revision)

    return revision, pairs()


def page(first: str, revision: int | None) -> Any:
    words = [
        CTL,
        "get",
        first,
        END,
        f"--limit={PAGE}",
        "--consistency=s",
        "--write-out=json",
        "--command-timeout=60s",
    ]
    words += [f"--rev={revision}"] if revision else []
    with os.fdopen(os.memfd_create("errors"), "w+b") as errors:
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as asking:
            text = asking.stdout.read(MOST_BYTES + 1) if asking.stdout else b""
            if len(text) > MOST_BYTES:
                asking.kill()
                raise Refused(f"{PAGE} keys of etcd have more than {MOST_BYTES} bytes")
        if asking.returncode:
            errors.seek(0)
            said = errors.read(10_000).decode(errors="replace").strip().split("\n")[-1]
            raise Refused(f"this host's etcd can't be read: {said or f'exit status {asking.returncode}'}")
    return json.loads(text)


def pair_of(found: Any) -> Pair:
    key = base64.b64decode(found["key"], validate=True).decode()
    value = base64.b64decode(found.get("value", ""), validate=True)
    return Pair(key.removeprefix(ROOT), int(found["create_revision"]), value)


def raise_token(control: int, revision: int) -> None:
    """Leases taken in these files later have greater tokens than all that etcd gave, and all that the files gave."""
    present = content_of(control, "token") or b""
    if not TOKEN.fullmatch(present) or int(present) < revision:
        put(control, "token", b"%d\n" % revision, 0o600)


def write_document(state: int, control: int, pair: Pair) -> None:
    kind, *folders, name = pair.name.split("/")
    if kind == "control":
        put(control, name, pair.value, 0o600)
        return
    with folder(state, kind, 0o755) as outer, folder(outer, folders[0], 0o755) as inner:
        put(inner, name, pair.value, 0o644)


def write_journal(control: int, journal: list[Pair]) -> None:
    """Oldest first; those that one transaction created are in the order of their keys."""
    journal.sort(key=lambda pair: (pair.created, pair.name))
    text = b"".join(pair.value + b"\n" for pair in journal)
    if len(text) > MOST_JOURNAL:
        raise Refused(f"the journal has {len(text)} bytes; a restore takes {MOST_JOURNAL} at most")
    put(control, "journal", text, 0o600)


def remove_others(state: int, control: int, names: set[str]) -> None:
    """Remove documents that etcd doesn't have, and what a crash left."""
    remove_in(control, "control/", names)
    for kind in FOLDERS:
        # What isn't a folder, like a link, is left as it is: a restore doesn't take it.
        with suppress(FileNotFoundError, NotADirectoryError), folder(state, kind) as outer:
            for model in os.listdir(outer):  # noqa: PTH208 # a descriptor
                with suppress(NotADirectoryError), folder(outer, model) as inner:
                    remove_in(inner, f"{kind}/{model}/", names)


def remove_in(at: int, prefix: str, names: set[str]) -> None:
    for name in os.listdir(at):
        old = name.endswith(".json") and f"{prefix}{name}" not in names
        if old or LEFT_OVER.fullmatch(name):
            os.unlink(name, dir_fd=at)
    os.fsync(at)


def put(at: int, name: str, content: bytes, mode: int) -> None:
    """Replace the file, or the link of its name, unless it has this content already."""
    if content_of(at, name, mode) == content:
        return
    new = f".{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(new, dir_fd=at)
    made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=at)
    with os.fdopen(made, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(made)
    os.rename(new, name, src_dir_fd=at, dst_dir_fd=at)
    os.fsync(at)


def content_of(at: int, name: str, mode: int | None = None) -> bytes | None:
    """Return the file's content; None if it is no file, or has another mode than the one given."""
    try:
        found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    except OSError:
        return None
    with os.fdopen(found, "rb") as stream:
        status = os.fstat(found)
        same = stat.S_ISREG(status.st_mode) and mode in (None, stat.S_IMODE(status.st_mode))
        return stream.read(MOST_JOURNAL + 1) if same else None


@contextmanager
def folder(at: int, name: str, mode: int | None = None) -> Iterator[int]:
    """Yield the folder, never one that a link leads to. With a mode, it is made if it is missing."""
    if mode is not None:
        with suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=at)
            os.fsync(at)
    with opened(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)) as found:
        yield found


@contextmanager
def opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked(control: int) -> Iterator[None]:
    """Hold the lock that the scripts of a single control host hold while they write."""
    lock = os.open("lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=control)
    until = time.monotonic() + LOCK_SECONDS
    with opened(lock):
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Refused(f"{STATE}/control/lock stayed locked for {LOCK_SECONDS} s") from None
                time.sleep(0.1)
        yield


if __name__ == "__main__":
    try:
        main()
    except (Refused, OSError) as error:
        sys.exit(str(error))
    except (ValueError, KeyError, TypeError, AttributeError):
        sys.exit("etcd gave an answer that can't be read")
