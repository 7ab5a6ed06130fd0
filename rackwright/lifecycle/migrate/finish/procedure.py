"""`migrate finish`: copy what is new, delete everything at the provider, erase the records, and remove the key."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rackwright.errors import FleetError, HostError, Problem, ProofError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.migrate.erase import erase_agreed
from rackwright.lifecycle.migrate.export import procedure as exporting
from rackwright.lifecycle.migrate.export.opened import opened
from rackwright.lifecycle.migrate.export.verification import verify_export
from rackwright.lifecycle.migrate.finish.deleting import delete_all
from rackwright.lifecycle.migrate.finish.fleet_edit import fleet_edit
from rackwright.lifecycle.migrate.finish.gateway_keys import refuse_keys
from rackwright.lifecycle.migrate.finish.ready import Preview, preview, refuse, steps_of, uncovered
from rackwright.lifecycle.migrate.finish.standing import finished
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.plan_provider import reached
from rackwright.migrate.finish.state import CopyState, Erasure, FinishState, Phase, QuietTime
from rackwright.report.words import counted
from rackwright.state.due_again import DueRecheck, put_due


@dataclass(frozen=True)
class Asked:
    """What the operator asked for."""

    ids: Path | None = None
    """A file with ids of responses and conversations."""
    agreed: str = ""
    """The migration's name, from someone who agrees without being asked."""

    def command(self, name: str) -> str:
        """Return the command that carries it out."""
        ids = ["--ids", str(self.ids)] if self.ids else []
        return shlex.join(["rackwright", "migrate", "finish", name, "--execute", *ids])


def finish(place: Place, asked: Asked, *, execute: bool) -> Preview:
    """Return what the end would do; with `execute`, do it after the operator has agreed, up to the apply that removes
    the key from the gateways.

    Each part is in the log, and the same command goes on after the last one. Raise ProofError with everything that is
    in the way, before anything is touched; ProofError if the provider still has something that should be gone;
    RackwrightError if it can't be asked any further, or if an operator doesn't agree.
    """
    found = preview(place)
    if not execute or (found.state and found.state.has("removing")):
        return found
    refuse(found, place)
    _agree(place, found, asked)
    if found.quiet:
        _Finishing(place, asked, _started(place, found, found.quiet.time)).run()
    return preview(place)


def complete(place: Place) -> FinishState:
    """See that no gateway has the provider's key, and note the end; return the state.

    Raise HostError, naming each gateway that has the key, or that can't be asked.
    """
    state = finished(place.session.store, place.log).state
    if state is None or state.phase != "removing":
        raise ProofError("the end of the migration isn't that far", where=place.plan.migration)
    rules, now = place.plan.finish, time.time()
    keys = {} if state.others else refuse_keys(place.session, state.reached.cloud)
    due = None if rules.no_recheck else now + rules.recheck
    update = {"phase": "done", "keys": keys, "due": due, "no_recheck": rules.no_recheck or ""}
    done = state.model_copy(update=update)
    # First: an end without a recheck would be forgotten, a recheck without an end does no harm.
    moment = datetime.fromtimestamp(due, UTC).replace(microsecond=0) if due else None
    put_due(place.session.store, DueRecheck(migration=place.plan.migration, due=moment))
    place.note("finish", f"done: {_without_key(state, keys)}", done)
    return done


def _without_key(state: FinishState, keys: dict[str, float]) -> str:
    if state.others:
        return f"the cloud still answers {', '.join(state.others)}, and keeps its key"
    return f"{counted(len(keys), 'gateway')} without the provider's key"


def _started(place: Place, found: Preview, quiet: QuietTime) -> FinishState:
    """Return the state to go on from, with what the ledgers say now."""
    waived = dict(place.plan.finish.waivers)
    if found.state:
        return found.state.model_copy(update={"quiet": quiet, "waived": waived})
    way = reached(place.session.fleet, place.plan)
    return FinishState(phase="started", began=time.time(), reached=way, quiet=quiet, waived=waived)


