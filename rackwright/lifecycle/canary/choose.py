"""Choose which replica of a rollout is a model's canary."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.golden.golden_set import GoldenSet
from rackwright.fleet.sections.canary import Canary
from rackwright.gateway import parts_of
from rackwright.lifecycle.canary.golden_answers import Questions, golden_set_of
from rackwright.lifecycle.canary.keeper import Keeper
from rackwright.lifecycle.canary.logs import AccessLogs, of_canary
from rackwright.lifecycle.canary.observe import Watch
from rackwright.lifecycle.canary.trial import Tried
from rackwright.lifecycle.canary.verdict import fewest_conversations
from rackwright.lifecycle.rollout.change import Enter, Paused, SystemClock
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.state.canaries import Progress, Trial, read_trial
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import Rollout
from rackwright.stopping import Stopping


@dataclass(frozen=True)
class Canaries:
    """The canaries of one rollout, in one run of the tool."""

    session: Session
    lease_session: LeaseSession
    console: Console
    rollout: Rollout
    stopping: Stopping

    def of(self, due: Sequence[Replica], new: Collection[str]) -> Mapping[str, Tried]:
        """Return the canary of each model that still needs one, by HOST/MODEL@N.

        `due`: the replicas to change, in order; `new`: the replicas that run the new version already. A replica that
        was drained manually is never a canary. Raise FleetError if a golden set can't be read.
        """
        trial = self._trial()
        if not (untried := trial.untried(self.rollout.canaries)):
            return {}
        drained = self._drained_manually()
        chosen: dict[str, Replica] = {}
        for one in due:
            if one.model in untried and one.address not in drained:
                chosen.setdefault(one.model, one)
        return {
            one.address: self._tried(one, self._others(one, new), trial.models.get(model))
            for model, one in chosen.items()
        }

    def untried(self) -> frozenset[str]:
        """Return the models whose canary hasn't passed."""
        return self._trial().untried(self.rollout.canaries)

    def _trial(self) -> Trial:
        """Read the trial from the control host, but only if the rollout has canaries."""
        if not self.rollout.canaries:
            return Trial(rollout=self.rollout.id)
        return read_trial(self.lease_session.store, self.rollout.id)

    def _drained_manually(self) -> set[str]:
        return {state.address for state in self.session.gateways.servers().values() if state.drained_manually}

    def _others(self, canary: Replica, new: Collection[str]) -> tuple[Replica, ...]:
        others = [one for one in self.session.fleet.replicas_of(canary.model) if one != canary]
        return tuple(one for one in others if one.address not in new)

    def _tried(self, canary: Replica, others: tuple[Replica, ...], progress: Progress | None) -> Tried:
        rules, golden = rules_of(self.session, canary.model), golden_set_of(self.session.fleet, canary.model)
        keeper = Keeper(
            self.session, self.lease_session, self.console, self.rollout, canary, golden.digest if golden else None
        )
        clock = SystemClock()
        step = progress.step if progress and progress.replica == canary.address else 0
        return Tried(
            replica=canary,
            rules=rules,
            watch=partial(self._watch, canary, others, golden),
            ready=partial(self._refuse_alone, canary, others),
            keeper=keeper,
            clock=clock,
            stopping=self.stopping,
            first=min(step, len(rules.share) - 1),
        )

    def _watch(self, canary: Replica, others: tuple[Replica, ...], golden: GoldenSet | None, enter: Enter) -> Watch:
        """Ask both versions the golden set, before any client's conversation goes to the canary."""
        answers = None
        if golden:
            running = self._serving(canary, others)[0]
            enter(f"{len(golden.prompts)} questions of the golden set, to the canary and to {running.address}")
            answers = self._asked(golden, canary).answers(running, canary)
        logs = AccessLogs(self.session, of_canary(canary.model))
        logs.begin()
        return Watch(
            self.session,
            canary,
            frozenset(one.address for one in others),
            self.rollout.after.models[canary.model].digest,
            self.lease_session.run,
            logs,
            answers,
            SystemClock(),
        )

    def _asked(self, golden: GoldenSet, canary: Replica) -> Questions:
        limit = rules_of(self.session, canary.model).max_duration
        check, tell = self.lease_session.check, self.console.say
        return Questions(self.session, golden, canary.model, limit, SystemClock(), self.stopping, check, tell)

    def _refuse_alone(self, canary: Replica, others: tuple[Replica, ...]) -> None:
        """Raise Paused if no other replica serves with the previous version, HostError if a gateway is too old."""
        self.session.gateways.check_canaries()
        self._serving(canary, others)

    def _serving(self, canary: Replica, others: tuple[Replica, ...]) -> list[Replica]:
        states = self.session.gateways.servers()
        serving = [one for one in others if one.address in states and states[one.address].takes_requests]
        if not serving:
            raise Paused(
                "a canary needs another replica that serves with the previous version, and there is none",
                where=canary.address,
                should="a canary is compared with that replica",
                next="rackwright status; or the same command with --no-canary",
            )
        return serving


def canaries_of(session: Session, models: Collection[str]) -> tuple[str, ...]:
    """Return those of the models for which the fleet file sets `canary`.

    Raise RackwrightError if one has no second replica to compare it with, or a share that is too small for any
    verdict; FleetError if a golden set can't be read.
    """
    with_one = tuple(name for name, model in session.fleet.file.models.items() if name in models and model.canary)
    if alone := [name for name in with_one if len(session.fleet.replicas_of(name)) == 1]:
        raise RackwrightError(
            f"{', '.join(alone)}: has a canary in the fleet file, but only one replica",
            should="a canary is compared with a replica that runs the previous version",
            next="the same command with --no-canary; or remove `canary` from the fleet file",
        )
    for name in with_one:
        _refuse_hopeless(name, rules_of(session, name))
        golden_set_of(session.fleet, name)
    return with_one


def _refuse_hopeless(model: str, rules: Canary) -> None:
    """Raise RackwrightError if no canary could pass, however long the trial takes."""
    distinct, needed = parts_of(rules.share[-1]), fewest_conversations(rules)
    least = ceil(needed / parts_of(1))
    if distinct < needed:
        raise RackwrightError(
            f"{model}: at {rules.share[-1]:g} %, gateways distinguish {distinct} conversations, but the canary's "
            f"verdict needs at least {needed}",
            should=f"the last share should be at least {least} %, or the threshold for errors wider",
            next="change `canary` in the fleet file; or the same command with --no-canary",
        )


def rules_of(session: Session, model: str) -> Canary:
    """Return the fleet file's settings of the model's canary. Raise RackwrightError if it has none."""
    rules = session.fleet.file.models[model].canary
    if rules is None:
        raise RackwrightError(f"{model} has no canary in the fleet file", next="rackwright rollout abort")
    return rules
