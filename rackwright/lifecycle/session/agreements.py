"""What an unattended run may do: each question that --yes leaves open has its own setting in `unattended.allow`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.session.console import Console


class Setting(StrEnum):
    """The settings in `unattended.allow`. A question that none of them is about needs a person."""

    OUTAGE = "outage"
    DOWNTIME = "downtime"
    CLOSE_PORTS = "close_ports"
    NOT_STALE = "not_stale"
    DROP_NAMES = "drop_names"


@dataclass(frozen=True)
class Need:
    """A setting that must allow what a run is about to do."""

    setting: Setting
    model: str | None = None
    """Which model it must name; None: the setting isn't about models."""

    def __str__(self) -> str:
        key = f"unattended.allow.{self.setting}"
        return f"{key} (model {self.model})" if self.model else key

    def allowed_by(self, fleet: Fleet) -> bool:
        """Return whether the fleet file allows it."""
        allow = fleet.file.unattended.allow
        if self.setting is Setting.OUTAGE:
            return self.model is not None and allow.allows_outage(self.model)
        if self.setting is Setting.DOWNTIME:
            return self.model is not None and allow.allows_downtime(self.model)
        answers = {
            Setting.CLOSE_PORTS: allow.close_ports,
            Setting.NOT_STALE: allow.not_stale,
            Setting.DROP_NAMES: allow.drop_names,
        }
        return answers[self.setting]


@dataclass
class Agreements:
    """A run with --unattended: what its fleet file allows, and which settings have answered so far."""

    fleet: Fleet
    answered: list[Need] = field(default_factory=list)
    unpublished: RackwrightError | None = None
    """Why the lock that the run promoted isn't in the git repository; None: it is, or nothing had to be pushed."""

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that have answered, each once."""
        return tuple(dict.fromkeys(map(str, self.answered)))

    @property
    def outages(self) -> tuple[str, ...]:
        """The models whose last healthy replica the run may take down."""
        return tuple(model for model in self.fleet.file.models if away(self.fleet, model).allowed_by(self.fleet))

    def widened(self, outages: Iterable[str]) -> tuple[str, ...]:
        """Return these models, for which a person has allowed an outage, and those for which the fleet file does."""
        return tuple(dict.fromkeys((*outages, *self.outages)))

    def require(self, needs: Iterable[Need], refusal: RackwrightError, console: Console) -> None:
        """Note which settings allow it. Raise the refusal, with the settings that are missing, unless all do."""
        wanted = tuple(dict.fromkeys(needs))
        missing = [str(need) for need in wanted if not need.allowed_by(self.fleet)]
        if missing or not wanted:
            raise _unanswered(refusal, missing)
        for need in wanted:
            if need not in self.answered:
                self.answered.append(need)
                console.say(f"allowed by {need}: {refusal.problems[0].what}")


def agree(
    question: str,
    refusal: RackwrightError,
    needs: Iterable[Need],
    console: Console,
    unattended: Agreements | None,
) -> None:
    """Return if the operator agrees; in an unattended run, if the fleet file allows all that it `needs`.

    --yes doesn't agree. Raise the refusal, or RackwrightError if the operator says no.
    """
    if unattended is None:
        console.confirm(question, refusal=refusal)
    else:
        unattended.require(needs, refusal, console)


def away(fleet: Fleet, model: str) -> Need:
    """Return what must allow that no replica of the model serves for a while."""
    return Need(Setting.DOWNTIME if len(fleet.replicas_of(model)) < 2 else Setting.OUTAGE, model)


def command(what: str, unattended: Agreements | None) -> str:
    """Return the command as lease and audit log have it."""
    return f"{what} --unattended" if unattended else what


def outages_of(fleet: Fleet, unattended: Agreements | None, *, allow_outage: bool) -> tuple[str, ...]:
    """Return the models whose last healthy replica may be taken down."""
    if unattended is not None:
        return unattended.outages
    return tuple(fleet.file.models) if allow_outage else ()


def _unanswered(refusal: RackwrightError, missing: list[str]) -> RackwrightError:
    first = refusal.problems[0]
    before = f"{first.should}; " if first.should else ""
    if not missing:
        return refusal.but(
            should=f"{before}an unattended run never does that", next="run the command without --unattended"
        )
    return refusal.but(
        should=f"{before}an unattended run needs {' and '.join(missing)} in the fleet file",
        next="set that and apply it, or run the command without --unattended",
    )
