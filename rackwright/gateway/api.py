"""The gateways while they run: who is up, drained and busy, and keys, over HAProxy's sockets, one command a gateway.

A reload leaves old workers behind that finish their answers: they count here, and are told whatever the new one is.
Each answer of HAProxy's is checked; one that isn't the expected one is an error that names the worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from shlex import quote

from rackwright.errors import HostError
from rackwright.gateway.canaries import CANARY_SECONDS, CHECK_CANARIES, END_CANARY, SET_CANARY, parts_of
from rackwright.gateway.scripts import (
    CLOSE_DOWNTIME,
    COPY_DRAIN,
    DRAIN,
    KEY,
    OPEN_DOWNTIME,
    READY,
    REFUSE_REVOKED,
    SHOW_DOWNTIMES,
    SHOW_DRAINS,
    STATES,
    TELL_KEY,
    WRITE_KEY,
    helpers,
)
from rackwright.gateway.server_states import DrainRecord, ServerState, merged, parse_states
from rackwright.operations.haproxy.paths import DRAINS, Paths
from rackwright.remote import Completed, Remote
from rackwright.roles.gateway.configuration import PATHS, key_entries, key_lines, revoked_line
from rackwright.roles.gateway.settings import Key, RevokedKey


class Gateways:
    """All gateways of a fleet at once. Each method raises HostError, naming the gateways that didn't do it."""

    def __init__(self, remote: Remote, hosts: Iterable[str], *, paths: Paths = PATHS, drains: str = DRAINS) -> None:
        self._remote = remote
        self._hosts = tuple(hosts)
        self._paths, self._drains = paths, drains
        self._helpers = helpers(paths, drains)

    @property
    def hosts(self) -> tuple[str, ...]:
        return self._hosts

    def only(self, hosts: Iterable[str]) -> Gateways:
        """Return these of them."""
        return Gateways(self._remote, hosts, paths=self._paths, drains=self._drains)

    def servers(self) -> dict[str, ServerState]:
        """Return every replica that a gateway knows, by HOST/MODEL@N."""
        reply = self._run(STATES + SHOW_DRAINS, "asking for states")
        return merged({name: parse_states(text) for name, text in reply.items()})

    def in_flight(self, address: str) -> int:
        """Given HOST/MODEL@N, return its requests over all gateways and workers."""
        state = self.servers().get(address)
        return state.in_flight if state else 0

    def drain(self, address: str, *, who: str, reason: str, manual: bool = True) -> None:
        """Afterwards no worker of a gateway sends HOST/MODEL@N a new request, or a canary's share, not after a
        reload or a reboot either.

        A drain that isn't by hand leaves an earlier one as it is: its record, or that it has none.
        """
        record = DrainRecord(who=who, reason=reason, manual=manual, time=datetime.now(UTC))
        values = {"keep": "true" if manual else "false", "record": quote(record.model_dump_json())}
        self._run(DRAIN.format(**_parts(address), **values), f"draining {address}")

    def copy_drain(self, address: str, port: int, record: DrainRecord) -> None:
        """Afterwards the gateways have this drain of HOST/MODEL@N, which another has: one that doesn't run yet never
        sends there, not even as it starts."""
        parts = _parts(address)
        server = quote(f"{parts['begin']}.{port}")
        script = COPY_DRAIN.format(model=parts["model"], server=server, record=quote(record.model_dump_json()))
        self._run(script, f"draining {address}")

    def undrain(self, address: str) -> None:
        """Afterwards every gateway may send requests to HOST/MODEL@N; no record of a drain is left, nor a share."""
        self._run(READY.format(**_parts(address)), f"returning {address}")

    def open_downtime(self, model: str, seconds: int) -> None:
        """Afterwards every worker expects the model to be without a replica for so many seconds from now on.

        What is asked of it while it has none is held or refused as the fleet file says, also after a reload or a
        restart. Downtime that is open already gets this end. Ten minutes after its end one is heeded no more.
        """
        script = OPEN_DOWNTIME.format(model=quote(model), seconds=int(seconds))
        self._run(script, f"opening the downtime of {model}")

    def close_downtime(self, model: str) -> None:
        """Afterwards no worker expects downtime of the model, and requests that it still holds go on as usual.

        To be called after ready(): what is held finds no replica before.
        """
        self._run(CLOSE_DOWNTIME.format(model=quote(model)), f"closing the downtime of {model}")

    def downtimes(self) -> dict[str, datetime]:
        """Return the models of which a gateway expects downtime, and when it should end, at the latest of them."""
        ends: dict[str, datetime] = {}
        for text in self._run(SHOW_DOWNTIMES, "asking for downtimes").values():
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

    def put_key(self, key: Key, *, note: str) -> None:
        """Afterwards every worker lets the key in as it says, and as nothing said before, with no moment between.

        `note`: one line that the gateway keeps with it. One that was revoked is refused.
        """
        script = KEY.format(sha256=key.sha256, lines="''") + REFUSE_REVOKED
        script += WRITE_KEY.format(pushed=quote(key_lines(key) + _noted(key.sha256, str(key.version), note)))
        self._run(script + TELL_KEY + _known(wanted=True), f"telling key {key.id}")

    def remove_key(self, key: RevokedKey, *, note: str) -> None:
        """Afterwards no worker lets the key in, an old one with open connections neither, and none ever will."""
        pushed = revoked_line(key) + _noted(key.sha256, "revoked", note)
        script = KEY.format(sha256=key.sha256, lines="''") + WRITE_KEY.format(pushed=quote(pushed))
        self._run(script + TELL_KEY + _known(wanted=False), f"removing key {key.about}")

    def lend_key(self, key: Key, *, seconds: int) -> None:
        """Afterwards every worker lets the key in to all models, for so long by the gateway's own clock, or until the
        gateway next loads its keys."""
        script = _in_memory(key, _lasting(key, seconds)) + TELL_KEY + _known(wanted=True)
        self._run(script, f"telling key {key.id}")

    def take_back_key(self, key: Key) -> None:
        """Afterwards no worker lets in a key that was lent."""
        self._run(_in_memory(key) + TELL_KEY + _known(wanted=False), f"removing key {key.id}")

    @contextmanager
    def temporary_key(
        self, sha256: str, *, id: str = "verify", seconds: int = 600, server: str = ""
    ) -> Iterator[None]:
        """Within the block the key with this SHA-256 is let in to all models; in the gateways' memory only.

        It expires by itself after `seconds`, by each gateway's own clock, should the end of the block not come. With
        `server`, HAProxy's name of one, that one is asked, drained or not, unless it is down; answers name who gave
        them.
        """
        key = Key(id=id, sha256=sha256, server=server)
        try:
            # Within: where it fails or is interrupted halfway, some workers have the key already.
            self.lend_key(key, seconds=seconds)
            yield
        finally:
            self.take_back_key(key)

    def _run(self, script: str, what: str) -> dict[str, str]:
        """Run the script on every gateway; return what each printed."""
        done = self._remote.run_on(self._hosts, "sh -s", stdin=self._helpers + script)
        failures = [reason for name, result in done.items() if (reason := _failure(name, result, what))]
        if failures:
            raise HostError("; ".join(failures), next="rackwright status")
        return {name: result.stdout for name, result in done.items() if isinstance(result, Completed)}


