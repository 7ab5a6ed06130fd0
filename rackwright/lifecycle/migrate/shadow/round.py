"""One shadow round: fetch what clients have asked since a moment, ask both sides again, and score the answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rackwright.lifecycle.migrate.capture import CaptureResult
from rackwright.lifecycle.migrate.known_way import known_way
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.replay.gateway_lanes import both_lanes, require_client_here
from rackwright.lifecycle.migrate.replay.prepare import Prepared, prepare
from rackwright.lifecycle.migrate.replay.replay import Replay, outcome_of
from rackwright.lifecycle.migrate.require_ends import require_ends
from rackwright.lifecycle.migrate.score.both_ends import both_ends
from rackwright.lifecycle.migrate.score.procedure import score_answers
from rackwright.lifecycle.migrate.shadow.moment import Moment, known_round
from rackwright.lifecycle.migrate.shadow.shadow_folder import fetch_into, record, records_since
from rackwright.lifecycle.migrate.spending import spending
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.folder import Folder
from rackwright.migrate.shadow_result import Shadowed
from rackwright.report.words import counted
from rackwright.stopping import Stopping


def shadow_round(place: Place, moment: Moment, stopping: Stopping = lambda: False) -> Shadowed:
    """Return the score of what clients have asked since this moment; note it.

    What an earlier round since the same moment has asked counts, and isn't asked again. Requests that clients make
    from now on are recorded for the next round. Raise FleetError if a side can't answer one of the plan's models,
    RackwrightError if there is no request yet, or if answers or notes can't be written.
    """
    require_client_here(place.session)
    record(place)
    with records_since(place, moment) as folder:
        return _Round(place, moment, folder, stopping).run()


@dataclass
class _Round:
    place: Place
    moment: Moment
    folder: Folder
    stopping: Stopping
    _until: float = 0.0
    _capture: CaptureResult = field(init=False)

    def run(self) -> Shadowed:
        before = known_round(self.place, self.moment)
        self._until = time.time()
        self._capture = fetch_into(self.place, self.folder)
        prepared = self._prepared()
        if not prepared.pending and before and before.scored:
            return before
        outcome = self._asked(prepared) if prepared.pending else outcome_of(self.place.plan, prepared)
        scored = score_answers(self.place, self.folder, both_ends)
        found = self._found(outcome).model_copy(update={"scored": scored})
        self.place.note("shadow", f"{scored.word}, {counted(scored.requests, 'request')}: {scored.why}", found)
        return found

    def _prepared(self) -> Prepared:
        place, before = self.place, self.place.result("shadow", Shadowed)
        return prepare(
            place.plan,
            self.folder,
            before.outcome if before else None,
            known_way(place),
            otherwise=spending(place).but("shadow"),
            max_request=place.session.fleet.file.gateway.max_request,
            size=place.plan.shadow.sample,
            since=self.moment.time,
        )

    def _asked(self, prepared: Prepared) -> Outcome:
        """Ask both sides what is missing. The last answers are noted with the score."""
        place, names = self.place, require_ends(self.place.session.fleet, self.place.plan)
        with both_lanes(place, self.stopping) as lanes:
            return Replay(place.plan, self.folder, names, lanes, self._note, place.console.say).run(prepared)

    def _note(self, what: str, outcome: Outcome) -> None:
        self.place.note("shadow", f"asking: {what}", self._found(outcome))

    def _found(self, outcome: Outcome) -> Shadowed:
        return Shadowed(
            change=self.moment.change,
            since=self.moment.time,
            until=self._until,
            outcome=outcome,
            dropped=self._capture.dropped,
            missed=self._capture.missed,
        )
