"""Proof that no host opens another host's backups: each tries the next host's repositories with its own secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.lifecycle.check.result import Condition, State
from rackwright.roles.backup.others import Opens, parse, question

if TYPE_CHECKING:
    from rackwright.fleet.hosts.host_spec import HostSpec


@dataclass(frozen=True)
class Trial:
    """One repository of a host, and the host whose repository it must not open."""

    repository: str
    other: str
    question: str
    """The command that tries it, to run on the host."""


def trials(specs: Mapping[str, HostSpec], host: str) -> tuple[Trial, ...]:
    """Return what this host tries: at each of its repositories, the repository of the next host of the fleet."""
    saved = {name: spec.backup.repositories for name, spec in specs.items() if spec.backup}
    if host not in saved or len(saved) == 1:
        return ()
    names = list(saved)
    other = names[(names.index(host) + 1) % len(names)]
    pairs = zip(saved[host], saved[other], strict=True)
    return tuple(Trial(mine.name, other, question(mine, theirs.url)) for mine, theirs in pairs)


def judge_trials(host: str, asked: tuple[Trial, ...], answers: Mapping[str, str]) -> Iterator[Condition]:
    """Given the answers by repository, yield a condition for each trial."""
    for trial in asked:
        yield _condition(host, trial, answers.get(trial.repository, ""))


def _condition(host: str, trial: Trial, answer: str) -> Condition:
    name, other = trial.repository, trial.other
    if not answer:
        found = f"{name}: not tried on {other}'s repository: apply installs the backups first"
        return Condition(host, "backup", State.WARNING, found)
    confine = "limit each host's login to its own folder, as docs/backup.md shows under Keep hosts apart"
    match parse(answer):
        case Opens.READS:
            return Condition(host, "backup", State.FAILED, f"{name}: it can read {other}'s snapshots", confine)
        case Opens.REACHES:
            found = f"{name}: the server gives it {other}'s repository; only the password stops it"
            return Condition(host, "backup", State.FAILED, found, confine)
        case Opens.REFUSED:
            return Condition(host, "backup", State.OK, f"{name}: it can't open {other}'s repository")
    found = f"{name}: not proven that it can't open {other}'s repository: its own doesn't open, or the server is slow"
    return Condition(host, "backup", State.WARNING, found, f"rackwright backup list {host}")
