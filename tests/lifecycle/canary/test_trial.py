"""Trials judged by the real statistics, on simulated traffic: equal, doubtful, twice as slow, failing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rackwright.errors import HostError, LeasedError, ProofError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.sections.canary import Canary, Thresholds
from rackwright.gateway import ServerState
from rackwright.lifecycle.canary.observe import Watch
from rackwright.lifecycle.canary.trial import Tried
from rackwright.lifecycle.canary.verdict import fewest_conversations, thresholds_of
from rackwright.lifecycle.rollout.change import Paused, Undecided
from rackwright.roles.gateway.access_log import Access
from rackwright.verdict import GoldenAnswers, Word
from tests.lifecycle.canary.lines import CANARY, line
from tests.lifecycle.simulation import Clock
from tests.verdict.simulated import EQUAL, Version, golden

OTHER = "gpu2/assistant@1"
RULES = Canary(
    share=(25, 50), min_duration="60s", min_requests=60, max_duration="600s", thresholds=Thresholds(errors="3%")
)
RATE = 4.0


@dataclass
class Gateways:
    """Gateways at which the canary and another replica are up."""

    told: list[str] = field(default_factory=list)
    share: float = 0.0
    up: bool = True
    other_up: bool = True
    away: bool = False

    def set_canary(self, address: str, percent: float, *, digest: str, rollout: str) -> None:
        assert (address, digest, rollout) == (CANARY, "e" * 64, "run")
        self.told.append(f"{percent:g} %")
        self.share = percent

    def end_canary(self, model: str) -> None:
        self.told.append("end")
        self.share = 0.0

    def servers(self) -> dict[str, ServerState]:
        if self.away:
            raise HostError("unreachable", where="gate1")
        return {
            CANARY: ServerState("gpu1", "assistant@1", True, self.up, 0, SimpleNamespace(manual=False)),  # type: ignore[arg-type]
            OTHER: ServerState("gpu2", "assistant@1", False, self.other_up, 0, None),
        }


@dataclass
class Logs:
    """The clients' requests since the last look: conversations of one request each, split by the share."""

    gateways: Gateways
    clock: Clock
    candidate: Version
    rate: float = RATE
    pace: Callable[[float], float] = lambda now: 1.0
    """The factor by which every answer is slower, for both versions."""
    dies: float = math.inf
    """From this second on, all requests of the canary fail."""
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    since: float = 0.0

    def read(self) -> list[Access]:
        count = int(self.rng.poisson(self.rate * (self.clock.now() - self.since)))
        self.since = self.clock.now()
        return [self._line(self.rng.random() < self.gateways.share / 100) for _ in range(count)]

    def _line(self, canary: bool) -> Access:
        version = self.candidate if canary else EQUAL
        slowness = version.slowness * self.pace(self.clock.now())
        first = 300 * slowness * np.exp(self.rng.normal(0, 0.4))
        each = 30 * slowness * np.exp(self.rng.normal(0, 0.25))
        streamed = bool(self.rng.random() < 0.5)
        return line(
            canary=canary,
            replica=CANARY if canary else OTHER,
            conversation=int(self.rng.integers(1_000_000)),
            status=500 if (canary and self.clock.now() >= self.dies) or self.rng.random() < version.errors else 200,
            stream=streamed,
            queued_ms=0,
            first_byte_ms=round(first) if streamed else round(first + each * 20),
            total_ms=round(first + each * 20),
            completion_tokens=None if streamed else 20,
        )


@dataclass
class Keeper:
    """Keeps what would be recorded."""

    session: Any
    told: list[str] = field(default_factory=list)
    run: str = "run"
    lease_session: Any = field(default_factory=lambda: SimpleNamespace(check=lambda: None))

    def reached(self, step: int) -> None:
        self.told.append(f"step {step}")

    def judged(self, share: float, verdict: Any) -> None:
        self.told.append(f"{share:g} %: {verdict.word}")

    def passed(self, share: float, verdict: Any) -> None:
        self.told.append(f"passed with {verdict.word}")

    def ended(self, outcome: str, share: float, why: str, verdict: Any = None) -> None:
        self.told.append(f"{outcome}, {verdict.word if verdict else None}")


@dataclass
class Bench:
    """One trial with its whole environment."""

    candidate: Version = EQUAL
    rules: Canary = RULES
    golden: GoldenAnswers | None = None
    rate: float = RATE
    stopping: Callable[[], bool] = lambda: False
    first: int = 0
    pace: Callable[[float], float] = lambda now: 1.0
    dies: float = math.inf

    def __post_init__(self) -> None:
        self.clock, self.gateways = Clock(), Gateways()
        self.session: Any = SimpleNamespace(gateways=self.gateways)
        self.keeper, self.entered = Keeper(self.session), list[str]()

    def run(self) -> None:
        replica = Replica("assistant", 1, "gpu1", 0)
        logs: Any = Logs(self.gateways, self.clock, self.candidate, self.rate, self.pace, self.dies)
        keeper: Any = self.keeper
        watch = Watch(self.session, replica, frozenset({OTHER}), "e" * 64, "run", logs, self.golden, self.clock)
        tried = Tried(
            replica,
            self.rules,
            ready=lambda: None,
            watch=lambda enter: watch,
            keeper=keeper,
            clock=self.clock,
            stopping=self.stopping,
            first=self.first,
        )
        tried.run(self.entered.append)


