"""`migrate capture`: the gateways record a sample of what clients ask, and the files are brought to the folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rackwright.errors import HostError, RackwrightError
from rackwright.gateway.capture_runtime import Captures, Found, Looked
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.session.under_lease import leased
from rackwright.migrate.folder import MOST_LINE, Folder
from rackwright.migrate.folder_key import is_encrypted
from rackwright.report.words import counted
from rackwright.roles.capture.settings import Orders
from rackwright.values.base import Stored


class GatewayCapture(Stored):
    """What one gateway has recorded for the migration so far."""

    running: bool
    """Whether it records now."""
    until: int | None
    """When it ends or ended, Unix seconds; None: nothing was recorded yet."""
    ended: str
    """Why it ended on its own: duration, size or disk; "": it hasn't."""
    recorded: int
    bytes: int
    """Encrypted."""
    waiting: int
    """Files on the gateway that weren't fetched yet."""
    dropped: Mapping[str, int]
    """Why requests of the sample weren't recorded → how many."""
    personal: Mapping[str, int]
    """Kind of personal data → how many were replaced."""


class CaptureResult(Stored):
    """All gateways' captures, as they answered."""

    format: str = "migration-capture/1"
    gateways: Mapping[str, GatewayCapture]
    fetched_files: int = 0
    fetched_requests: int = 0
    missed: Mapping[str, str] = {}
    """Gateway → why it can't be asked."""

    @property
    def to_fetch(self) -> bool:
        """Return whether gateways record, or have files that nobody has fetched. A fetch is noted before it removes
        files."""
        every = self.gateways.values()
        return any(one.running or (one.waiting and not self.fetched_files) for one in every)

    @property
    def recorded(self) -> int:
        return sum(one.recorded for one in self.gateways.values())

    @property
    def dropped(self) -> Mapping[str, int]:
        return _sum(one.dropped for one in self.gateways.values())

    @property
    def personal(self) -> Mapping[str, int]:
        return _sum(one.personal for one in self.gateways.values())


def start(place: Place) -> CaptureResult:
    """Make all gateways record the plan's sample from now on; note it.

    A gateway where it can't be started is in `missed`; the others record. Raise LeasedError if another operator is at
    work.
    """
    plan, captures = place.plan, captures_of(place)
    orders = Orders(
        migration=plan.migration,
        recipient=plan.records.recipient,
        until=0,
        size=plan.capture.size,
        # Larger ones don't fit into a line, so gateways needn't copy them.
        request=min(plan.capture.request, MOST_LINE),
        redact=plan.records.redact,
    )
    shares = dict.fromkeys(plan.models, plan.capture.share)
    with leased(place.session, f"migrate capture {plan.migration}", place.console, rollout=True):
        started = captures.start(orders, shares, plan.capture.duration)
    result = looked(place, _failures(started))
    on = counted(sum(one.running for one in result.gateways.values()), "gateway")
    place.note("capture", f"recording {plan.capture.share:g} % at {on}", result)
    return result


def stop(place: Place) -> CaptureResult:
    """End the capture early at all gateways; note it. What was recorded stays there until it is fetched or erased."""
    with leased(place.session, f"migrate capture {place.plan.migration}", place.console, rollout=True):
        stopped = captures_of(place).stop(place.plan.migration)
    result = looked(place, _failures(stopped))
    place.note("capture", f"stopped, {counted(result.recorded, 'request')} recorded", result)
    return result


def fetch(place: Place) -> CaptureResult:
    """Bring all complete files to the migration's folder and note it; then remove them from the gateways.

    A file that is in the folder already isn't added again, so a fetch that was interrupted can be repeated. Raise
    RackwrightError if the folder can't be written; then nothing was removed from a gateway.
    """
    place.need_folder()
    captures, migration = captures_of(place), place.plan.migration
    arrived = bring(captures, migration, place.folder)
    result = looked(place, arrived.missed).model_copy(
        update={"fetched_files": arrived.files, "fetched_requests": arrived.requests}
    )
    what = f"fetched {counted(arrived.requests, 'request')} in {counted(arrived.files, 'file')}"
    place.note("capture", what, result)
    return result.model_copy(update={"missed": {**result.missed, **remove(captures, migration, arrived)}})


