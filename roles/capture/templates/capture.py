"""Redact, encrypt and keep the requests that a gateway records, until the capture's end.

systemd runs this with the host's own Python and gives it the listening socket; HAProxy's user alone may connect. What
arrives is in memory only until it is redacted and piped to `age`: no request is ever on disk or in a message as plain
text. It imports only Python's standard library and redact.py, which lies next to it.

Arguments: the orders (capture.json), and the folder of files. Each file has JSON lines (recorded-request/1) and is
named SEQUENCE-LINES.age once it is complete and synced; one with another name was being written when this ended.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NoReturn, cast

# It lies next to this file on a gateway only.
Redactor = importlib.import_module("redact").Redactor

ROTATE_BYTES = 4 * 2**20
ROTATE_SECONDS = 60
MOST_LINE = 8 * 2**20
"""The longest line, in bytes, that the migration's folder takes."""
REDACT_SECONDS = 10
"""Longest time to redact one request: an operator's pattern may need time without end."""
MOST_HEAD = 1024
WAITING = 16
"""How many requests wait to be redacted; then HAProxy's copies wait, and are dropped there."""
TICK_SECONDS = 0.5
OVER = 3
"""Exit status: the capture has ended on its own."""
AGE_BLOCK, AGE_TAG, AGE_HEADER = 65536, 16, 512
"""What age adds: a tag to each block, and a header."""
KINDS = {"large", "full", "fault", "undelivered"}
"""Why HAProxy drops copies."""


@dataclass
class Orders:
    migration: str
    recipient: str
    until: int
    size: int
    request: int
    reserve: int
    redact: dict[str, str]

    @staticmethod
    def read(path: Path) -> Orders:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Orders(**{name: said[name] for name in Orders.__dataclass_fields__})


@dataclass
class Recorded:
    """A request as it arrived."""

    arrived: float
    id: str
    key: str
    path: str
    model: str
    body: bytes = field(repr=False)


@dataclass
class Counts:
    """What state.json says, of complete files only."""

    recorded: int = 0
    bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    personal: Counter[str] = field(default_factory=Counter)
    ended: str = ""

    @staticmethod
    def read(path: Path, until: int) -> Counts:
        """Return the counts of an earlier run; none if there are none or they can't be read."""
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            dropped, personal = Counter(said["dropped"]), Counter(said["personal"])
            # Each start by an operator has another end. One that has reached a limit stays ended at the next boot.
            ended = str(said["ended"]) if said["until"] == until else ""
            return Counts(int(said["recorded"]), int(said["bytes"]), dropped, personal, ended)
        except (OSError, ValueError, KeyError, TypeError):
            return Counts()


class Unfit(Exception):
    """This request can't be recorded; the argument is the reason's name, never the request."""


class OpenFile:
    """One file that age is writing."""

    def __init__(self, path: Path, recipient: str) -> None:
        self.path, self.lines, self.text, self.began = path, 0, 0, time.monotonic()
        self.personal: Counter[str] = Counter()
        command = ["age", "-r", recipient, "-o", str(path)]
        quiet = subprocess.DEVNULL
        self.age = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
        self.input = cast(BinaryIO, self.age.stdin)

    @property
    def due(self) -> bool:
        return time.monotonic() - self.began >= ROTATE_SECONDS

    def add(self, line: bytes, personal: Counter[str]) -> None:
        # Counted first: if age has ended, this line is lost, too.
        self.lines += 1
        self.input.write(line)
        self.text += len(line)
        self.personal += personal

    def close(self) -> bool:
        """Return whether age has written all of it, and the disk has it."""
        with suppress(OSError):
            self.input.close()
        try:
            complete = self.age.wait(60) == 0
        except subprocess.TimeoutExpired:
            self.age.kill()
            complete = self.age.wait() == 0
        with suppress(OSError):
            sync(self.path)
            return complete
        return False


