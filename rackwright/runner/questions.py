"""Ask all questions of a plan in one round trip; if there are many, as two scripts in parallel.

A plan asks each host mostly the same small, read-only questions as the last plan. The questions are remembered (never
the answers) and sent in advance; a question that was not expected is asked when it comes. `Questions` is only for the
read-only stage, `ask_together` for any stage.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from rackwright import __version__
from rackwright.cache import cache_folder
from rackwright.errors import HostError
from rackwright.operations.filesystem.path_questions import ManyPaths
from rackwright.remote import Background, Completed
from rackwright.remote.batch import Batch, GarbledBatch
from rackwright.terminal import visible

BATCH_LIMIT = 32 * 2**20
"""Most bytes of stdout or stderr in a batch's reply; beyond that, the questions are asked one by one."""
BATCH_SECONDS = 300
_FORMAT = "questions/1"
_KEPT_FILES = 256
_MANY = 20
"""From this number of questions on, they are asked in two halves."""

log = logging.getLogger("rackwright.runner")


class Asks(Protocol):
    """The part of a connection that this module needs."""

    @property
    def name(self) -> str: ...

    def open(self) -> None: ...

    def run(
        self,
        command: str,
        *,
        stdin: str | bytes | None = None,
        timeout: float | None = 60,
        limit: int = BATCH_LIMIT,
    ) -> Completed: ...


class Questions:
    """The questions of one host's read-only stage, and their answers."""

    def __init__(self, connection: Asks, foreseen: Iterable[str] = ()) -> None:
        self._connection = connection
        self._foreseen = tuple(dict.fromkeys(foreseen))
        self._answers: dict[str, Completed] | None = None
        self._asking = threading.Lock()
        self.asked: dict[str, None] = {}
        """In the order in which they were asked."""

    def ask_ahead(self) -> None:
        """Connect, and send the expected questions in advance. Raise HostError if the host is unreachable."""
        self._connection.open()
        self._foreseen_answers()

    def ask(self, question: str, timeout: float, *, secret: bool = False) -> Completed:
        """Return the answer to a read-only shell command; a repeated question gets the same answer.

        A secret question is asked every time and never remembered. Raise HostError if the host can't be asked.
        """
        if secret:
            return self._connection.run(question, timeout=timeout)
        self.asked[question] = None
        answers = self._foreseen_answers()
        if question not in answers:
            answers[question] = self._connection.run(question, timeout=timeout)
        return answers[question]

    def _foreseen_answers(self) -> dict[str, Completed]:
        with self._asking:
            if self._answers is None:
                self._answers = ask_together(self._connection, self._foreseen)
            return self._answers


def ask_together(connection: Asks, questions: Iterable[str], seconds: float = BATCH_SECONDS) -> dict[str, Completed]:
    """Return the answers to distinct questions, by question. If a batch fails, its answers are missing."""
    asked = tuple(questions)
    paths = ManyPaths.among(asked)
    if not paths.commands:
        return _in_batches(connection, asked, seconds)
    others = (question for question in asked if question not in paths.commands)
    answers = _in_batches(connection, (*others, paths.command), seconds)
    of_paths = answers.pop(paths.command, None)
    return answers | _taken_apart(paths, of_paths) if of_paths and of_paths.ok else answers


def _taken_apart(paths: ManyPaths, answer: Completed) -> dict[str, Completed]:
    texts = paths.answers(answer.stdout_bytes.decode(errors="surrogateescape"))
    return {
        command: Completed(0, text.encode(errors="surrogateescape"), host=answer.host)
        for command, text in texts.items()
    }


def _in_batches(connection: Asks, asked: tuple[str, ...], seconds: float) -> dict[str, Completed]:
    """Ask the questions; many are asked in two halves in parallel, because a host has several processors."""
    if len(asked) < _MANY:
        return _in_one_batch(connection, asked, seconds)
    other = Background(lambda: _in_one_batch(connection, asked[1::2], seconds))
    answers = _in_one_batch(connection, asked[::2], seconds)
    return answers | other.result()


def _in_one_batch(connection: Asks, asked: tuple[str, ...], seconds: float) -> dict[str, Completed]:
    if not asked:
        return {}
    batch = Batch.of(asked)
    try:
        reply = connection.run("exec sh -s", stdin=batch.script, timeout=seconds, limit=BATCH_LIMIT)
        return dict(zip(asked, batch.answers(reply), strict=True))
    except HostError as error:
        reason = error.problems[0].what
    except GarbledBatch as error:
        reason = str(error)
    log.warning("%s: %d questions are asked one by one: %s", connection.name, len(asked), visible(reason))
    return {}


class QuestionMemory:
    """The questions of earlier plans, on this machine's disk, mode 0600: text of commands, never an answer."""

    def __init__(self, scope: str | None = None, folder: Path | None = None) -> None:
        """`scope` identifies the source of the questions; by default, this tool's version and its roles' files."""
        self._scope = scope or _sources()
        self._folder = folder or cache_folder("questions")

    def recall(self, deploy: str, host: str, spec: object) -> tuple[str, ...]:
        """Return the questions of the last plan for this host. If there are none, use those for the host with other
        settings, for another host, or of another deploy: an unneeded question costs less than a separate one."""
        for path in self._candidates(deploy, host, spec):
            try:
                stored = json.loads(path.read_text(encoding="utf-8"))
                if stored["format"] == _FORMAT:
                    return tuple(str(question) for question in stored["questions"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return ()

    def remember(self, deploy: str, host: str, spec: object, questions: Iterable[str]) -> None:
        """Store the questions for the next plan. If the disk is full or read-only, the next plan is only slower."""
        folder = self._folder / _digest(self._scope) / _digest(deploy)
        content = json.dumps({"format": _FORMAT, "questions": list(questions)})
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / self._file(host, spec)
            if not path.exists() or path.read_text(encoding="utf-8") != content:
                _write(path, content)
            for old in self._newest(folder, "*.json")[_KEPT_FILES:]:
                old.unlink(missing_ok=True)

    def _candidates(self, deploy: str, host: str, spec: object) -> Iterator[Path]:
        all_deploys = self._folder / _digest(self._scope)
        folder, own = all_deploys / _digest(deploy), f"{_digest(host)}-*.json"
        yield folder / self._file(host, spec)
        yield from self._newest(folder, own)
        yield from self._newest(folder, "*.json")
        yield from self._newest(all_deploys, f"*/{own}")

    @staticmethod
    def _file(host: str, spec: object) -> str:
        dump: Callable[[], str] | None = getattr(spec, "model_dump_json", None)
        return f"{_digest(host)}-{_digest(dump() if dump else repr(spec))}.json"

    @staticmethod
    def _newest(folder: Path, pattern: str) -> list[Path]:
        with suppress(OSError):
            return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
        return []


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _sources() -> str:
    package = Path(__file__).parent.parent
    digest = hashlib.sha256(__version__.encode())
    for folder in ("roles", "deploys", "operations"):
        for place, _, names in sorted(os.walk(package / folder)):
            for name in sorted(names):
                if name.endswith(".py"):
                    about = Path(place, name).stat()
                    digest.update(f"{place}/{name} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _write(path: Path, content: str) -> None:
    # mkstemp creates files with mode 0600.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(content)
    Path(temporary).replace(path)
