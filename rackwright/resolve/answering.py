"""Whether the sources in a lock still answer. Many questions at once; no file is downloaded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from threading import Thread, local
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from rackwright.errors import RackwrightError
from rackwright.fleet.needs import Need
from rackwright.resolve.hub import LISTING
from rackwright.resolve.hub_answer import Listed, Repository
from rackwright.resolve.tls import cooperative_tls
from rackwright.resolve.web import Web
from rackwright.values.file import File
from rackwright.values.secrets import Secret

if TYPE_CHECKING:
    from requests import Session

AT_ONCE = 16
SECONDS = 30.0
"""The longest time for all questions together."""
FAILURES = 3
"""After this many failed connections, a server isn't asked any more."""
FEW = 2
"""The files of a repository with more than this many are looked up in the hub's list of the commit."""


class State(Enum):
    THERE = "there"
    GONE = "gone"
    """The server says that it doesn't have it."""
    UNREACHED = "unreached"
    """The server doesn't answer this machine."""
    UNKNOWN = "unknown"
    """The server answers something else, or wasn't asked in time."""


@dataclass(frozen=True)
class Answer:
    state: State
    why: str = ""
    """As the rest of a sentence about the URL."""


UNASKED = Answer(State.UNKNOWN, "had no answer in time")
PRESENT = Answer(State.THERE)


def judged(code: int) -> Answer:
    """Return the answer that an HTTP status means."""
    if 200 <= code < 300:
        return PRESENT
    return Answer(State.GONE if code in (404, 410) else State.UNKNOWN, f"answers {code}")


@dataclass
class Asking:
    """Asks hubs and servers, through the fleet's route. The token goes only to the hub."""

    web: Web
    hub: str
    token: Secret | None = None
    seconds: float = SECONDS
    _failures: dict[str, int] = field(default_factory=dict)
    _own: local = field(default_factory=local)

    def ask(self, needs: Iterable[Need]) -> dict[str, Answer]:
        """Return the answer for each URL with https or http of these needs."""
        cooperative_tls()
        # Imported here, because several threads would import it at the same time.
        import requests  # noqa: F401

        questions = tuple(dict.fromkeys(question for need in needs for question in _questions(need, self.hub)))
        found = self._all(questions)
        answers: dict[str, Answer] = {}
        for question in questions:
            for url, answer in found.get(question, question.all(UNASKED)).items():
                # A file may belong to two needs: the first bad answer counts.
                if answers.get(url, PRESENT).state is State.THERE:
                    answers[url] = answer
        return answers

    def _all(self, questions: tuple[_Question, ...]) -> dict[_Question, dict[str, Answer]]:
        """Return the answers that arrive in time."""
        waiting, found = deque(questions), dict[_Question, dict[str, Answer]]()
        deadline = time.monotonic() + self.seconds

        def work() -> None:
            with suppress(IndexError):
                while time.monotonic() < deadline:
                    question = waiting.popleft()
                    found[question] = self._answered(question)

        # Not a pool of concurrent.futures, which waits for a server that sends a byte from time to time.
        threads = [Thread(target=work, daemon=True) for _ in questions[:AT_ONCE]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return dict(found)

    def _answered(self, question: _Question) -> dict[str, Answer]:
        try:
            server = urlsplit(question.url).netloc
            if self._failures.get(server, 0) >= FAILURES:
                return question.all(Answer(State.UNREACHED, f"was not asked: {server} can't be reached from here"))
            return self._listed(question) if question.listed else question.all(judged(self._status(question.url)))
        except ValueError:
            return question.all(Answer(State.UNKNOWN, "or its redirection is not a URL"))
        except RackwrightError as error:
            self._failures[server] = self._failures.get(server, 0) + 1
            return question.all(Answer(State.UNREACHED, f"can't be asked ({error.problems[0].what})"))

    def _status(self, url: str) -> int:
        return self.web.status(url, self._session, token=self._token_for(url))

    def _listed(self, question: _Question) -> dict[str, Answer]:
        """Judge all files of a commit by the hub's list, and by one file: lists of gated repositories are public.

        Without a list, each file is asked about: a mirror may have the files alone.
        """
        files = question.listed
        access = judged(self._status(files[0].url))
        if access.state is not State.THERE:
            return question.all(access)
        if judged(self._status(question.url)).state is not State.THERE:
            return self._one_by_one(files)
        try:
            content = self.web.content(question.url, limit=LISTING, token=self._token_for(question.url))
            found = {item.path: item for item in Repository.model_validate_json(content).files}
        except ValidationError:
            return self._one_by_one(files)
        return {file.url: PRESENT if _is_same(found.get(file.path), file) else _CHANGED for file in files}

    def _one_by_one(self, files: tuple[File, ...]) -> dict[str, Answer]:
        return {file.url: judged(self._status(file.url)) for file in files}

    def _token_for(self, url: str) -> Secret | None:
        return self.token if url.startswith(f"{self.hub.rstrip('/')}/") else None

    @property
    def _session(self) -> Session:
        """The thread's own session: each keeps its connections open."""
        import requests

        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
        session: Session = self._own.session
        return session


@dataclass(frozen=True)
class _Question:
    url: str
    listed: tuple[File, ...] = ()
    """If any: the URL is the hub's list of a commit, which should have these files."""

    def all(self, answer: Answer) -> dict[str, Answer]:
        return {file.url: answer for file in self.listed} or {self.url: answer}


_CHANGED = Answer(State.GONE, "is no longer in the commit, or has other content")


def _questions(need: Need, hub: str) -> Iterator[_Question]:
    files = tuple(file for file in need.files if file.url.startswith(("https://", "http://")))
    if need.hub and len(files) > FEW:
        repository, commit = need.hub.repository, quote(need.hub.revision, safe="")
        yield _Question(f"{hub.rstrip('/')}/api/models/{repository}/revision/{commit}?blobs=true", files)
    else:
        yield from (_Question(file.url) for file in files)


def _is_same(item: Listed | None, file: File) -> bool:
    if item is None:
        return False
    if item.lfs:
        return (item.lfs.size, item.lfs.sha256) == (file.size, file.sha256)
    return item.size in (None, file.size)
