"""Attacks on a fleet of ours, from outside and from positions inside: none may be a success."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from rackwright.roles.probe.scripts import MOST_ENDED
from tests.heavy.attacks import doors, inside, outside, tls
from tests.heavy.attacks.good import requests
from tests.heavy.attacks.outside import Through
from tests.heavy.attacks.site import AUDITOR, MODELS, Site, attacked
from tests.heavy.attacks.traffic import asked_for, passed_on
from tests.heavy.attacks.words import Words
from tests.lab import malformed, traces
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/fleet/x509.py",
    "rackwright/lifecycle/p2p/unit.py",
    "rackwright/operations/haproxy",
    "roles/firewall",
    "roles/gateway",
    "roles/host_proxy",
    "roles/people",
    "roles/probe",
    "roles/replica",
    "roles/sshd",
)
LEAST_REQUESTS, LEAST_POSITIONS = 300, 40


@dataclass
class Count:
    """What the tests of this file did together."""

    began: float = field(default_factory=time.monotonic)
    requests: int = 0
    positions: int = 0
    successes: list[Through] = field(default_factory=list)

    def __str__(self) -> str:
        seconds = time.monotonic() - self.began
        return (
            f"attacks: {self.requests} requests from outside, {self.positions} attempts inside, "
            f"{len(self.successes)} successes, {seconds:.0f} s"
        )


@pytest.fixture(scope="module")
def count() -> Count:
    return Count()


@pytest.fixture(scope="module")
def site(count: Count, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with attacked(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def words(site: Site) -> Words:
    keys = site.keys
    return Words(keys["scoped"], keys["revoked"], keys["expired"], malformed.word())


def test_no_request_from_outside_gets_what_it_should_not(site: Site, words: Words, count: Count) -> None:
    before, asked, passed = site.processes(), asked_for(site), passed_on(site)
    with outside.bystanders(site) as others:
        good = outside.seen_by(site, requests(words))
        attacks = outside.attacks(words)
        found = outside.seen_by(site, attacks)
        shaken = [*tls.attempts(site)]
        achieved = outside.achieved(shaken)
    through = [*outside.through(found), *achieved]
    count.requests += len(attacks) + len(shaken)
    count.successes += through
    # The same client, program and log see what is answered: otherwise no attack could be seen to succeed.
    refused = {attack.name: seen.answers for attack, seen in good if attack.success(seen) is None}
    assert refused == {}
    assert tls.good(site) == "200"
    assert [attack.name for attack, seen in found if seen.unfinished] == []
    assert [str(one) for one in through] == []
    assert others.wrong == []
    assert others.answers > 10
    assert site.processes() == before
    # What the gateway logged is all that the host proxy passed on to each engine: nothing was smuggled past it.
    assert {model: passed_on(site)[model] - passed[model] for model in MODELS} == {
        model: asked_for(site)[model] - asked[model] for model in MODELS
    }


def test_nothing_of_the_attacks_is_in_a_log(site: Site, words: Words) -> None:
    assert traces.found(site.lab, words.canary, words.scoped, words.revoked, words.expired) == {}


def test_nobody_inside_gets_further(site: Site, count: Count) -> None:
    for host in ("gate1", "gpu1"):
        inside.plant(site, host)
    before = site.processes()
    with ThreadPoolExecutor(len(inside.PLACES)) as pool:
        told = list(pool.map(lambda place: place.told(site), inside.PLACES))
    through = [one for place, got in zip(inside.PLACES, told, strict=True) for one in place.through(got)]
    count.positions += sum(place.attempts(got) for place, got in zip(inside.PLACES, told, strict=True))
    count.successes += through
    assert [str(one) for one in through] == []
    # Each attempt works where nothing stops it.
    outside_of_all = [control.told(site) for control in inside.CONTROLS]
    outside_of_all.append(inside.on_this_machine())
    assert {name for got in told for name in got} == {
        name for got in outside_of_all for name, what in got.items() if what
    }
    assert site.processes() == before


def test_no_other_door_is_open(site: Site, count: Count) -> None:
    closed, certificates = doors.closed(site), doors.certificates(site)
    through = doors.opened(site, closed)
    for name, certificate in certificates.items():
        if status := doors.shown(site, certificate):
            through.append(Through(doors.FAMILY, f"a certificate: {name}", f"was answered {status}"))
    assert doors.shown(site, doors.good_certificate(site)) == "200"
    assert len(doors.opened(site, [("spare1", site.gateway, 443), ("", site.gateway, 22)])) == 2
    auditor, asked = site.operator.path.with_name(f"id_{AUDITOR}"), ("gate1", "gpu1")
    for host in asked:
        for where in doors.forwarded(site, host, AUDITOR, auditor):
            through.append(Through(doors.FAMILY, f"an auditor on {host}", f"is forwarded {where}"))
    assert doors.forwarded(site, "gpu1", site.fleet.user, site.fleet.key)
    logins = [*doors.attempts(site)]
    through += outside.achieved(logins, at_once=1)
    count.requests += len(closed) + len(certificates) + len(logins)
    count.positions += len(asked) * (len(doors.TARGETS) + 1)
    count.successes += through
    assert [str(one) for one in through] == []


def test_these_were_enough(count: Count, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{count}")
    assert count.requests >= LEAST_REQUESTS
    assert count.positions >= LEAST_POSITIONS
    assert count.successes == []


def test_a_key_that_makes_an_engine_hang_again_and_again_loses_it_and_others_keep_it(site: Site) -> None:
    """No attack above ends an engine. This one does: a legal grammar with which llama-server computes for minutes."""
    model = MODELS[0]
    hangs = json.dumps({"model": model, "prompt": "a", "grammar": 'root ::= ("a"?){300}'}).encode()

    def answer(key: str, path: str, body: bytes) -> tuple[int, str]:
        return malformed.sent(site.gateway, site.ca, site.keys[key], path, body)

    def serves() -> bool:
        word = malformed.word()
        return word in answer("whole", *malformed.answered_with(word, model))[1]

    for _ in range(MOST_ENDED):
        wait_until(serves, 180)
        assert answer("scoped", malformed.COMPLETIONS, hangs)[0] == 502
    wait_until(serves, 180)
    status, text = answer("scoped", *malformed.answered_with(malformed.word(), model))
    assert (status, json.loads(text)["error"]["code"]) == (503, "key_paused")
    assert serves()