class Capture:
    """The main thread's: from what arrived to files. Reader threads only fill `arrived`."""

    def __init__(self, orders: Orders, folder: Path) -> None:
        self.orders, self.folder = orders, folder
        self.arrived: queue.Queue[Recorded | Counter[str]] = queue.Queue(WAITING)
        self.state = folder / "state.json"
        self.counts = Counts.read(self.state, orders.until)
        # A pattern that can't be used ends this now, not at each request.
        Redactor(orders.redact)
        self.open: OpenFile | None = None
        self.stopped = False
        self.asked = False
        """Whether the open file should be completed now."""
        self.saved = time.monotonic()
        for left in folder.glob("*.part"):
            left.unlink()
        self.number, self.stored = counted(folder)

    def run(self) -> None:
        """Return at the capture's end, or when it is stopped; all that arrived until then is in complete files."""
        if not self.counts.ended:
            self.save()
        while not self.stopped and not self.over():
            self.take(TICK_SECONDS)
            if self.asked or time.monotonic() - self.saved >= ROTATE_SECONDS:
                self.asked = False
                self.rotate()
                # What was dropped counts even if nothing else was recorded.
                self.save()
            elif self.open and self.open.due:
                self.rotate()
        # What has arrived was confirmed to HAProxy. More may come in, but not without end.
        for _ in range(WAITING):
            self.take(0)
        self.rotate()
        if not self.stopped and not self.counts.ended:
            self.counts.ended = "duration"
        self.save()

    def over(self) -> bool:
        return bool(self.counts.ended) or time.time() >= self.orders.until

    def take(self, seconds: float) -> None:
        """Wait at most this long for one thing that arrived, and handle it."""
        try:
            item = self.arrived.get(timeout=seconds) if seconds else self.arrived.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, Counter):
            self.counts.dropped += item
            self.save()
            return
        try:
            self.keep(*self.line(item))
        except Unfit as unfit:
            self.counts.dropped[str(unfit)] += 1

    def line(self, item: Recorded) -> tuple[bytes, Counter[str]]:
        """Return the request redacted, as one line, and what was replaced. Raise Unfit if that isn't possible."""
        body = parsed(item.body)
        redactor = Redactor(self.orders.redact)
        try:
            with limit(REDACT_SECONDS):
                clean = redactor.body(body)
            personal = Counter(redactor.counts)
            document = {
                "format": "recorded-request/1",
                "id": item.id,
                "arrived": item.arrived,
                "path": item.path,
                "model": item.model,
                "body": clean,
                "key": item.key,
                "origin": "capture",
                "personal": dict(personal),
            }
            text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        except Exception:
            # Its text may quote the request.
            raise Unfit("not_redacted") from None
        if len(text) > MOST_LINE:
            raise Unfit("large")
        return text, personal

    def keep(self, line: bytes, personal: Counter[str]) -> None:
        """Write the line, unless that would exceed a limit: then the capture ends."""
        held = self.open.text if self.open else 0
        if self.counts.ended:
            pass
        elif self.stored + encrypted(held + len(line)) > self.orders.size:
            self.counts.ended = "size"
        elif free(self.folder) - len(line) < self.orders.reserve:
            self.counts.ended = "disk"
        else:
            self.write(line, personal)
            return
        self.counts.dropped[self.counts.ended] += 1

    def write(self, line: bytes, personal: Counter[str]) -> None:
        if self.open is None:
            self.number += 1
            self.open = OpenFile(self.folder / f"{self.number:08}.part", self.orders.recipient)
        try:
            self.open.add(line, personal)
        except OSError:
            self.rotate()
            return
        if self.open.text >= ROTATE_BYTES:
            self.rotate()

    def rotate(self) -> None:
        """Complete the open file. If that isn't possible, its lines count as dropped, and the capture ends."""
        done, self.open = self.open, None
        if done is None:
            return
        size = 0
        with suppress(OSError):
            if done.close():
                size = done.path.stat().st_size
                done.path.rename(self.folder / f"{self.number:08}-{done.lines}.age")
                sync(self.folder)
        if size:
            self.stored += size
            self.counts.recorded += done.lines
            self.counts.bytes += size
            self.counts.personal += done.personal
        else:
            done.path.unlink(missing_ok=True)
            self.counts.dropped["disk"] += done.lines
            self.counts.ended = "disk"
        self.save()

    def save(self) -> None:
        """Write state.json, if the disk takes it."""
        document = {
            "format": "capture-state/1",
            "migration": self.orders.migration,
            "until": self.orders.until,
            "recorded": self.counts.recorded,
            "bytes": self.counts.bytes,
            "dropped": dict(self.counts.dropped),
            "personal": dict(self.counts.personal),
            "ended": self.counts.ended,
        }
        self.saved = time.monotonic()
        temporary = self.state.with_suffix(".new")
        with suppress(OSError):
            temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
            sync(temporary)
            temporary.replace(self.state)


