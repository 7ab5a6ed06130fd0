"""What a step that changes packages found on a host, as problems with the next command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rackwright.errors import Problem
from rackwright.report.words import size
from rackwright.roles.patch.packages import PATIENCE, Finding, Kind, Look, Step, by_hand, folder_of

_WORK = {
    Step.STAGE: "downloading the new packages",
    Step.KEEP: "keeping the packages of before",
    Step.HOLD_OFF: "stopping apt's timers",
    Step.INSTALL: "installing the new packages",
    Step.REVERT: "reverting the packages",
    Step.LET_GO: "starting apt's timers",
    Step.FINISH: "removing what earlier runs kept",
}
_PLAN = "rackwright patch plan"
_WITH_LOG = (Step.INSTALL, Step.REVERT)


def problems(host: str, run: str, step: Step, look: Look) -> tuple[Problem, ...]:
    """Return what kept a step from its end: first what it did and the end of its output, then each finding."""
    found = [problem for finding in look.findings for problem in _problems(host, finding)]
    if step is Step.INSTALL:
        # The packages are reverted next. What a person would have to do is known only after that.
        found = [replace(problem, next=None) for problem in found]
    unfetched = any(finding.kind is Kind.UNFETCHED for finding in look.findings)
    if found and step not in _WITH_LOG and not unfetched:
        return tuple(dict.fromkeys(found))
    return tuple(dict.fromkeys((_failed(host, run, step, look), *found)))


def _failed(host: str, run: str, step: Step, look: Look) -> Problem:
    then = f"less {folder_of(run)}/{step}.log on {host}"
    if step is Step.REVERT:
        then += f", and when it is repaired: {by_hand(run, step, PATIENCE)}"
    ended = look.result.removeprefix("failed ")
    return Problem(host, f"{_WORK[step]} failed with exit status {ended}", next=then, listed=look.log)


def _problems(host: str, finding: Finding) -> Iterator[Problem]:
    what, wanted, found = finding.what, finding.wanted, finding.found
    match finding.kind:
        case Kind.BROKEN:
            yield Problem(host, f"{what} is {found}", "should be installed", f"dpkg --configure -a on {host}")
        case Kind.DIFFERS:
            yield Problem(host, f"{what} is at {_version(found)}", f"was at {_version(wanted)} in the plan", _PLAN)
        case Kind.HELD:
            yield _held(host, what, found)
        case Kind.SPACE:
            free, needed = size(_bytes(found)), size(_bytes(wanted))
            yield Problem(host, f"{what} has {free} free", f"should have {needed}", f"apt-get clean on {host}")
        case Kind.CHANGED:
            now, planned = _digest(found), _digest(wanted)
            yield Problem(host, f"the archive's {what} is {now}", f"was {planned} in the plan", _PLAN)
        case Kind.GONE:
            yield Problem(host, f"the archive has {_version(found)} of {what}", f"had {wanted} in the plan", _PLAN)
        case Kind.UNFETCHED:
            yield Problem(host, f"{what} could not be downloaded", None, "the same command again")
        case Kind.LOCKED:
            pid = found.partition(" ")[0]
            then = f"ps {pid} on {host}" if pid.isdecimal() else None
            yield Problem(host, f"{what} is in use by process {found}", "should be free", then)
        case Kind.UNASKED:
            yield Problem(host, f"{what} would be {found}, too", "isn't in the plan", _PLAN)
        case Kind.VERSION:
            yield Problem(host, f"{what} is at {_version(found)}", f"should be at {_version(wanted)}")
        case Kind.CONFFILE:
            yield Problem(host, f"{what} is not as before", "should be in folders that only root can change")
        case Kind.REVERTED:
            yield Problem(host, f"the packages of run {what} were reverted", "need a new run", "rackwright patch run")
        case Kind.KEPT:
            pass


def _held(host: str, package: str, whose: str) -> Problem:
    if whose:
        held = f"{package} is on hold: rackwright holds it for its set {whose}"
        return Problem(host, held, "changes through the next lock only", "rackwright lock --upgrade")
    held = f"{package} is on hold: an operator ran apt-mark hold"
    return Problem(host, held, "is left alone", f"{_PLAN}, which leaves it out")


def _version(version: str) -> str:
    return "no version" if version in ("-", "") else version


def _digest(version_and_sha256: str) -> str:
    version, _, sha256 = version_and_sha256.partition(" ")
    return f"{version} with sha256 {sha256[:12]}…"


def _bytes(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else 0
