"""A replica proven through the gateways: a completion and a stream at each, until it is the one that answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from shlex import quote

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.keys import new_key
from rackwright.lifecycle.asker import choose_asker
from rackwright.lifecycle.asking import Asker, FromHost, Response, ask
from rackwright.lifecycle.questions import Case, completion, stream
from rackwright.lifecycle.remember import note_lent_key
from rackwright.lifecycle.site import Site
from rackwright.roles.gateway.access_log import TAG, parse_access
from rackwright.values import Secret

TRIES = 8
"""At each gateway: the others may be the ones that answer."""
_KEY_SECONDS = TRIES * 2 * 120
"""The longest that one gateway may take: two requests a try, two minutes each."""

# $1: alternatives of request ids, $2: how many. A line is written when its request has ended, and is in the journal a
# moment later: five seconds are waited for it. From the newest back: a busy gateway's log is long.
_FIND = f"""for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
  lines=$(journalctl -q --no-pager -o cat -t {TAG} --since -15min -r -n "$2" -g "$1" 2>/dev/null)
  [ "$(printf '%s\\n' "$lines" | grep -c .)" -lt "$2" ] || break
  sleep 0.2
done
printf '%s\\n' "$lines"
"""


@dataclass(frozen=True)
class _Asked:
    site: Site
    replica: Replica
    key: Secret


def through_gateways(site: Site, replica: Replica, *, say: Callable[[str], None] = lambda _: None) -> str | None:
    """Return None when every gateway has answered as it should, else which didn't, and what came.

    Each is asked for a completion and a stream of the replica's model until this replica has answered both, at most
    `TRIES` times; where others always answered `say` is told so. The API key is in the gateways' memory, for now.
    Raise HostError if a gateway can't be asked.
    """
    if not site.fleet.gateways:
        return None
    key, sha256 = new_key("proof")
    note_lent_key(site, "proof")
    with site.gateways.temporary_key(sha256, id="proof", seconds=_KEY_SECONDS * len(site.fleet.gateways)):
        asked = _Asked(site, replica, key)
        reasons = (_through(asked, gateway, say) for gateway in site.fleet.gateways)
        return next((reason for reason in reasons if reason), None)


def _through(asked: _Asked, gateway: str, say: Callable[[str], None]) -> str | None:
    asker, left = _asker(asked.site, gateway), _cases(asked, gateway)
    by: Mapping[str, str | None] = {}
    for _ in range(TRIES):
        responses = ask(asker, asked.site.trusted, tuple(case.request for case in left))
        by = _answered_by(asked.site, gateway, responses)
        answers = tuple(zip(left, responses, strict=True))
        if reason := _wrong(answers, by):
            return f"{gateway}: {reason}"
        left = tuple(case for case, response in answers if by.get(response.request) != asked.replica.address)
        if not left:
            return None
    who = "others answered" if by else "the access log doesn't tell who answered"
    say(f"{gateway}: {' and '.join(case.what.partition(': ')[2] for case in left)}: {who}, {TRIES} times")
    return None


def _wrong(answers: Iterable[tuple[Case, Response]], by: Mapping[str, str | None]) -> str | None:
    """Return the first answer that isn't one, and whose it is."""
    for case, response in answers:
        passed, found = case.judge(response)
        if not passed:
            replica = by.get(response.request)
            return f"{case.what}: {found}{f' (from {replica})' if replica else ''}"
    return None


def _cases(asked: _Asked, gateway: str) -> tuple[Case, ...]:
    address = str(asked.site.fleet.service(gateway))
    name = asked.site.fleet.file.models[asked.replica.model].names[0]
    return tuple(make(asked.site, address, name, asked.key) for make in (completion, stream))


def _asker(site: Site, gateway: str) -> Asker:
    """Where clients may stand; if that is nowhere within reach, the gateway itself."""
    with suppress(RackwrightError):
        return choose_asker(site)
    return FromHost(site, gateway, "clients stand where nothing of ours does")


def _answered_by(site: Site, gateway: str, responses: tuple[Response, ...]) -> Mapping[str, str | None]:
    """Return which replica (HOST/MODEL@N) answered each request, by the gateway's access log."""
    ids = [response.request for response in responses if response.request]
    if not ids:
        return {}
    command = f"set -- {quote('|'.join(ids))} {len(ids)}\n{_FIND}"
    told = site.remote.connection(gateway).run(command).check("reading the access log").stdout
    lines = (parse_access(line) for line in told.splitlines() if line)
    return {line.request: line.replica for line in lines if line.request}
