"""Ask and change running gateways over HAProxy's sockets, with one command per gateway: servers, drains, keys.

After a reload, old workers finish their answers: they are counted here, and get the same changes as the new worker.
Each answer of HAProxy is checked; an unexpected one is an error that names the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from shlex import quote
from typing import TypeVar

from rackwright.errors import HostError
from rackwright.gateway.canaries import CANARY_SECONDS, CHECK_CANARIES, END_CANARY, SET_CANARY, parts_of
from rackwright.gateway.clouds import SHOW_CLOUDS, CloudState, parse_clouds
from rackwright.gateway.fallback_counts import SHOW_FALLBACKS, GatewayFallbacks, parse_fallbacks
from rackwright.gateway.scripts import (
    CLOSE_DOWNTIME,
    COPY_DRAIN,
    DRAIN,
    FORGET_DRAIN,
    KEY,
    OPEN_DOWNTIME,
    READY,
    REFUSE_REVOKED,
    SHOW_DOWNTIMES,
    SHOW_DRAINS,
    SHOW_DROPPED,
    SHOW_STAT,
    STATES,
    TELL_KEY,
    WRITE_KEY,
    helpers,
)
from rackwright.gateway.server_states import (
    DrainRecord,
    ServerState,
    merged,
    parse_downtimes,
    parse_drains,
    parse_dropped,
    parse_queued,
    parse_states,
)
from rackwright.operations.haproxy.paths import DRAINS, Paths
from rackwright.remote import Completed, Remote, read_answer
from rackwright.roles.gateway.configuration import PATHS, key_entries, key_lines, revoked_line
from rackwright.roles.gateway.settings import Key, RevokedKey, Side

Read = TypeVar("Read")
_LENT_FIELD = 8


class Gateways:
    """All gateways of a fleet at once. Each method raises HostError, naming the gateways that failed."""

    def __init__(self, remote: Remote, hosts: Iterable[str], *, paths: Paths = PATHS, drains: str = DRAINS) -> None:
        self._remote = remote
        self._hosts = tuple(hosts)
        self._paths, self._drains = paths, drains
        self._helpers = helpers(paths, drains)

    @property
    def hosts(self) -> tuple[str, ...]:
        return self._hosts

    def only(self, hosts: Iterable[str]) -> Gateways:
        """Return the same API for these gateways only."""
        return Gateways(self._remote, hosts, paths=self._paths, drains=self._drains)

    def servers(self) -> dict[str, ServerState]:
        """Return every replica that any gateway has, by HOST/MODEL@N."""
        return merged(self.read(STATES + SHOW_DRAINS, "asking for states", parse_states))

    def in_flight(self, address: str) -> int:
        """Given HOST/MODEL@N, return its requests in flight over all gateways and workers."""
        state = self.servers().get(address)
        return state.in_flight if state else 0

    def queued(self, model: str) -> int:
        """Return how many of the model's requests wait for a slot, over all gateways and workers.

        Those that wait in the model's downtime aren't counted.
        """
        return sum(found.get(model, 0) for found in self.read(SHOW_STAT, "asking for queues", parse_queued).values())

    def clouds(self) -> dict[str, dict[str, CloudState]]:
        """Return each gateway's clouds, by name."""
        return self.read(SHOW_CLOUDS, "asking for clouds", parse_clouds)

    def fallbacks(self) -> dict[str, GatewayFallbacks]:
        """Return what each gateway knows of requests that a cloud answered in the fleet's place."""
        return self.read(SHOW_FALLBACKS, "asking for fallbacks", parse_fallbacks)

    def dropped_lines(self) -> dict[str, int]:
        """Return how many log lines each gateway's running workers have dropped, because journald's socket was full.

        Each may be a line of the access log. A worker that ended isn't counted.
        """
        return self.read(SHOW_DROPPED, "asking for dropped log lines", parse_dropped)

    def drain(self, address: str, *, who: str, reason: str, manual: bool = True) -> None:
        """Drain HOST/MODEL@N: no worker sends it new requests or a canary's share, even after a reload or reboot.

        A drain that isn't manual leaves an earlier drain as it was, with its record or without one.
        """
        record = DrainRecord(who=who, reason=reason, manual=manual, time=datetime.now(UTC))
        values = {"keep": "true" if manual else "false", "record": quote(record.model_dump_json())}
        self.run(DRAIN.format(**_parts(address), **values), f"draining {address}")

    def copy_drain(self, address: str, port: int, record: DrainRecord) -> None:
        """Copy another gateway's drain of HOST/MODEL@N to these gateways. HAProxy may not run yet: when it starts, it
        sends no requests there."""
        parts = _parts(address)
        server = quote(f"{parts['begin']}.{port}")
        script = COPY_DRAIN.format(model=parts["model"], server=server, record=quote(record.model_dump_json()))
        self.run(script, f"draining {address}")

    def drains(self) -> dict[str, dict[str, DrainRecord]]:
        """Return each gateway's drains that have a record, by HOST/MODEL@N."""
        return self.read(SHOW_DRAINS, "asking for drains", parse_drains)

    def undrain(self, address: str) -> None:
        """Let every gateway send requests to HOST/MODEL@N again, and remove the record of its drain and any share."""
        self.run(READY.format(**_parts(address)), f"undraining {address}")

    def forget_drain(self, address: str) -> None:
        """Remove the record of the drain of HOST/MODEL@N, which the gateways don't have any more."""
        self.run(FORGET_DRAIN.format(**_parts(address)), f"removing the drain of {address}")

    def open_downtime(self, model: str, seconds: int, *, early: int = 0) -> None:
        """Make every worker expect the model to have no replica for this many seconds from now.

        While it has none, its requests are queued or rejected as the fleet file says, even after a reload or restart.
        For `early` seconds from now, this is done to new requests although it still has one, which answers those that
        wait for a slot: `queued` falls to 0.
        If a downtime is open already, its end changes. Ten minutes after its end, a downtime has no effect any more.
        """
        script = OPEN_DOWNTIME.format(model=quote(model), seconds=int(seconds), early=int(early))
        self.run(script, f"opening the downtime of {model}")

    def close_downtime(self, model: str) -> None:
        """End the model's downtime at every worker, and let queued requests continue as usual.

        Call this after undrain(), because until then queued requests find no replica.
        """
        self.run(CLOSE_DOWNTIME.format(model=quote(model)), f"closing the downtime of {model}")

    def downtimes(self) -> dict[str, datetime]:
        """Return the models for which a gateway expects downtime, each with the latest end of all gateways."""
        ends: dict[str, datetime] = {}
        for found in self.read(SHOW_DOWNTIMES, "asking for downtimes", parse_downtimes).values():
            for model, end in found.items():
                ends[model] = max(end, ends.get(model, end))
        return ends

    def set_canary(
        self, address: str, percent: float, *, digest: str, rollout: str, seconds: int = CANARY_SECONDS
    ) -> None:
        """Make every worker send this percentage of its model's new conversations to HOST/MODEL@N, drained or not,
        unless it is down, for this many seconds from now, even after a reload or restart.

        Each conversation stays with one version. The access log has `digest` for requests that go there. Each
        `rollout` assigns conversations to versions in a new way. If there is a share already, its size and end
        change; 0 ends it.
        """
        if not percent:
            self.end_canary(address.partition("/")[2].partition("@")[0])
            return
        values = {"parts": parts_of(percent), "seconds": int(seconds), "digest": quote(digest)}
        script = SET_CANARY.format(**_parts(address), **values, rollout=quote(rollout))
        self.run(script, f"setting the canary's share of {address}")

    def check_canaries(self) -> None:
        """Raise HostError if a gateway can't give a canary its share, for example with an older configuration."""
        self.run(CHECK_CANARIES, "asking for canaries")

    def end_canary(self, model: str) -> None:
        """End the share of the model's canary at every worker."""
        self.run(END_CANARY.format(model=quote(model)), f"ending the canary of {model}")

    def put_key(self, key: Key, *, note: str) -> None:
        """Give every worker this entry of the key in place of earlier ones, without a moment when neither is valid.

        `note`: one line that the gateway stores with it. Raise HostError for a key that was revoked.
        """
        script = KEY.format(sha256=key.sha256, lines="''") + REFUSE_REVOKED
        script += WRITE_KEY.format(pushed=quote(key_lines(key) + _noted(key.sha256, str(key.version), note)))
        self.run(script + TELL_KEY + _known(wanted=True), f"pushing key {key.id}")

    def remove_key(self, key: RevokedKey, *, note: str) -> None:
        """Revoke the key permanently at every worker, including old workers with open connections."""
        pushed = revoked_line(key) + _noted(key.sha256, "revoked", note)
        script = KEY.format(sha256=key.sha256, lines="''") + WRITE_KEY.format(pushed=quote(pushed))
        self.run(script + TELL_KEY + _known(wanted=False), f"revoking key {key.about}")

    def lend_key(self, key: Key, *, seconds: int) -> None:
        """Make every worker accept the key for all models, for `seconds` by the gateway's own clock, or until the
        gateway next loads its keys."""
        script = _in_memory(key, _lasting(key, seconds)) + TELL_KEY + _known(wanted=True)
        self.run(script, f"lending key {key.id}")

    def take_back_key(self, key: Key) -> None:
        """Remove a key that was lent from every worker."""
        self.run(_in_memory(key) + TELL_KEY + _known(wanted=False), f"removing key {key.id}")

    @contextmanager
    def temporary_key(
        self, sha256: str, *, id: str = "verify", seconds: int = 600, server: str = "", side: Side = "fleet"
    ) -> Iterator[None]:
        """Make the gateways accept the key with this SHA-256 for all models during the block, only in their memory.

        If the block never ends, the key expires after `seconds`, by each gateway's own clock. With `server`
        (HAProxy's name of a server), its requests go to that server, drained or not, unless it is down, and each
        answer names the server that gave it. `side` says who answers: the model's replicas or, at the provider's
        price, its cloud; "": the side that answers clients.
        """
        key = Key(id=id, sha256=sha256, server=server, side=side)
        try:
            # Inside `try`: if it fails or is interrupted, some workers may have the key already.
            self.lend_key(key, seconds=seconds)
            yield
        finally:
            self.take_back_key(key)

    def run(self, script: str, what: str) -> dict[str, str]:
        """Run the script on every gateway, after the helpers of scripts.py; return what each printed."""
        return self.read(script, what, str)

    def read(self, script: str, what: str, parse: Callable[[str], Read]) -> dict[str, Read]:
        """Run the script on every gateway; return what `parse` makes of each gateway's output."""
        found: dict[str, Read] = {}
        failures: list[str] = []
        for name, answer in self.each(script, what, parse).items():
            if isinstance(answer, HostError):
                failures.append(str(replace(answer.problems[0], next=None)))
            else:
                found[name] = answer
        if failures:
            raise HostError("; ".join(failures), next="rackwright status")
        return found

    def each(
        self, script: str, what: str, parse: Callable[[str], Read], words: Mapping[str, str] | None = None
    ) -> dict[str, HostError | Read]:
        """Run the script on every gateway; return what `parse` makes of its output, or why it failed.

        `words`: gateway → what its script has as $1.
        """
        command = {name: f"sh -s -- {quote(word)}" for name, word in words.items()} if words else "sh -s"
        done = self._remote.run_on(self._hosts, command, stdin=self._helpers + script)
        return {name: _answer(name, result, what, parse) for name, result in done.items()}


