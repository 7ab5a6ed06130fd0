"""All attacks over the network at once, while other clients work: what each attack led to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tests.heavy.attacks import models, paths, protocols, quoted, sizes, smuggling, without_key
from tests.heavy.attacks.attack import Attack, Attempt, Seen
from tests.heavy.attacks.site import MODELS, Site
from tests.heavy.attacks.wire import connected, exchange
from tests.heavy.attacks.words import Words
from tests.lab import malformed
from tests.lab.access import logged

AT_ONCE = 32
"""Attacks in flight: many only wait until the gateway gives up on them."""
_FAMILIES = (smuggling, sizes, protocols, without_key, models, paths, quoted)
"""Those that make the gateway wait come first."""


def attacks(words: Words) -> list[Attack]:
    return [attack for family in _FAMILIES for attack in family.attacks(words)]


@dataclass(frozen=True)
class Through:
    """An attack that was a success."""

    family: str
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.family}: {self.name}: {self.why}"


def seen_by(site: Site, all_attacks: Iterable[Attack]) -> list[tuple[Attack, Seen]]:
    """Carry out the attacks; return what each led to, with the replicas that the gateway asked."""

    def carry_out(attack: Attack) -> tuple[Attack, Seen]:
        connection = connected(site.gateway, site.ca, alpn=attack.alpn)
        return attack, exchange(connection, attack.sent)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(carry_out, all_attacks))
    replicas = {access.request: access.replica for access in logged(site.lab, ("gate1",))}

    def asked(seen: Seen) -> tuple[str, ...]:
        ids = (answer.headers.get("x-request-id") for answer in seen.answers)
        return tuple(replica for replica in map(replicas.get, ids) if replica)

    return [(attack, replace(seen, replicas=asked(seen))) for attack, seen in found]


def through(found: Iterable[tuple[Attack, Seen]]) -> list[Through]:
    """Return the attacks that were a success."""
    return [Through(attack.family, attack.name, why) for attack, seen in found if (why := attack.success(seen))]


def achieved(attempts: Iterable[Attempt], at_once: int = AT_ONCE) -> list[Through]:
    """Make these attempts; return those that were a success."""
    with ThreadPoolExecutor(at_once) as pool:
        told = list(pool.map(lambda attempt: (attempt, attempt.act()), attempts))
    return [Through(attempt.family, attempt.name, why) for attempt, why in told if why]


@dataclass
class Bystanders:
    """Clients with a good key that ask for a word and must get that word, all the time."""

    site: Site
    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def ask(self, model: str) -> None:
        while not self.ended.is_set():
            word = malformed.word()
            path, body = malformed.answered_with(word, model)
            status, text = malformed.sent(self.site.gateway, self.site.ca, self.site.keys["whole"], path, body)
            if status == 200 and word in text:
                self.answers += 1
            else:
                self.wrong.append(f"{model} answered {status} {text[:200]!r}")


@contextmanager
def bystanders(site: Site) -> Iterator[Bystanders]:
    """Within the block, one client of each model works."""
    made = Bystanders(site)
    with ThreadPoolExecutor(len(MODELS)) as pool:
        jobs = [pool.submit(made.ask, model) for model in MODELS]
        try:
            yield made
        finally:
            made.ended.set()
    for job in jobs:
        job.result()
