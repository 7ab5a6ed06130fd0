"""`migrate cutover`: the fleet's share of new conversations grows step by step, each behind a gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.lifecycle.migrate.cutover.blocks import blocks_of
from rackwright.lifecycle.migrate.cutover.ready import Preview, Step, preview, refuse
from rackwright.lifecycle.migrate.cutover.shares import Shares
from rackwright.lifecycle.migrate.cutover.standing import STEPS
from rackwright.lifecycle.migrate.cutover.unleased import note_unleased
from rackwright.lifecycle.migrate.cutover.watch import Watch
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.rollout.change import Clock, Paused, Undecided
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.cutover.step_gate import Moment, Next, following, is_due
from rackwright.migrate.plan.cutover import WHOLE
from rackwright.report.words import counted
from rackwright.run import new_run_id
from rackwright.state.migrations import read_log
from rackwright.stopping import Stopping, stoppable
from rackwright.verdict import Verdict, Word

LOOK_SECONDS = 10.0
"""Longest time between two looks at the gateways."""
AWAY_SECONDS = 150.0
"""How long gateways may be unreachable before the cutover pauses."""
HOPELESS = "most of the fleet's requests fail, the cloud's don't"


def cutover(
    place: Place, clock: Clock, *, execute: bool, first: float | None = None, resume: bool = False
) -> Preview:
    """Return what the cutover would do; with `execute`, do it after the operator has agreed.

    `first`: the share to begin with. `resume`: a pause is over. Raise RackwrightError with everything that is in the
    way, and what Cutover.run raises.
    """
    found = preview(place, Shares(place, clock).look(), first, resume=resume)
    if not execute:
        return found
    refuse(found.problems, place)
    if not found.steps:
        return found
    refuse(found.steps[0].problems, place)
    place.console.confirm(f"Give the fleet {found.steps[0].share:g} % of new conversations, and go on by the plan?")
    with stoppable(place.console.heard) as stopping:
        Cutover(place, clock, stopping, partial(blocks_of, place)).run(found.cutting.state, found.steps)
    return preview(place, Shares(place, clock).look(), None, resume=False)


@dataclass
class Cutover:
    """One run of the command."""

    place: Place
    clock: Clock
    stopping: Stopping
    blocks: Callable[[], tuple[str, ...]]
    """Returns what keeps the share from growing, apart from the verdict."""

    def run(self, state: CutoverState, steps: tuple[Step, ...]) -> CutoverState:
        """Grow the share by these steps; return the state after the last one.

        Raise ProofError if a gate said FAIL: the fleet has the share before again. Raise Undecided if there is no
        clear verdict in time, or if someone paused or rolled back, Paused after Ctrl-C; the share stays then. Raise
        RackwrightError if a step can't begin.
        """
        for step in steps:
            refuse(step.problems, self.place)
            state = self._gate(self._reach(step.share, state))
        return state

    def _reach(self, share: float, state: CutoverState) -> CutoverState:
        """Return the state with every gateway at this share. The log has it before and after."""
        begun = state if _is_there(state, share) else _begun(share, state)
        with self.place.noting("cutover") as note:
            note(f"to {share:g} % of new conversations", begun)
            try:
                since = self._shares.give(share, begun.change)
            except HostError as error:
                self._back(begun, f"{share:g} % didn't reach every gateway")
                raise error.but(should=f"the fleet has {begun.before:g} % again", next=self._same) from None
            reached = begun.model_copy(update={"phase": "reached", "since": since})
            note(f"{share:g} % at {counted(len(since), 'gateway')}", reached)
        self.place.console.say(f"{share:g} % of new conversations go to the fleet, at {', '.join(since)}")
        return reached

    def _gate(self, state: CutoverState) -> CutoverState:
        """Watch the step; return its state when it has passed."""
        watch, step = Watch(self.place, state, self._shares.look), _Watched(self.clock.now())
        while True:
            self._wait()
            next = self._judged(watch, step)
            if next is Next.GROW:
                return self._passed(state, step)
            if next is Next.BACK:
                raise self._failed(state, step.why)
            if next is Next.PAUSE:
                raise self._open(state, step, watch)

    def _wait(self) -> None:
        self.clock.sleep(min(LOOK_SECONDS, self.place.plan.cutover.min_duration / 5))
        if self.stopping():
            raise Paused("interrupted; the share stays", where=self.place.plan.migration, next=self._same)
        self._heed()

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

    def _judged(self, watch: Watch, step: _Watched) -> Next:
        try:
            lasted = watch.read()
            step.seen = self.clock.now()
        except HostError as error:
            if self.clock.now() - step.seen < AWAY_SECONDS:
                return Next.WAIT
            raise Undecided(
                f"the gateways can't be asked: {error.problems[0]}", where=self.place.plan.migration, next=self._same
            ) from None
        if watch.hopeless():
            step.why = HOPELESS
            return Next.BACK
        return self._followed(watch, step, Moment(lasted, self.clock.now() - step.start, watch.fleet.count))

    def _followed(self, watch: Watch, step: _Watched, moment: Moment) -> Next:
        rules = self.place.plan.cutover
        if is_due(rules, moment, step.judged):
            step.judged = (*step.judged, moment.requests)
            step.verdict = watch.verdict()
            step.why = step.verdict.why
            self.place.console.say(f"{watch.state.share:g} %: {step.verdict.word}: {step.verdict.why}")
        word = step.verdict.word if step.verdict else None
        next = following(rules, Moment(moment.lasted, moment.waited, moment.requests, (), word))
        if next is not Next.GROW:
            return next
        blocked = self.blocks()
        if blocked != step.blocked:
            step.blocked = blocked
            for one in blocked:
                self.place.console.say(f"{watch.state.share:g} %: waits: {one}")
        return following(rules, Moment(moment.lasted, moment.waited, moment.requests, blocked, word))

    def _passed(self, state: CutoverState, step: _Watched) -> CutoverState:
        passed = tuple(sorted({*state.passed, state.share}))
        after = state.model_copy(update={"phase": "passed", "why": step.why, "passed": passed})
        self.place.note("cutover", f"{state.share:g} %: {Word.PASS}: {step.why}", after)
        return after

    def _failed(self, state: CutoverState, why: str) -> RackwrightError:
        """Give the fleet the share before, without the lease: what is wrong must not wait for another operator."""
        self._back(state, why)
        after = (
            f"{state.before:g} % of new conversations go to the fleet again"
            if state.before
            else "the cloud answers all requests again"
        )
        name = self.place.plan.migration
        return ProofError(
            f"at {state.share:g} %: FAIL: {why}", where=name, should=after, next=f"rackwright migrate status {name}"
        )

    def _open(self, state: CutoverState, step: _Watched, watch: Watch) -> RackwrightError:
        rules = self.place.plan.cutover
        few = (
            f"the fleet had {watch.fleet.count} requests in {rules.max_duration:g} s, and needs {rules.min_requests}"
        )
        why = "; ".join(step.blocked) or step.why or few
        self.place.note(
            "cutover", f"{state.share:g} %: open: {why}", state.model_copy(update={"phase": "open", "why": why})
        )
        return Undecided(
            f"at {state.share:g} %: no clear verdict in time: {why}",
            where=self.place.plan.migration,
            should="the share stays as it is",
            next=f"{self._same}; or rackwright migrate rollback {self.place.plan.migration}",
        )

    def _back(self, state: CutoverState, why: str) -> None:
        """Give the fleet the share that it had before the step, as far as gateways can be reached, and note it."""
        session, name, change = self.place.session, self.place.plan.migration, new_run_id()
        since, missed = self._shares.give_back(state.before, change)
        for host, problem in missed.items():
            self.place.console.say(f"{host}: {problem}")
        update = {"phase": "failed", "share": state.before, "change": change, "since": since, "why": why}
        what = f"{state.share:g} %: {why}; back to {state.before:g} %"
        self.place.log = note_unleased(
            session, name, "cutover", what, state.model_copy(update={**update, "missed": missed})
        )

    @property
    def _shares(self) -> Shares:
        return Shares(self.place, self.clock)

    @property
    def _same(self) -> str:
        return f"rackwright migrate cutover {self.place.plan.migration} --execute"


@dataclass
class _Watched:
    start: float
    seen: float = 0.0
    """When all gateways last answered."""
    judged: tuple[int, ...] = ()
    """The fleet's requests at each verdict."""
    verdict: Verdict | None = None
    why: str = ""
    blocked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.seen = self.start


def _is_there(state: CutoverState, share: float) -> bool:
    """Return whether an earlier run has begun to give this share, or the fleet has it."""
    return state.share == share and state.phase in ("going", "reached", "open", "failed") and state.under_way


def _begun(share: float, state: CutoverState) -> CutoverState:
    both = state.under_way and state.share < WHOLE
    return CutoverState(
        phase="going",
        share=share,
        before=state.share,
        change=new_run_id(),
        earlier=state.since if both else state.earlier,
        earlier_share=state.share if both else state.earlier_share,
        passed=state.passed,
        tried_back=state.tried_back,
    )
