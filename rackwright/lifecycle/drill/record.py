"""What a drill finds, as it goes: kept on disk after each phase, so that a killed drill leaves evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lifecycle.drill.evidence.conclusion import conclude
from rackwright.lifecycle.drill.evidence.facts import Check, CommandRun, Facts, Finding
from rackwright.lifecycle.drill.evidence.folder import log_path, put
from rackwright.lifecycle.drill.evidence.seal import save_draft
from rackwright.lifecycle.drill.evidence.timeline import Timeline
from rackwright.lifecycle.session.console import Console
from rackwright.state.formats import stamp, utc_now

FINDING_DAYS = 30
"""A finding is due after this time."""


@dataclass
class Record:
    """The facts so far, and the log of everything that was said."""

    folder: Path
    facts: Facts
    timeline: Timeline = field(default_factory=Timeline)
    _log: list[str] = field(default_factory=list)
    _phase: str = ""
    _from: int = 0

    def say(self, text: str) -> None:
        self._log.append(f"{stamp(utc_now())} {text}")

    def reach(self, phase: str) -> None:
        """Begin a phase. Raise RackwrightError if the facts so far can't be kept."""
        self._end_phase(0)
        self._phase, self._from = phase, len(self._log)
        self.say(f"phase: {phase}")
        if self.timeline.timing:
            self.timeline.reach(phase)
        self.keep()

    def add(self, *checks: Check) -> None:
        self.facts = replace(self.facts, checks=(*self.facts.checks, *checks))
        for one in checks:
            where = f"{one.host}: " if one.host else ""
            self.say(f"{one.outcome}: {where}{one.name}: {one.found}")

    def fail(self, why: str) -> None:
        """Note why the drill stopped. The first reason counts."""
        self.say(f"stopped: {why}")
        self.facts = replace(self.facts, error=self.facts.error or why)
        self._end_phase(1)

    def keep(self) -> None:
        """Write facts and log to disk."""
        self.facts = replace(self.facts, timing=self.timeline.timing)
        save_draft(self.folder, self.facts)
        put(log_path(self.folder, self.facts.drill), "".join(f"{line}\n" for line in self._log).encode())

    def end(self) -> Facts:
        """End the drill, and return its facts, with a finding for each doubt."""
        self._end_phase(0)
        if self.timeline.timing:
            self.timeline.end()
        self.facts = replace(self.facts, ended=utc_now(), timing=self.timeline.timing)
        self.facts = replace(self.facts, findings=tuple(_findings(self.facts)))
        self.keep()
        return self.facts

    def _end_phase(self, exit_code: int) -> None:
        """Note the phase as a command, with the hash of its part of the log."""
        if not self._phase:
            return
        part = "".join(f"{line}\n" for line in self._log[self._from :])
        done = CommandRun("", self._phase, exit_code, hashlib.sha256(part.encode()).hexdigest())
        self.facts = replace(self.facts, commands=(*self.facts.commands, done))
        self._phase = ""


def _findings(facts: Facts) -> Iterable[Finding]:
    due = (facts.ended or facts.started) + timedelta(days=FINDING_DAYS)
    for doubt in conclude(facts).doubts:
        yield Finding(doubt, facts.operator, due.date())


@dataclass(frozen=True)
class RecordedConsole:
    """The operator's console; the record's log gets what it says, too."""

    console: Console
    record: Record

    def stage(self, what: str, stages: Sequence[str]) -> None:
        self.record.say(f"stage: {what}")
        self.console.stage(what, stages)

    def say(self, text: str) -> None:
        self.record.say(text)
        self.console.say(text)

    def heard(self) -> None:
        self.console.heard()

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None:
        """Agree. The operator has agreed to the drill; a question that needs a person stops it."""
        self.record.say(f"question: {question}")
        if refusal is not None:
            raise refusal

    def confirm_by_name(self, warning: str, name: str, *, refusal: RackwrightError) -> None:
        """Refuse: nothing on a scratch host should serve."""
        self.record.say(f"question: {warning}")
        raise refusal

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None:
        self.console.arriving(host, what, done, total, rate)
