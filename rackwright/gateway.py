"""The gateways while they run: who is up, drained and busy, and keys, over HAProxy's sockets, one command a gateway.

A reload leaves old workers behind that finish their answers: they count here, and are told of keys and gaps too. Of
servers HAProxy tells them nothing any more.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from shlex import quote

from pydantic import ValidationError

from rackwright.canaries import (
    CANARY_SECONDS,
    CHECK_CANARIES,
    END_CANARY,
    SET_CANARY,
    SHOW_CANARIES,
    UNSHARE,
    CanaryShare,
    parse_canaries,
    parts_of,
)
from rackwright.errors import HostError
from rackwright.operations.haproxy.paths import DRAINS, Paths
from rackwright.remote import Completed, Remote
from rackwright.roles.gateway.configuration import CANARIES, GAP_HEEDED_SECONDS, GAPS, PATHS, key_entries
from rackwright.roles.gateway.settings import Key
from rackwright.values import Stored

_HELPERS = """set -eu
umask 077
run={run} drains={drains} keys={configuration}/keys.map
gaps={configuration}/{gaps} canaries={configuration}/{canaries}
ask() {{ printf '%s\\n' "$2" | socat -t 60 - "UNIX-CONNECT:$run/$1.sock"; }}
workers() {{ ask master 'show proc' | awk '$2 == "worker" {{ print $1 }}'; }}
tell() {{ for pid in $(workers); do ask master "@!$pid $1"; done; }}
# PID MAP KEY VALUE. A second `add map` would make a second entry, and what is deleted first is missing for a moment.
put() {{
    case $(ask master "@!$1 get map $2 $3") in *found=yes*) verb=set ;; *) verb=add ;; esac
    ask master "@!$1 $verb map $2 $3 $4" >/dev/null
}}
# FILE MODEL VALUE: on disk; without a value the file says nothing of the model.
note() {{
    {{ grep -v "^$2 " "$1" 2>/dev/null || true; [ -z "$3" ] || printf '%s %s\\n' "$2" "$3"; }} |
        install -m 0644 /dev/stdin "$1.new"
    sync "$1.new"; mv -f "$1.new" "$1"
}}
named() {{ ask admin "show servers state model.$1" | awk -v begin="$2." 'index($4, begin) == 1 {{ print $4 }}'; }}
admin() {{ ask admin "show servers state model.$1" | awk -v server="$2" '$4 == server {{ print $7 }}'; }}
"""

_STATES = """echo '== servers'; ask admin 'show servers state'
for pid in $(workers); do echo '== stat'; ask master "@!$pid show stat -1 4 -1"; done
"""
_STATES += SHOW_CANARIES

_SHOW_DRAINS = """for file in "$drains"/*; do [ ! -f "$file" ] || { echo "== drain ${file##*/}"; cat "$file"; }; done
"""
DRAINS_COMMAND = f"drains={DRAINS}\n{_SHOW_DRAINS}"
"""What a gateway keeps of its drains, without asking HAProxy."""

_DRAIN = (
    """server=$(named {model} {begin})
[ -n "$server" ] || {{ echo 'this gateway has no such server' >&2; exit 1; }}
"""
    + UNSHARE
    + """if {keep} || {{ [ ! -e "$drains/$server" ] && [ $(( $(admin {model} "$server") & 8 )) -eq 0 ]; }}; then
    printf '%s\\n' {record} >"$drains/.new"; sync "$drains/.new"; mv -f "$drains/.new" "$drains/$server"
fi
tell "set server model.{model}/$server state drain" >/dev/null
[ $(( $(admin {model} "$server") & 8 )) -ne 0 ] || {{ echo 'HAProxy did not drain it' >&2; exit 1; }}
"""
)

_COPY_DRAIN = """install -d -m 0755 -- "$drains"
printf '%s\\n' {record} >"$drains/.new"; sync "$drains/.new"; mv -f "$drains/.new" "$drains"/{server}
[ ! -S "$run/master.sock" ] || tell "set server model.{model}/{server} state drain" >/dev/null
"""

_READY = (
    """server=$(named {model} {begin})
