"""How often a candidate that is too bad gets a PASS, if conversations fail whole: calculated, not sampled."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import pytest

from rackwright.verdict import Comparison, Request, Thresholds, Traffic, Word
from rackwright.verdict.errors import errors, fewest
from rackwright.verdict.figure import ERROR, chances
from rackwright.verdict.judge import judge

ALLOWED = Thresholds().errors


def traffic(conversations: int, each: int = 1, failing: int = 0) -> Traffic:
    """This many conversations fail, with every request."""
    return Traffic(
        tuple(Request(str(number), error=number < failing) for number in range(conversations) for _ in range(each))
    )


def lone_errors(conversations: int, each: int, failing: int) -> Traffic:
    """This many conversations have one request that fails."""
    whole = traffic(conversations, each)
    seen: set[str] = set()
    requests = []
    for one in whole.requests:
        first = one.conversation not in seen
        seen.add(one.conversation)
        requests.append(replace(one, error=first and int(one.conversation) < failing))
    return Traffic(tuple(requests))


def judged(running: Traffic, candidate: Traffic, looks: int = 1) -> Comparison:
    return judge(errors(running, candidate, chances(5, looks)), Thresholds())


def chance_of(word: Word, rate: float, conversations: int, each: int, running: Traffic, looks: int = 1) -> float:
    """The probability of this verdict if each conversation fails whole at this rate: binomial, so exact."""
    chance = 0.0
    for failing in range(conversations + 1):
        share = comb(conversations, failing) * rate**failing * (1 - rate) ** (conversations - failing)
        if share < 1e-9 and failing > conversations * rate:
            break
        if judged(running, traffic(conversations, each, failing), looks).word is word:
            chance += share
    return chance


@pytest.mark.parametrize(
    ("conversations", "each", "rate"),
    [
        (20, 50, 0.03),
        (20, 50, 0.05),
        (30, 40, 0.03),
        (40, 30, 0.03),
        (40, 10, 0.03),
        (100, 10, 0.03),
        (200, 10, 0.03),
    ],
)
def test_requests_of_a_few_conversations_don_t_pass_a_candidate_that_fails_whole_ones(conversations, each, rate):
    running = traffic(max(conversations, 60), each)
    assert chance_of(Word.PASS, rate, conversations, each, running, looks=6) == 0
    assert chance_of(Word.PASS, rate, conversations, each, running) == 0


@pytest.mark.parametrize("conversations", [369, 400, 545, 600, 800, 1200])
@pytest.mark.parametrize("looks", [1, 6])
@pytest.mark.parametrize("failing", [0, 6])
def test_a_candidate_at_the_threshold_passes_no_more_often_than_is_promised(conversations, looks, failing):
    """`failing` of the running version's 1,200 conversations: the observed rate is taken as the true one."""
    running = traffic(1200, 3, failing)
    rate = failing / 1200 + ALLOWED
    assert chance_of(Word.PASS, rate, conversations, 3, running, looks) <= ERROR / looks


def test_lone_errors_of_the_running_version_say_nothing_about_how_the_candidate_fails():
    """The running version fails single requests. The candidate may fail in another way: whole conversations."""
    assert judged(lone_errors(400, 10, 4), traffic(60, 20)).word is Word.INCONCLUSIVE


def test_conversations_that_are_many_pass():
    assert judged(traffic(1200, 3), traffic(400, 3)).word is Word.PASS
    assert judged(traffic(1800, 3), traffic(600, 3), looks=6).word is Word.PASS


@pytest.mark.parametrize("looks", [1, 6])
@pytest.mark.parametrize("allowed", [0.005, 0.01, 0.03])
def test_the_fewest_that_pass_are_known_beforehand(allowed, looks):
    at = chances(5, looks)
    least = fewest(allowed, at)
    words = [
        judge(errors(traffic(3 * count), traffic(count), at), Thresholds(errors=allowed)).word
        for count in (least - 1, least)
    ]
    assert words == [Word.INCONCLUSIVE, Word.PASS]


def test_lone_errors_in_many_conversations_pass():
    assert judged(lone_errors(3000, 4, 48), lone_errors(1000, 4, 16)).word is Word.PASS


def lengths(*of: tuple[int, int]) -> Traffic:
    """For each kind: the number of conversations, and the requests in each."""
    kinds = enumerate(of)
    return Traffic(
        tuple(
            Request(f"{kind}-{number}", error=False)
            for kind, (count, each) in kinds
            for number in range(count)
            for _ in range(each)
        )
    )


def test_an_unseen_failing_conversation_may_be_a_long_one():
    """The same number of conversations and of requests, but half of the requests are in a few conversations."""
    alike, unlike = lengths((450, 4)), lengths((400, 2), (50, 20))
    assert len(alike.requests) == len(unlike.requests)
    assert judged(traffic(1200), alike).word is Word.PASS
    assert judged(traffic(1200), unlike).word is Word.INCONCLUSIVE


def test_what_is_open_says_how_many_conversations_it_takes():
    found = judged(traffic(60, 50), traffic(20, 50), looks=6)
    assert found.needed == 550
    assert found.why.endswith("not enough conversations: 20 of about 550")
    assert judged(traffic(60 * 28, 50), traffic(20 * 28, 50), looks=6).word is Word.PASS


def test_what_is_a_little_too_bad_says_how_many_conversations_would_fail_it():
    found = judged(traffic(300, 3), traffic(100, 3, 4))
    assert found.word is Word.INCONCLUSIVE
    assert found.needed is not None
    more = found.needed // 100 + 1
    assert judged(traffic(300 * more, 3), traffic(100 * more, 3, 4 * more)).word is Word.FAIL


def test_a_candidate_at_the_threshold_says_that_the_number_needed_is_unknown():
    found = judged(traffic(300), traffic(100, failing=1))
    assert (found.word, found.needed) == (Word.INCONCLUSIVE, None)
    assert found.why.endswith("not enough conversations: 100, and the number needed can't be estimated")


@pytest.mark.parametrize("conversations", [20, 60, 200, 600])
def test_a_candidate_at_the_threshold_fails_no_more_often_than_is_promised(conversations):
    running = traffic(conversations * 3, 3)
    assert chance_of(Word.FAIL, ALLOWED, conversations, 3, running) <= ERROR


def test_a_candidate_that_fails_a_tenth_of_its_conversations_fails():
    assert judged(traffic(600, 3), traffic(200, 3, 20)).word is Word.FAIL