def _parts(address: str) -> dict[str, str]:
    host, _, replica = address.partition("/")
    model, _, number = replica.partition("@")
    return {"model": quote(model), "begin": quote(f"{host}.{model}.{number}")}


def _noted(sha256: str, version: str, note: str) -> str:
    return f"{sha256} {version} @ {note}\n"


def _in_memory(key: Key, lines: str = "''") -> str:
    """Return a script that puts the entries into the workers' memory only. `lines`: quoted for a shell."""
    return KEY.format(sha256=key.sha256, lines=lines)


def _lasting(key: Key, seconds: int) -> str:
    """Return a key's entry for all models, quoted for a shell, which computes its end from the gateway's clock.

    Its eighth field says that it is rackwright's own: a migration doesn't record what rackwright asks.
    """
    ((name, value),) = key_entries(key)
    id, _, *rest = value.split("|")
    fields = [*rest, *[""] * (_LENT_FIELD - 3 - len(rest)), "lent"]
    before, after = quote(f"{name} {id}|"), quote(f"|{'|'.join(fields)}\n")
    return f'{before}"$(($(date +%s) + {int(seconds)}))"{after}'


def _known(*, wanted: bool) -> str:
    """Return the final check. The key's own entry is the last one of $lines."""
    value = """"$(printf '%s' "$lines" | awk 'END { print $2 }')\""""
    return f'knows "$keys" "$sha" {value}\n' if wanted else 'knows_no "$keys" "$sha"\n'


def _answer(name: str, result: Completed | HostError, what: str, parse: Callable[[str], Read]) -> HostError | Read:
    if isinstance(result, HostError):
        return result
    if not result.ok:
        return HostError(f"{what} failed: {' '.join(result.last_lines(2)) or result.exit_status}", where=name)
    try:
        return read_answer(name, what, parse, result.stdout)
    except HostError as error:
        return error
