"""`migrate cutover`: the fleet's share of new conversations grows step by step, each behind a gate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.gateway.cutover_states import GatewayCutover
from rackwright.lifecycle.migrate.capture import looked, stop
from rackwright.lifecycle.migrate.cutover.blocks import blocks_of
from rackwright.lifecycle.migrate.cutover.ready import Preview, preview, refuse
from rackwright.lifecycle.migrate.cutover.ready import Step as Planned
from rackwright.lifecycle.migrate.cutover.shares import Shares
from rackwright.lifecycle.migrate.cutover.standing import STEPS
from rackwright.lifecycle.migrate.cutover.step_decision import Gate
from rackwright.lifecycle.migrate.cutover.unleased import note_unleased
from rackwright.lifecycle.migrate.cutover.watch import Watch
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.shadow.fresh_score import Score, fresh_score
from rackwright.lifecycle.migrate.shadow.procedure import cost_line
from rackwright.lifecycle.rollout.change import Clock, Paused, Undecided
from rackwright.migrate.cutover.fallback_cap import FallbackCap, falls_of
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.cutover.step_gate import Next
from rackwright.migrate.plan.cutover import WHOLE
from rackwright.report.words import counted
from rackwright.run import new_run_id
from rackwright.stopping import Stopping, stoppable
from rackwright.verdict import Word

LOOK_SECONDS = 10.0
"""Longest time between two looks at the gateways."""


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
    place.minds = frozenset(STEPS)
    # The score decrypts requests, days from now perhaps: a passphrase is asked for now.
    place.folder.key.private(place.plan.migration)
    place.console.say(f"before each larger share, clients' newest requests are scored: {cost_line(place)}")
    place.console.confirm(f"Give the fleet {found.steps[0].share:g} % of new conversations, and go on by the plan?")
    with stoppable(place.console.heard) as stopping:
        scores = partial(fresh_score, place, clock)
        run = Cutover(place, clock, stopping, partial(blocks_of, place), scores, found.fallback)
        state = run.run(found.cutting.state, found.steps)
    if state.whole:
        _end_capture(place)
    return preview(place, Shares(place, clock).look(), None, resume=False)


def _end_capture(place: Place) -> None:
    """The shadow ends with the last step, and so does what the gateways record for it."""
    try:
        if any(one.running for one in looked(place).gateways.values()):
            stop(place)
    except RackwrightError as error:
        place.console.say(f"the gateways still record requests: {error.problems[0]}")


@dataclass
class Cutover:
    """One run of the command."""

    place: Place
    clock: Clock
    stopping: Stopping
    blocks: Callable[[], tuple[str, ...]]
    """Returns what keeps the share from growing, apart from the verdict and the score."""
    scores: Callable[[CutoverState], Score]
    """Given the state of a step that was just reached, return the score of its requests."""
    fallback: FallbackCap | None = None
    """What the cloud may answer in the fleet's place from the next step on."""

    def run(self, state: CutoverState, steps: tuple[Planned, ...]) -> CutoverState:
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
        started = state if _is_there(state, share) else _started(share, state)
        started = started.model_copy(update={"fallback": self.fallback})
        with self.place.noting("cutover") as note:
            note(f"to {share:g} % of new conversations", started)
            try:
                since = self._shares.give(share, started.change, started.follows, falls_of(self.fallback))
            except HostError as error:
                self._refuse_rolled_back()
                _, lost = self._back(started, f"{share:g} % didn't reach every gateway", started.before)
                again = f"the fleet has {started.before:g} % again{_but(lost)}"
                raise error.but(should=again, next=self._begin_again if lost else self._same) from None
            reached = started.model_copy(update={"phase": "reached", "since": since})
            note(f"{share:g} % at {counted(len(since), 'gateway')}", reached)
        self.place.console.say(f"{share:g} % of new conversations go to the fleet, at {', '.join(since)}")
        return reached

    def _refuse_rolled_back(self) -> None:
        """Raise Undecided if someone has rolled back at a gateway: then nothing may be given there."""
        for host, one in self._shares.cutovers.look().items():
            if isinstance(one, GatewayCutover) and (one.rolled_back or one.panic):
                who = one.record.who if one.record else "someone"
                raise Undecided(f"{who} has rolled back: all requests go to the cloud", where=host)

    def _gate(self, state: CutoverState) -> CutoverState:
        """Watch the step; return its state when it has passed."""
        with closing(self.scores(state)) as score:
            next, gate = self._watched(state, score)
        if next is Next.BACK:
            raise self._fallen(state, gate)
        if next is Next.PAUSE:
            raise self._open(state, gate)
        return self._passed(state, gate)

    def _watched(self, state: CutoverState, score: Score | None) -> tuple[Next, Gate]:
        """Return what follows the step, when it is decided. `score`: None if it doesn't matter."""
        gate = Gate(self.place, self.clock, Watch(self.place, state, self._shares.look), self.blocks, score)
        next = Next.WAIT
        while next is Next.WAIT:
            self._wait()
            next = gate.look()
        return next, gate

    def _wait(self) -> None:
        self.clock.sleep(min(LOOK_SECONDS, self.place.plan.cutover.min_duration / 5))
        if self.stopping():
            raise Paused("interrupted; the share stays", where=self.place.plan.migration, next=self._same)

    def _passed(self, state: CutoverState, gate: Gate) -> CutoverState:
        passed = tuple(sorted({*state.passed, state.share}))
        after = state.model_copy(update={"phase": "passed", "why": gate.why, "passed": passed})
        self.place.note("cutover", f"{state.share:g} %: {Word.PASS}: {gate.why}", after)
        return after

    def _fallen(self, state: CutoverState, gate: Gate) -> RackwrightError:
        """Go back until a share passes, at last to the cloud; return what failed.

        What doesn't depend on the share goes back to the cloud at once. It needs no lease: it must not wait for
        others.
        """
        failed = f"at {state.share:g} %: FAIL: {gate.why}"
        while True:
            state, lost = self._back(state, gate.why, 0 if gate.any_share else state.before)
            self.place.console.say(f"{failed}; {_left(state)}")
            if lost:
                return self._error(failed, f"{_left(state)}{_but(lost)}", self._begin_again)
            if not state.share:
                return self._error(failed, _left(state))
            next, gate = self._watched(state, None)
            if next is not Next.BACK:
                return self._error(failed, f"{_left(state)}; {gate.why}")

    def _error(self, what: str, should: str, next_: str = "") -> ProofError:
        name = self.place.plan.migration
        return ProofError(what, where=name, should=should, next=next_ or f"rackwright migrate status {name}")

    def _open(self, state: CutoverState, gate: Gate) -> RackwrightError:
        rules, name = self.place.plan.cutover, self.place.plan.migration
        few = f"the fleet had {gate.requests} requests, and needs {rules.min_requests}"
        why = "; ".join(gate.blocked) or gate.why or few
        self.place.note(
            "cutover", f"{state.share:g} %: open: {why}", state.model_copy(update={"phase": "open", "why": why})
        )
        return Undecided(
            f"at {state.share:g} %: no clear verdict in time: {why}",
            where=name,
            should="the share stays as it is",
            next=f"{self._same}; or rackwright migrate rollback {name}",
        )

    def _back(self, state: CutoverState, why: str, share: float) -> tuple[CutoverState, str]:
        """Give the fleet this smaller share, as far as gateways can be reached, and note it.

        Return the state, and why the log doesn't say so; "": it does.
        """
        session, plan = self.place.session, self.place.plan
        change = new_run_id()
        since, missed = self._shares.give_back(share, change, falls_of(state.fallback))
        for host, problem in missed.items():
            self.place.console.say(f"{host}: {problem}")
        lower = max((one for one in plan.cutover.share if one < share), default=0.0)
        update = {"phase": "failed", "share": share, "before": lower, "change": change, "since": since, "why": why}
        after = state.model_copy(update={**update, "missed": missed})
        what = f"{state.share:g} %: {why}; back to {share:g} %"
        try:
            self.place.log = note_unleased(session, plan.migration, "cutover", what, after)
        except RackwrightError as error:
            return after, str(error.problems[0])
        return after, ""

    @property
    def _shares(self) -> Shares:
        return Shares(self.place, self.clock)

    @property
    def _same(self) -> str:
        return f"rackwright migrate cutover {self.place.plan.migration} --execute"

    @property
    def _begin_again(self) -> str:
        """The same command would give the share again that the log still has."""
        name = self.place.plan.migration
        return f"rackwright migrate rollback {name} when a control host answers, then begin again with --from"


def _left(state: CutoverState) -> str:
    """Return what a way back has led to."""
    again = f"the fleet gets {state.share:g} % of new conversations again"
    return again if state.share else "the cloud answers all requests again"


def _but(lost: str) -> str:
    """Return why the log doesn't say so, as the end of a sentence."""
    return f", and the log doesn't say so: {lost}" if lost else ""


def _is_there(state: CutoverState, share: float) -> bool:
    """Return whether an earlier run started to give this share, or the fleet has it."""
    return state.share == share and state.phase in ("going", "reached", "open", "failed") and state.under_way


def _started(share: float, state: CutoverState) -> CutoverState:
    both = state.under_way and state.share < WHOLE
    return CutoverState(
        phase="going",
        share=share,
        before=state.share,
        change=new_run_id(),
        follows=state.change if state.under_way else "",
        earlier=state.since if both else state.earlier,
        earlier_share=state.share if both else state.earlier_share,
        passed=state.passed,
        tried_back=state.tried_back,
    )