def test_an_equal_one_passes():
    bench = Bench()
    bench.run()
    assert bench.keeper.told[-1] == "passed with PASS"
    assert list(dict.fromkeys(bench.gateways.told)) == ["25 %", "50 %"]
    assert bench.entered[0] == "25 % of the conversations, for at least 60 s and 60 requests"


def test_it_is_judged_again_when_it_has_as_many_as_the_verdict_takes_long_before_its_limit():
    bench = Bench(rules=RULES.model_copy(update={"share": (50.0,), "max_duration": 6000}))
    bench.run()
    assert bench.keeper.told[:2] == ["step 0", "50 %: INCONCLUSIVE"]
    assert bench.keeper.told[-1] == "passed with PASS"
    assert bench.clock.now() < 1000


def busier_after(seconds: float, times: float) -> Callable[[float], float]:
    return lambda now: times if now > seconds else 1.0


STEEP = RULES.model_copy(update={"share": (5.0, 50.0), "min_duration": 240, "min_requests": 20, "max_duration": 2000})


def test_an_hour_that_is_slower_for_everybody_is_no_fault_of_the_canary():
    """Most of the canary's requests are in the last step; those of the other replicas are not."""
    bench = Bench(rules=STEEP, pace=busier_after(300, 2.0))
    bench.run()
    assert bench.keeper.told[-1] == "passed with PASS"


def test_an_hour_that_is_faster_for_everybody_hides_no_slow_canary():
    bench = Bench(Version(slowness=1.6), rules=STEEP, pace=busier_after(300, 0.5))
    with pytest.raises(ProofError, match="FAIL: median time to first token"):
        bench.run()


def test_one_that_is_twice_as_slow_fails_at_its_first_step():
    bench = Bench(Version(slowness=2.0))
    with pytest.raises(ProofError, match="FAIL: median time to first token is too bad") as error:
        bench.run()
    assert error.value.problems[0].next == "rackwright model verdict assistant"
    assert bench.keeper.told == ["step 0", "25 %: FAIL", "FAIL, FAIL"]
    assert bench.gateways.told[-1] == "end"


def test_one_that_fails_every_request_is_not_waited_for():
    bench = Bench(Version(errors=1.0))
    with pytest.raises(ProofError, match="FAIL: most of its requests fail"):
        bench.run()
    assert bench.clock.now() < 60
    assert bench.keeper.told[0] == "step 0"
    assert bench.keeper.told[1].startswith("FAIL")


def test_one_that_dies_late_in_a_step_is_reverted_as_soon():
    rules = RULES.model_copy(update={"min_duration": 7200.0, "max_duration": 9000.0})
    bench = Bench(rules=rules, dies=3600)
    with pytest.raises(ProofError, match="most of its requests fail"):
        bench.run()
    assert 3600 < bench.clock.now() < 3660


def test_a_doubtful_one_waits_and_then_pauses():
    bench = Bench(Version(slowness=1.25))
    with pytest.raises(Undecided, match="INCONCLUSIVE: median time to first token is open") as error:
        bench.run()
    assert bench.clock.now() >= RULES.max_duration
    assert bench.keeper.told[-1] == "INCONCLUSIVE, INCONCLUSIVE"
    assert error.value.problems[0].should == "the other replicas get all of the traffic"
    assert bench.gateways.share == 0


def test_without_traffic_it_pauses_at_its_limit():
    bench = Bench(rate=0.01)
    with pytest.raises(Undecided, match=r"INCONCLUSIVE: the canary had \d+ requests in 600 s, and needs 60"):
        bench.run()
    assert 600 <= bench.clock.now() <= 620
    assert set(bench.gateways.told) == {"25 %", "end"}


def answers(candidate: Version, prompts: int = 250) -> GoldenAnswers:
    return golden(np.random.default_rng(3), EQUAL, candidate, prompts)


def test_what_the_golden_set_shows_no_client_has_to():
    bench = Bench(golden=answers(Version(score=0.3)))
    with pytest.raises(ProofError, match="FAIL: golden score is too bad"):
        bench.run()
    assert bench.gateways.told == ["end"]
    assert bench.keeper.told == ["FAIL, FAIL"]


def test_an_equal_one_passes_with_its_golden_set():
    thresholds = Thresholds(errors="3%", formats="10%", golden="10%")
    bench = Bench(
        golden=answers(EQUAL), rules=RULES.model_copy(update={"golden": "p.jsonl", "thresholds": thresholds})
    )
    bench.run()
    assert bench.keeper.told[-1] == "passed with PASS"


