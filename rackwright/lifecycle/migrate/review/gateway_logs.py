"""What the gateways' access logs say of a cutover: sums of each hour, and a sample of both sides' requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from rackwright.errors import HostError
from rackwright.lifecycle.migrate.review import on_gateway
from rackwright.migrate.review.hourly import Hour, Hours
from rackwright.remote import Completed, Remote, read_answer
from rackwright.roles.gateway.access_log import TAG, Access, parse_access
from rackwright.values.base import Stored

MOST_LINES = 2_000_000
"""The newest lines that are read of a gateway's log."""
MOST_SAMPLE = 4000
"""Lines of each side at each gateway."""
_SECONDS = 580
_LARGEST = 64 * 2**20
_SCRIPT = """oldest=$(journalctl -q --no-pager -o short-unix | head -n 1)
{{ echo "-- oldest ${{oldest%%.*}}"
journalctl -q --no-pager --output=cat -t {tag} -p info..info --since=@{since} --lines={lines} && echo '-- whole'
}} | python3 -I -S -c {program} {wanted}"""
Count = Annotated[int, Field(ge=0, le=10**15)]
Moment = Annotated[float, Field(ge=0, le=10**11)]


class Row(NamedTuple):
    hour: Annotated[int, Field(ge=0, le=10_000_000)]
    name: Annotated[str, Field(max_length=100)]
    side: Annotated[str, Field(pattern="^[a-z]{1,16}$")]
    requests: Count
    answered: Count
    counted: Count
    prompt: Count
    completion: Count


class Drawn(Stored):
    """A sample."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Of all conversations."""
    lines: tuple[str, ...]


class GatewaySums(Stored):
    """What one gateway's log says."""

    format: Literal["answered/1"]
    oldest: Moment
    """The oldest entry of its journal; 0: not known."""
    first: Moment
    """The oldest line that was read; 0: none."""
    read: Count
    dropped: Count
    """Lines that couldn't be read."""
    whole: bool
    rows: tuple[Row, ...]
    samples: Mapping[str, Drawn]

    def begins(self, since: float) -> float:
        """Return from when on the log is whole."""
        return self.first if self.read >= MOST_LINES else max(since, self.oldest)


@dataclass(frozen=True)
class Window:
    """From when until when requests are part of a side's sample, by the gateway's clock, Unix seconds."""

    begins: float
    ends: float


@dataclass(frozen=True)
class Wanted:
    names: tuple[str, ...]
    """The provider's models."""
    since: float
    """Unix seconds."""
    until: float
    windows: Mapping[str, Mapping[str, Window]]
    """Gateway → side → when its sample is from."""


@dataclass(frozen=True)
class Logged:
    """What all gateways' logs say."""

    hours: Hours
    samples: Mapping[str, tuple[Access, ...]]
    """Side → requests. All gateways have the same conversations' in them."""
    dropped: int
    """Lines that couldn't be read."""


def read_logs(remote: Remote, wanted: Wanted) -> Logged:
    """Return the sums since then and the samples. Raise HostError, naming each gateway that can't be asked."""
    commands = {gateway: command(wanted, gateway) for gateway in wanted.windows}
    done = remote.run_on(tuple(commands), commands, timeout=_SECONDS, limit=_LARGEST)
    found = {gateway: _read(gateway, answer) for gateway, answer in done.items()}
    failed = [one for one in found.values() if isinstance(one, HostError)]
    if failed:
        raise failed[0].with_problems(problem for one in failed[1:] for problem in one.problems)
    return _together([one for one in found.values() if isinstance(one, GatewaySums)], wanted)


def command(wanted: Wanted, gateway: str) -> str:
    """Return the shell command that prints a gateway's sums."""
    windows = {side: [one.begins, one.ends] for side, one in wanted.windows[gateway].items()}
    said = json.dumps({"names": wanted.names, "windows": windows, "most": MOST_SAMPLE})
    program = Path(on_gateway.__file__).read_text(encoding="utf-8")
    return _SCRIPT.format(
        tag=TAG, since=int(wanted.since), lines=MOST_LINES, program=quote(program), wanted=quote(said)
    )


def parse_sums(text: str) -> GatewaySums:
    """Parse what the program prints. Raise ValueError if it isn't that."""
    return GatewaySums.model_validate_json(text)


def _read(gateway: str, answer: Completed | HostError) -> GatewaySums | HostError:
    try:
        if isinstance(answer, HostError):
            return answer
        found = read_answer(gateway, "its access log", parse_sums, answer.check("reading the access log").stdout)
    except HostError as error:
        return error
    if not found.whole:
        return HostError("journalctl failed", where=gateway, next=f"rackwright logs {gateway}")
    return found


def _together(found: list[GatewaySums], wanted: Wanted) -> Logged:
    begins = max((one.begins(wanted.since) for one in found), default=wanted.since)
    rows = tuple(Hour(*row) for one in found for row in one.rows if row.name in wanted.names)
    sides = sorted({side for one in found for side in one.samples})
    samples = {side: tuple(_sampled(found, side)) for side in sides}
    return Logged(Hours(begins, wanted.until, rows), samples, sum(one.dropped for one in found))


def _sampled(found: list[GatewaySums], side: str) -> Iterator[Access]:
    """Yield the lines of the conversations that every gateway's sample has."""
    share = min((one.samples[side].share for one in found if side in one.samples), default=1.0)
    for one in found:
        for line in one.samples[side].lines if side in one.samples else ():
            with suppress(ValueError):
                access = parse_access(line)
                if on_gateway.drawn(access.conversation or 0) < share:
                    yield access