[ -n "$server" ] || {{ echo 'this gateway has no such server' >&2; exit 1; }}
rm -f "$drains/$server"
tell "set server model.{model}/$server state ready" >/dev/null
[ $(( $(admin {model} "$server") & 9 )) -eq 0 ] || {{ echo 'HAProxy did not take it back' >&2; exit 1; }}
"""
    + UNSHARE
)

_KEY = """sha={sha256} lines={lines}
exec 9>"$run/keys.lock"; flock 9
"""

# What an apply has written and not loaded yet must still be loaded: then the stamp stays the older one.
_WRITE_KEYS = """loaded=false; [ "$keys" -nt "$run/keys.loaded" ] || [ "$keys" -ot "$run/keys.loaded" ] || loaded=true
{ grep -v "^$sha[ /]" "$keys" || true; printf '%s' "$lines"; } | LC_ALL=C sort >"$keys.new"
chown root:haproxy "$keys.new"; chmod 0640 "$keys.new"; sync "$keys.new"; mv -f "$keys.new" "$keys"
! $loaded || touch -r "$keys" "$run/keys.loaded"
"""

_TELL_KEY = """for pid in $(workers); do
    printf '%s' "$lines" | while read -r name value; do put "$pid" "$keys" "$name" "$value"; done
    ask master "@!$pid show map $keys" | awk -v sha="$sha" 'index($2, sha) == 1 { print $2 }' |
        grep -vxF -e "$(printf '%s' "$lines" | cut -d ' ' -f 1)" |
        while read -r name; do ask master "@!$pid del map $keys $name" >/dev/null; done
done
"""

# Written first: the next worker reads the file.
_OPEN_GAP = """model={model} ends=$(($(date +%s) + {seconds}))
note "$gaps" "$model" "$ends"
for pid in $(workers); do put "$pid" "$gaps" "$model" "$ends"; done
ask admin "get map $gaps $model" | grep -q "value=\\"$ends\\"" ||
    {{ echo 'HAProxy knows no gaps; apply first' >&2; exit 1; }}
"""

_CLOSE_GAP = """model={model}
note "$gaps" "$model" ''
tell "del map $gaps $model" >/dev/null
! ask admin "get map $gaps $model" | grep -q 'found=yes'
"""

_GAPS = f"""ask admin "show map $gaps" |
    awk -v since=$(($(date +%s) - {GAP_HEEDED_SECONDS})) 'NF == 3 && $3 > since {{ print $2, $3 }}'