def test_times_that_the_golden_set_leaves_open_clients_decide():
    whole = answers(EQUAL)
    slower = (
        replace(pair, candidate=replace(pair.candidate, ttft=(pair.running.ttft or 1) * times, tpot=None))
        for pair, times in zip(whole.pairs, (1.1, 1.4) * 125, strict=True)
    )
    thresholds = Thresholds(errors="3%", formats="10%", golden="10%")
    bench = Bench(
        golden=replace(whole, pairs=tuple(slower)),
        rules=RULES.model_copy(update={"golden": "p.jsonl", "thresholds": thresholds}),
    )
    bench.run()
    assert bench.keeper.told[-1] == "passed with PASS"


def test_a_golden_set_that_is_too_small_to_tell_is_said_before_any_client_asks():
    bench = Bench(golden=answers(EQUAL, prompts=30))
    with pytest.raises(Undecided, match=r"INCONCLUSIVE: (golden score|valid formats): ") as error:
        bench.run()
    assert error.value.problems[0].should == "no client's request went to the new version"
    assert bench.gateways.told == ["end"]


def test_a_share_is_renewed_long_before_it_ends():
    bench = Bench(rules=RULES.model_copy(update={"share": (50.0,), "min_duration": 580}), rate=0.05)
    with pytest.raises(Undecided):
        bench.run()
    # One renewal per minute.
    assert bench.gateways.told.count("50 %") >= 10


def test_who_goes_on_begins_with_the_step_that_was_reached():
    bench = Bench(first=1)
    bench.run()
    assert set(bench.gateways.told) == {"50 %"}


def test_who_stops_it_leaves_no_share():
    bench = Bench(stopping=lambda: True)
    with pytest.raises(Paused, match="interrupted; the canary gets no more traffic") as error:
        bench.run()
    assert not isinstance(error.value, Undecided)
    assert bench.gateways.told == ["25 %", "end"]
    assert bench.keeper.told[-1] == "left, INCONCLUSIVE"


def test_one_that_falls_out_fails():
    bench = Bench()
    bench.keeper.lease_session.check = lambda: setattr(bench.gateways, "up", bench.clock.now() < 20)
    with pytest.raises(ProofError, match="FAIL: fell out of the gateways while it was the canary"):
        bench.run()
    assert bench.gateways.told[-1] == "end"


def test_one_look_at_which_it_is_down_is_no_fall():
    bench = Bench()
    bench.keeper.lease_session.check = lambda: setattr(bench.gateways, "up", not 20 <= bench.clock.now() < 30)
    bench.run()
    assert bench.keeper.told[-1] == "passed with PASS"


def test_one_look_at_which_nothing_else_serves_ends_nothing():
    bench = Bench()
    bench.keeper.lease_session.check = lambda: setattr(bench.gateways, "other_up", not 20 <= bench.clock.now() < 30)
    bench.run()
    assert bench.keeper.told[-1] == "passed with PASS"


def test_what_came_before_a_share_counts_for_none():
    bench = Bench()
    logs: Any = SimpleNamespace(read=lambda: [line(), line(canary=False, replica=OTHER, conversation=900_000)])
    watch = Watch(
        bench.session,
        Replica("assistant", 1, "gpu1", 0),
        frozenset({OTHER}),
        "e" * 64,
        "run",
        logs,
        None,
        bench.clock,
    )
    for share in (25, 50):
        watch.begin(share)
        watch.look()
        assert (watch.running.count, watch.candidate.count) == (0, 0)
        watch.look()
        assert (watch.running.count, watch.candidate.count) == (1, 1)


@pytest.mark.parametrize(
    ("away", "ends"), [(range(20, 140), False), (range(60, 130), False), (range(20, 10_000), True)]
)
def test_gateways_that_are_away_are_waited_for_as_long_as_the_share_lasts_without_them(away, ends):
    bench = Bench()
    bench.keeper.lease_session.check = lambda: setattr(bench.gateways, "away", int(bench.clock.now()) in away)
    if not ends:
        bench.run()
        return
    with pytest.raises(Undecided, match="the gateways can't be asked: unreachable"):
        bench.run()
    assert bench.clock.now() <= 20 + 150 + 20


def test_who_lost_the_lease_leaves_gateways_alone():
    def lost() -> None:
        raise LeasedError("this run's lease has ended")

    bench = Bench()
    bench.keeper.lease_session.check = lost
    with pytest.raises(LeasedError):
        bench.run()
    assert bench.gateways.told == ["25 %"]


def test_the_fleet_files_thresholds_are_the_verdicts():
    rules = RULES.model_copy(update={"thresholds": Thresholds(errors="3%", ttft_p95="80%")})
    thresholds = thresholds_of(rules)
    assert (thresholds.errors, thresholds.ttft_p95) == (0.03, 0.8)
    assert thresholds.tpot_median == thresholds_of(RULES).tpot_median


def test_a_verdict_takes_as_many_conversations_as_its_errors_and_its_p95_do():
    assert fewest_conversations(Canary(golden="p.jsonl")) == 546
    assert fewest_conversations(Canary(thresholds=Thresholds(errors="10%"))) == 200


def test_every_threshold_of_the_verdict_can_be_set():
    assert set(Thresholds.model_fields) == set(thresholds_of(RULES).__dataclass_fields__)
    assert {word.value for word in Word} < {"PASS", "FAIL", "INCONCLUSIVE", "open"}