def _parts(address: str) -> dict[str, str]:
    host, _, replica = address.partition("/")
    model, _, number = replica.partition("@")
    return {"model": quote(model), "begin": quote(f"{host}.{model}.{number}")}


def _noted(sha256: str, version: str, note: str) -> str:
    return f"{sha256} {version} @ {note}\n"


def _in_memory(key: Key, lines: str = "''") -> str:
    """Until the gateway next loads its keys. `lines` for a shell."""
    return KEY.format(sha256=key.sha256, lines=lines)


def _lasting(key: Key, seconds: int) -> str:
    """The entry of a key for all models, for a shell that puts in when it expires: so many seconds from there on."""
    ((name, value),) = key_entries(key)
    id, _, rest = value.split("|", 2)
    before, after = quote(f"{name} {id}|"), quote(f"|{rest}\n")
    return f'{before}"$(($(date +%s) + {int(seconds)}))"{after}'


def _known(*, wanted: bool) -> str:
    """Its own entry is the last of $lines."""
    value = """"$(printf '%s' "$lines" | awk 'END { print $2 }')\""""
    return f'knows "$keys" "$sha" {value}\n' if wanted else 'knows_no "$keys" "$sha"\n'


def _failure(name: str, result: Completed | HostError, what: str) -> str | None:
    if isinstance(result, HostError):
        return str(result)
    return None if result.ok else f"{name}: {what} failed: {' '.join(result.last_lines(2)) or result.exit_status}"