def parsed(body: bytes) -> dict[str, object]:
    """Return the body's JSON object. Raise Unfit if it isn't one."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=refused)
    except (ValueError, RecursionError):
        raise Unfit("not_json") from None
    if not isinstance(value, dict):
        raise Unfit("not_json")
    return value


def refused(*_: object) -> NoReturn:
    raise ValueError


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after this time, even in a search by a pattern. Only in the main thread."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def encrypted(text: int) -> int:
    """Return at most how many bytes a file of this many bytes of text has."""
    return text + AGE_TAG * (text // AGE_BLOCK + 1) + AGE_HEADER


def free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def counted(folder: Path) -> tuple[int, int]:
    """Return the highest number of a file, and the bytes of all."""
    files = list(folder.glob("*-*.age"))
    numbers = [int(path.name.partition("-")[0]) for path in files if path.name.partition("-")[0].isdigit()]
    return max(numbers, default=0), sum(path.stat().st_size for path in files)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def listen(listener: socket.socket, capture: Capture) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=receive, args=(connection, capture), daemon=True).start()


def receive(connection: socket.socket, capture: Capture) -> None:
    """Take what one connection sends. Anything unexpected closes it: HAProxy counts that as not delivered."""
    with connection, connection.makefile("rb") as stream, suppress(OSError, ValueError):
        while words := stream.readline(MOST_HEAD).decode("ascii").split():
            if words == ["end"]:
                connection.sendall(b"ok\n")
                continue
            capture.arrived.put(understood(words, stream, capture.orders))


def understood(words: list[str], stream: BinaryIO, orders: Orders) -> Recorded | Counter[str]:
    """Return what the line says, with the body that follows. Raise ValueError for anything else."""
    if words[0] == "dropped":
        _, why, count = words
        return Counter({why if why in KINDS else "fault": int(count)})
    _, arrived, id, key, path, model, size = words
    if words[0] != "request" or not 0 <= int(size) <= orders.request:
        raise ValueError
    body = stream.read(int(size))
    if len(body) != int(size):
        raise ValueError
    return Recorded(float(arrived), id, key, path, model, body)


def late(*_: object) -> NoReturn:
    raise TimeoutError


def main(orders_file: str, files: str) -> int:
    """Return the exit status."""
    os.umask(0o077)
    orders = Orders.read(Path(orders_file))
    folder = Path(files) / orders.migration
    folder.mkdir(mode=0o700, exist_ok=True)
    capture = Capture(orders, folder)

    def stop(*_: object) -> None:
        capture.stopped = True

    def complete(*_: object) -> None:
        capture.asked = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGUSR1, complete)
    signal.signal(signal.SIGALRM, late)
    # systemd's first passed descriptor.
    listener = socket.socket(fileno=3)
    threading.Thread(target=listen, args=(listener, capture), daemon=True).start()
    capture.run()
    return OVER if capture.counts.ended else 0


def frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback:
        yield traceback
        traceback = traceback.tb_next


def quietly(act: Callable[[], int]) -> int:
    """Return the exit status. A message only says which error it was: its text may quote a request."""
    try:
        return act()
    except Exception as error:
        lines = [str(frame.tb_lineno) for frame in frames(error.__traceback__)]
        print(f"{type(error).__name__} at line {' > '.join(lines)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    threading.excepthook = lambda arguments: print(arguments.exc_type.__name__, file=sys.stderr)
    sys.exit(quietly(lambda: main(sys.argv[1], sys.argv[2])))