@dataclass(frozen=True)
class Arrived:
    """Files that were brought here, and are still on their gateways."""

    found: Mapping[str, Sequence[Found]]
    """By gateway."""
    missed: Mapping[str, str]
    """Gateway → why not all of its files are here."""

    @property
    def files(self) -> int:
        return sum(map(len, self.found.values()))

    @property
    def requests(self) -> int:
        return sum(one.lines for some in self.found.values() for one in some)


def bring(captures: Captures, migration: str, folder: Folder) -> Arrived:
    """Bring all complete files to a folder.

    Raise RackwrightError if the folder can't be written.
    """
    # What is complete can be fetched anyway.
    missed = _failures(captures.complete(migration))
    found: dict[str, list[Found]] = {}
    for host, listed in captures.files(migration).items():
        found[host] = []
        try:
            for file in _known(listed):
                if refused := _bring(folder, captures, migration, host, file):
                    # It stays on the gateway; the others arrive.
                    missed[host] = f"{missed[host]}; {refused}" if host in missed else refused
                else:
                    found[host].append(file)
        except HostError as error:
            missed[host] = error.problems[0].what
    return Arrived(found, missed)


def remove(captures: Captures, migration: str, arrived: Arrived) -> dict[str, str]:
    """Remove from the gateways what was brought here; return why that failed, by gateway."""
    missed = {}
    for host, files in arrived.found.items():
        try:
            if files:
                captures.remove(host, migration, files)
        except HostError as error:
            missed[host] = f"its files were fetched, but not removed: {error.problems[0].what}"
    return missed


def looked(place: Place, missed: Mapping[str, str] | None = None) -> CaptureResult:
    """Return what each gateway says of the migration's capture; `missed` has gateways that failed before."""
    answers = captures_of(place).look(place.plan.migration)
    gateways = {host: _of(one, place.plan.migration) for host, one in answers.items() if isinstance(one, Looked)}
    return CaptureResult(gateways=gateways, missed=_failures(answers) | dict(missed or {}))


def captures_of(place: Place, *former: str) -> Captures:
    """Return the captures of the gateways, and of hosts that were gateways when they recorded."""
    return Captures(place.session.remote, (*place.session.fleet.gateways, *former))


def _bring(folder: Folder, captures: Captures, migration: str, host: str, file: Found) -> str:
    """Add a file to the folder; return why it is refused, "" if it isn't."""
    content = captures.fetch(host, migration, file)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        return f"{file.name} changed while it was fetched: fetch it again"
    # Else one gateway could keep the files of all others from arriving, or from being read.
    if not is_encrypted(content):
        return f"{file.name} isn't encrypted by age"
    try:
        checked = folder.checked(content)
    except RackwrightError as error:
        return f"{file.name} {error.problems[0].what}"
    folder.adopt("requests", content, file.lines, origin="" if checked else f"{host} ({file.name})")
    return ""


def _known(answer: HostError | tuple[Found, ...]) -> tuple[Found, ...]:
    if isinstance(answer, HostError):
        raise answer
    return answer


def _failures(answers: Mapping[str, object]) -> dict[str, str]:
    return {host: one.problems[0].what for host, one in answers.items() if isinstance(one, HostError)}


def _of(found: Looked, migration: str) -> GatewayCapture:
    state = found.state
    return GatewayCapture(
        running=found.active and found.migration == migration,
        until=state.until if state else None,
        ended=state.ended if state else "",
        recorded=state.recorded if state else 0,
        bytes=state.bytes if state else 0,
        waiting=found.files,
        dropped=state.dropped if state else {},
        personal=state.personal if state else {},
    )


def _sum(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