def _agree(place: Place, found: Preview, asked: Asked) -> None:
    name = place.plan.migration
    if asked.agreed == name:
        return
    steps = "; ".join(steps_of(found))
    place.console.confirm_by_name(
        f"This can't be undone: {steps}.",
        name,
        refusal=RackwrightError(
            "what is deleted at the provider can't be restored there",
            where=name,
            should="an operator at a terminal should type the migration's name, or give it with --agree",
            next=f"{asked.command(name)} --agree {name}",
            listed=steps_of(found),
        ),
    )


@dataclass
class _Finishing:
    place: Place
    asked: Asked
    state: FinishState

    def run(self) -> None:
        if not self.state.has("copied"):
            self._note("started", "started")
            self._copy()
        if not self.state.has("deleted"):
            self._delete()
        if not self.state.has("erased"):
            self._erase()
        self._remove()

    def _copy(self) -> None:
        """Export what is new or has changed, and decrypt and compare everything."""
        place, name = self.place, self.place.plan.migration
        exported = exporting.export(place, exporting.Asked(ids=self.asked.ids))
        with opened(place, other=False) as exports:
            problems = tuple(uncovered(place, exports, exported.unlisted))
        if problems:
            raise ProofError("nothing was deleted: not everything has a copy", where=name).with_problems(problems)
        _, exported = verify_export(place)
        copied = CopyState(
            at=time.time(),
            objects=exported.objects,
            list_bytes=exported.list_bytes,
            list_sha256=exported.list_sha256,
        )
        self._note("copied", f"{counted(copied.objects, 'object')} exported and verified", copy_state=copied)

    def _delete(self) -> None:
        """Delete what has a copy. Raise ProofError if something is left that should be gone."""
        place, name = self.place, self.place.plan.migration
        done = delete_all(place, self.state)
        phase: Phase = "copied" if done.stopped or done.state.is_open else "deleted"
        if any(one.why == "new" for one in done.state.left):
            # Nobody has a copy of it, so the next run begins with an export.
            phase = "started"
        self.state = done.state
        self._note(phase, done.line)
        next_ = self.asked.command(name)
        if done.stopped:
            raise RackwrightError(f"ended early: {done.stopped}", where=self.state.reached.url, next=next_)
        if done.state.is_open:
            raise ProofError(
                "the provider still has objects that should be gone",
                where=name,
                should="find out what still stores there, or why it keeps them",
                listed=done.open_lines,
                next=next_,
            )

    def _erase(self) -> None:
        place, name = self.place, self.place.plan.migration
        erased = erase_agreed(place, folder=True)
        if erased.missed or erased.left:
            problems = [Problem(host, why) for host, why in erased.missed.items()]
            problems += [Problem(str(place.folder.path / one), "is still there") for one in erased.left]
            raise HostError("recorded requests may be left", where=name, next=self.asked.command(name)).with_problems(
                problems
            )
        found = Erasure(at=time.time(), gateways=erased.gateways, files=erased.files)
        what = f"{counted(len(found.gateways), 'gateway')} without recorded requests"
        self._note("erased", f"{what}; {counted(found.files, 'file')} removed here", erased=found)

    def _remove(self) -> Fleet:
        """Remove the cloud from the fleet file; the apply that follows removes the key from the gateways."""
        # The deletion may have taken days.
        found = preview(self.place)
        refuse(found, self.place)
        edit = fleet_edit(self.place.session.fleet, self.place.plan)
        if found.quiet:
            self.state = self.state.model_copy(update={"quiet": found.quiet.time})
        keys = ", ".join(edit.keys) or "nothing"
        self._note("removing", f"to remove from the fleet file: {keys}", others=edit.others)
        try:
            return edit.write()
        except FleetError as error:
            next_ = self.asked.command(self.place.plan.migration)
            raise error.but(should="remove it yourself, then apply", next=next_) from None

    def _note(self, phase: Phase, what: str, **update: object) -> None:
        self.state = self.state.model_copy(update={**update, "phase": phase})
        self.place.note("finish", what, self.state)