"""

_DRAINED, _RUNNING = 8, 2
"""srv_admin_state's bit FDRAIN, srv_op_state's SRV_ST_RUNNING (management guide, `show servers state`)."""


class DrainRecord(Stored):
    """Why a replica is drained. It stands on the gateway: a drain outlives reloads and reboots."""

    format: str = "drain/1"
    who: str
    reason: str
    by_hand: bool
    """Whether a person drained it; what a person drained, only a person returns."""
    time: datetime


@dataclass(frozen=True)
class ServerState:
    """One replica, over all gateways."""

    host: str
    replica: str
    """MODEL@N."""
    drained: bool
    """At one gateway at least."""
    up: bool
    """At every gateway."""
    in_flight: int
    """Requests, over all gateways and all their workers."""
    record: DrainRecord | None
    canary: CanaryShare | None = None
    """What it gets as a canary, drained as it is; the most that a gateway gives it."""

    @property
    def address(self) -> str:
        return f"{self.host}/{self.replica}"

    @property
    def model(self) -> str:
        return self.replica.partition("@")[0]

    @property
    def takes_requests(self) -> bool:
        """Every gateway would send it a request."""
        return self.up and not self.drained

    @property
    def held(self) -> bool:
        """A person drained it: with a record that says so, or at the socket without any."""
        return self.drained and (self.record is None or self.record.by_hand)


class Gateways:
    """All gateways of a fleet at once. Each method raises HostError, naming the gateways that didn't do it."""

    def __init__(self, remote: Remote, hosts: Iterable[str], *, paths: Paths = PATHS, drains: str = DRAINS) -> None:
        self._remote = remote
        self._hosts = tuple(hosts)
        self._paths, self._drains = paths, drains
        self._helpers = _HELPERS.format(
            run=paths.run, configuration=paths.configuration, drains=drains, gaps=GAPS, canaries=CANARIES
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        return self._hosts

    def only(self, hosts: Iterable[str]) -> Gateways:
        """Return these of them."""
        return Gateways(self._remote, hosts, paths=self._paths, drains=self._drains)

    def servers(self) -> dict[str, ServerState]:
        """Return every replica that a gateway knows, by HOST/MODEL@N."""
        told = self._run(_STATES + _SHOW_DRAINS, "asking for states")
        return merged({name: parse_states(text) for name, text in told.items()})

    def in_flight(self, address: str) -> int:
        """Given HOST/MODEL@N, return its requests over all gateways and workers."""
        state = self.servers().get(address)
        return state.in_flight if state else 0

    def drain(self, address: str, *, who: str, reason: str, by_hand: bool = True) -> None:
        """Afterwards no gateway sends new requests to HOST/MODEL@N, nor a canary's share, also after a reload or a
        reboot.

        A drain that isn't by hand leaves an earlier one as it is: its record, or that it has none.
        """
        record = DrainRecord(who=who, reason=reason, by_hand=by_hand, time=datetime.now(UTC))
        values = {"keep": "true" if by_hand else "false", "record": quote(record.model_dump_json())}
        self._run(_DRAIN.format(**_parts(address), **values), f"draining {address}")

    def copy_drain(self, address: str, port: int, record: DrainRecord) -> None:
        """Afterwards the gateways have this drain of HOST/MODEL@N, which another has: one that doesn't run yet never
        sends there, not even as it starts."""
        parts = _parts(address)
        server = quote(f"{parts['begin']}.{port}")
        script = _COPY_DRAIN.format(model=parts["model"], server=server, record=quote(record.model_dump_json()))
        self._run(script, f"draining {address}")

    def ready(self, address: str) -> None:
        """Afterwards every gateway may send requests to HOST/MODEL@N; no record of a drain is left, nor a share."""
        self._run(_READY.format(**_parts(address)), f"returning {address}")

    def open_gap(self, model: str, seconds: int) -> None:
        """Afterwards every worker expects the model to be without a replica for so many seconds from now on.

        What is asked of it while it has none is held or refused as the fleet file says, also after a reload or a
        restart. A gap that is open already gets this end. Ten minutes after its end one is heeded no more.
        """
        script = _OPEN_GAP.format(model=quote(model), seconds=int(seconds))
        self._run(script, f"opening the gap of {model}")

    def close_gap(self, model: str) -> None:
        """Afterwards no worker expects a gap of the model, and requests that it still holds go on as usual.

        To be called after ready(): what an old worker holds only hears by this that a replica is back.
        """
        self._run(_CLOSE_GAP.format(model=quote(model)), f"closing the gap of {model}")

    def gaps(self) -> dict[str, datetime]:
        """Return the models of which a gateway expects a gap, and when it should end, at the latest of them."""
        ends: dict[str, datetime] = {}
        for text in self._run(_GAPS, "asking for gaps").values():
            for model, seconds in map(str.split, text.splitlines()):
                end = datetime.fromtimestamp(int(seconds), UTC)
                ends[model] = max(end, ends.get(model, end))
        return ends

    def set_canary(
        self, address: str, percent: float, *, digest: str, rollout: str, seconds: int = CANARY_SECONDS
    ) -> None:
        """Afterwards every worker sends this share of its model's conversations that begin to HOST/MODEL@N, drained
        or not, unless it is down: for so many seconds from now, also after a reload or a restart.

        One conversation stays with one version. `digest` stands in the access log of what goes there; each `rollout`
        deals out conversations anew. A share that is there already gets this size and end; 0 is as `end_canary`.
        """
        if not percent:
            self.end_canary(address.partition("/")[2].partition("@")[0])
            return
        values = {"parts": parts_of(percent), "seconds": int(seconds), "digest": quote(digest)}
        script = SET_CANARY.format(**_parts(address), **values, rollout=quote(rollout))
        self._run(script, f"giving {address} its share")

    def check_canaries(self) -> None:
        """Return if every gateway could give a canary its share: one that an older version wrote knows none."""
        self._run(CHECK_CANARIES, "asking for canaries")

    def end_canary(self, model: str) -> None:
        """Afterwards no worker sends anything to a canary of the model."""
        self._run(END_CANARY.format(model=quote(model)), f"ending the canary of {model}")

    def put_key(self, key: Key, *, in_memory: bool = False) -> None:
        """Afterwards every worker lets the key in as it says, and as nothing said before, with no moment between.

        `in_memory`: until the gateway next loads its keys.
        """
        written = "" if in_memory else _WRITE_KEYS
        self._run(_key(key, key_entries(key)) + written + _TELL_KEY + _known(wanted=True), f"telling key {key.id}")

    def remove_key(self, key: Key) -> None:
        """Afterwards no worker lets the key in, an old one with open connections neither."""
        self._run(_key(key) + _WRITE_KEYS + _TELL_KEY + _known(wanted=False), f"removing key {key.id}")

    @contextmanager
    def temporary_key(
        self, sha256: str, *, id: str = "verify", seconds: int = 600, server: str = ""
    ) -> Iterator[None]:
        """Within the block the key with this SHA-256 is let in to all models; in the gateways' memory only.

        It expires by itself after `seconds`, should the end of the block not come. With `server`, HAProxy's name of
        one, that one is asked, drained or not, unless it is down; answers name who gave them.
        """
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        key = Key(id=id, sha256=sha256, expires=expires, server=server)
        try:
            # Within: where it fails or is interrupted halfway, some workers have the key already.
            self.put_key(key, in_memory=True)
            yield
        finally:
            self._run(_key(key) + _TELL_KEY + _known(wanted=False), f"removing key {id}")

    def _run(self, script: str, what: str) -> dict[str, str]:
        """Run the script on every gateway; return what each printed."""
        done = self._remote.run_on(self._hosts, "sh -s", stdin=self._helpers + script)
        failures = [reason for name, result in done.items() if (reason := _failure(name, result, what))]
        if failures:
            raise HostError("; ".join(failures), next="rackwright status")
        return {name: result.stdout for name, result in done.items() if isinstance(result, Completed)}


def parse_states(text: str) -> dict[str, ServerState]:
    """Given what the states' script printed, return one gateway's servers by HOST/MODEL@N."""
    busy: dict[str, int] = {}
    records: dict[str, DrainRecord] = {}
    canaries: dict[str, CanaryShare] = {}
    rows: list[list[str]] = []
    for title, body in _sections(text):
        if title == "servers":
            rows = [line.split() for line in body.splitlines() if " model." in line]
        elif title == "stat":
            for row in csv.DictReader(body.removeprefix("# ").splitlines()):
                busy[row["svname"]] = busy.get(row["svname"], 0) + int(row["scur"])
        elif title == "canaries":
            canaries = dict(parse_canaries(body))
        elif record := _record(body):
            records[title.removeprefix("drain ")] = record
    states = (_state(row, busy.get(row[3], 0), records.get(row[3]), canaries.get(row[3])) for row in rows)
    return {state.address: state for state in states}


def merged(gateways: Mapping[str, Mapping[str, ServerState]]) -> dict[str, ServerState]:
    """Given each gateway's servers, return them over all: up where every gateway says so, drained where one does."""
    states: dict[str, ServerState] = {}
    for address in sorted({address for servers in gateways.values() for address in servers}):
        seen = [servers[address] for servers in gateways.values() if address in servers]
        states[address] = ServerState(
            host=seen[0].host,
            replica=seen[0].replica,
            drained=any(state.drained for state in seen),
            up=len(seen) == len(gateways) and all(state.up for state in seen),
            in_flight=sum(state.in_flight for state in seen),
            # What one gateway knows to be by hand is so.
            record=min(
                (state.record for state in seen if state.record), key=lambda told: not told.by_hand, default=None
            ),
            canary=max((state.canary for state in seen if state.canary), key=lambda one: one.percent, default=None),
        )
    return states


def _sections(text: str) -> Iterator[tuple[str, str]]:
    for section in f"\n{text}".split("\n== ")[1:]:
        title, _, body = section.partition("\n")
        yield title, body


def parse_drains(text: str) -> dict[str, DrainRecord]:
    """Given what DRAINS_COMMAND printed on a gateway, return its drains by HOST/MODEL@N."""
    found = {title.removeprefix("drain "): _record(body) for title, body in _sections(text)}
    return {_address(server): record for server, record in found.items() if record}


def _address(server: str) -> str:
    host, model, number, _ = server.split(".")
    return f"{host}/{model}@{number}"


def _record(body: str) -> DrainRecord | None:
    try:
        return DrainRecord.model_validate_json(body)
    except ValidationError:
        return None


def _state(row: list[str], in_flight: int, record: DrainRecord | None, canary: CanaryShare | None) -> ServerState:
    host, model, number, _ = row[3].split(".")
    operational, admin = int(row[5]), int(row[6])
    up = operational == _RUNNING and not admin & ~_DRAINED
    return ServerState(host, f"{model}@{number}", bool(admin & _DRAINED), up, in_flight, record, canary)


def _parts(address: str) -> dict[str, str]:
    host, _, replica = address.partition("/")
    model, _, number = replica.partition("@")
    return {"model": quote(model), "begin": quote(f"{host}.{model}.{number}")}


def _key(key: Key, entries: tuple[tuple[str, str], ...] = ()) -> str:
    """Its own entry comes last: by then the models that it lists are there."""
    lines = "".join(f"{name} {value}\n" for name, value in reversed(entries))
    return _KEY.format(sha256=key.sha256, lines=quote(lines))


def _known(*, wanted: bool) -> str:
    test = "" if wanted else "! "
    return f'{test}ask admin "get map $keys $sha" | grep -q "found=yes"\n'


def _failure(name: str, result: Completed | HostError, what: str) -> str | None:
    if isinstance(result, HostError):
        return str(result)
    return None if result.ok else f"{name}: {what} failed: {' '.join(result.last_lines(2)) or result.exit_status}"
