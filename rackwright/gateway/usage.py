"""The usage that running gateways add up: bring it up to date, and read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from shlex import quote

from rackwright.errors import HostError
from rackwright.remote import Completed, Remote, read_answer
from rackwright.remote.answers import read_each
from rackwright.roles.usage.program.day import Day
from rackwright.roles.usage.program.form import parse_days
from rackwright.roles.usage.program.main import REUSE
from rackwright.roles.usage.program.periods import day_of
from rackwright.roles.usage.settings import SERVICE, STATE

Reuse = Mapping[str, tuple[int, int]]
"""Replica → tokens of prompts, and those of them that its engine took from its cache."""
_SECONDS = 330
_LARGEST = 256 * 2**20
# The state comes first: a day that a look closes meanwhile is then in both, not in neither. A look that another one
# started may have read the log before this one was asked for.
_SCRIPT = r"""set -eu
state={state} service={service} units={units} since={since} tries=3
[ -e "$units/$service" ] || {{ echo 'it adds up no usage yet; run: rackwright apply' >&2; exit 1; }}
# What the program said, without what systemd says of it.
why() {{
    said=$(journalctl -q -o cat -n 2 "_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID "$service")")
    echo "${{said:-$service fails; see: journalctl -u $service}}"
}}
asked=$(date +%s%3N)
while systemctl -q is-active rackwright-gateway.service; do
    systemctl start "$service" 2>/dev/null || {{ why >&2; exit 1; }}
    taken=$(sed -n 's/^{{"format":"[^"]*","gateway":"[^"]*","taken":\([0-9]*\),.*/\1/p' "$state/state.json")
    [ "${{taken:-0}}" -lt "$asked" ] || break
    [ $((tries -= 1)) -gt 0 ] || {{ echo "$service didn't look" >&2; exit 1; }}
done
[ -e "$state/state.json" ] || {{ echo "HAProxy doesn't run" >&2; exit 1; }}
cat "$state/state.json"; echo
cd "$state/days"
for day in *.json; do
    [ ! -e "$day" ] || [ "${{day%.json}}" \< "$since" ] || {{ cat "$day"; echo; }}
done
"""


@dataclass(frozen=True)
class Usages:
    """The usage that these gateways have added up."""

    remote: Remote
    hosts: tuple[str, ...]
    state: str = STATE
    units: str = "/etc/systemd/system"

    def read(self, since: date) -> dict[str, HostError | tuple[Day, ...]]:
        """Bring each gateway's usage up to date and return its days from this one on, or why that wasn't possible.

        A gateway whose HAProxy is stopped has nothing to add, and is read as it is.
        """
        values = {"state": self.state, "service": SERVICE, "units": self.units, "since": since.isoformat()}
        script = _SCRIPT.format(**{name: quote(value) for name, value in values.items()})
        done = self.remote.run_on(self.hosts, "sh -s", stdin=script, timeout=_SECONDS, limit=_LARGEST)
        return {host: _read(host, answer, since) for host, answer in done.items()}

    def reuse(self, day: date) -> dict[str, HostError | Reuse]:
        """Return what each gateway has counted of its replicas on this day, up to its last look; empty: nothing."""
        done = self.remote.run_on(self.hosts, f"cat {quote(f'{self.state}/{REUSE}')} 2>/dev/null || true")
        return read_each(done, "its replicas' cache hits", lambda said: _reuse_on(day_of(day), said))


def _reuse_on(day: int, said: str) -> Reuse:
    days = parse_days(said)[1] if said.strip() else ()
    return next((one.reuse for one in days if one.day == day), {})


def _read(host: str, answer: Completed | HostError, since: date) -> HostError | tuple[Day, ...]:
    try:
        if isinstance(answer, HostError):
            raise answer
        if not answer.ok:
            why = " ".join(answer.last_lines(2)) or f"exit status {answer.exit_status}"
            raise HostError(f"bringing its usage up to date failed: {why}", where=host)
        found = read_answer(host, "its usage", parse_usage, host, answer.stdout)
    except HostError as error:
        return error
    return tuple(day for day in found if day.day >= day_of(since))


def parse_usage(gateway: str, said: str) -> tuple[Day, ...]:
    """Parse a gateway's documents, one per line, the one with the open days first.

    Raise ValueError if they aren't that, or are another gateway's.
    """
    days: dict[int, Day] = {}
    for line in said.splitlines():
        of, found = parse_days(line)
        if of != gateway:
            raise ValueError(f"it is the usage of {json.dumps(of)[:60]}")
        for day in found:
            days.setdefault(day.day, day)
    if not days and not said.strip():
        raise ValueError("it has no document")
    return tuple(_sorted(days))


def _sorted(days: Mapping[int, Day]) -> Iterator[Day]:
    yield from (day for _, day in sorted(days.items()))
