"""The gate of one step: it says when the share may grow, must go back, or can't be decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rackwright.errors import HostError
from rackwright.lifecycle.canary.steps import growth_for
from rackwright.lifecycle.migrate.cutover.standing import STEPS
from rackwright.lifecycle.migrate.cutover.watch import Watch
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.shadow.fresh_score import Found, Score
from rackwright.lifecycle.rollout.change import Clock, Undecided
from rackwright.migrate.cutover.step_gate import Moment, Next, following, is_due
from rackwright.state.migrations import read_log
from rackwright.verdict import Verdict, Word

AWAY_SECONDS = 150.0
"""How long gateways may be unreachable before the cutover pauses."""
HOPELESS = "most of the fleet's requests fail, the cloud's don't"
_NO_SCORE = Found(Word.PASS)


@dataclass
class Gate:
    place: Place
    clock: Clock
    watch: Watch
    blocks: Callable[[], tuple[str, ...]]
    """Returns what keeps the share from growing, apart from the verdict and the score."""
    score: Score | None
    """Of requests of the step; None: it doesn't matter."""
    why: str = ""
    """Why it passed, failed, or is open."""
    any_share: bool = False
    """Whether the fleet fails with a smaller share, too: most requests fail, or its answers aren't good enough."""
    blocked: tuple[str, ...] = ()
    """What else keeps the share from growing."""
    requests: int = 0
    """That the fleet has had."""
    _start: float = field(init=False)
    _seen: float = field(init=False)
    """When all gateways last answered."""
    _judged: tuple[int, ...] = ()
    """The fleet's requests at each verdict."""
    _verdict: Verdict | None = None

    def __post_init__(self) -> None:
        self._start = self._seen = self.clock.now()

    def look(self) -> Next:
        """Return what to do now. Raise Undecided if someone paused or rolled back, or if hosts can't be asked."""
        try:
            self._heed()
            return self._decided(self.watch.read())
        except HostError as error:
            if self.clock.now() - self._seen < AWAY_SECONDS:
                return Next.WAIT
            what, name = f"the hosts can't be asked: {error.problems[0]}", self.place.plan.migration
            raise Undecided(what, where=name, next=f"rackwright migrate cutover {name} --execute") from None

    def _heed(self) -> None:
        """Raise Undecided if someone paused or rolled back. Other entries don't matter to a cutover."""
        log = read_log(self.place.session.store, self.place.plan.migration)
        for entry in log.entries[len(self.place.log.entries) :]:
            if entry.step in STEPS:
                name = self.place.plan.migration
                word = {"rollback": "rolled back", "pause": "paused it"}.get(entry.step, "goes on with it")
                next_ = f"rackwright migrate {'resume' if entry.step == 'pause' else 'status'} {name}"
                raise Undecided(f"{entry.who} {word}: {entry.what}", where=name, next=next_)
        self.place.log = log

    def _decided(self, lasted: float) -> Next:
        self._seen, self.requests = self.clock.now(), self.watch.fleet.count
        if self.watch.hopeless():
            self.why, self.any_share = HOPELESS, True
            return Next.BACK
        moment = Moment(lasted, self.clock.now() - self._start, self.requests)
        return self._gated(replace(moment, word=self._newest_verdict(moment)))

    def _newest_verdict(self, moment: Moment) -> Word | None:
        """Return the newest verdict's word, after another one if that is due."""
        growth = growth_for(self._verdict) if self._verdict else 1.0
        if is_due(self.place.plan.cutover, moment, self._judged, growth):
            self._judged = (*self._judged, moment.requests)
            self._verdict = self.watch.verdict()
            self.why = self._verdict.why
            self._say(f"{self._verdict.word}: {self._verdict.why}")
        return self._verdict.word if self._verdict else None

    def _gated(self, judged: Moment) -> Next:
        """Ask for what is left when the verdict is PASS: the score, the ledger, alarms."""
        rules = self.place.plan.cutover
        passes = following(rules, judged) is Next.GROW
        blocked = self.blocks() if passes else ()
        found = self.score.look(wanted=passes and not blocked) if self.score else _NO_SCORE
        said = f"score of requests since then: {found.word or 'open'}: {found.why}"
        if found.word is Word.FAIL:
            self.why, self.any_share = said, True
        if passes and self.score and self._verdict and found.word is Word.PASS:
            self.why = f"{self._verdict.why}; {said}"
        if passes:
            self._show(blocked if found.word is Word.PASS else (*blocked, said))
        return following(rules, replace(judged, blocked=blocked, score=found.word))

    def _show(self, blocked: tuple[str, ...]) -> None:
        if blocked != self.blocked:
            self.blocked = blocked
            for one in blocked:
                self._say(f"waits: {one}")

    def _say(self, text: str) -> None:
        self.place.console.say(f"{self.watch.state.share:g} %: {text}")
