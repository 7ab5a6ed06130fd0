"""A stateful machine: two operators, each with a copy of the keys file, and hosts that may be unreachable."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rackwright.errors import HostError, LeasedError, UsageError
from rackwright.fleet.keys_file import (
    ApiKey,
    KeysFile,
    RevokedKey,
    as_gateway_keys,
    as_revoked,
    new_key,
    read_keys_file,
    write_keys,
)
from rackwright.lifecycle import key as procedure
from rackwright.roles.gateway.configuration import key_lines, revoked_line
from rackwright.state.api_keys.control_keys import keep_applied_keys, keep_keys
from rackwright.state.api_keys.merge_keys import merge_keys
from rackwright.state.api_keys.pushed_keys import PushedKey
from tests.fleet.fleets import make_fleet
from tests.lifecycle.world.key_gateway import KeyGateway, KeyGateways

GATEWAYS = ("gate1", "gate2")
HOSTS = (*GATEWAYS, "control")
OPERATORS = st.sampled_from(("anna", "ben"))
NUMBERS = st.integers(0, 9)
THEN = datetime(2026, 11, 1, tzinfo=UTC)


class KeyMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="key-machine-"))
        self.given = 0
        self.now = THEN
        self.ahead: set[str] = set()
        """Operators whose copy has changes that the other copy lacks."""
        self.heard: dict[str, dict[str, ApiKey | None]] = {name: {} for name in GATEWAYS}
        """Gateway → SHA-256 → the newest version of a key that it got; None: the key is revoked."""
        self.applying: KeysFile | None = None
        self.kept_revoked: set[str] = set()
        """The SHA-256 of each key whose revocation has reached the control host."""
        self.undisturbed = False
        """Whether it could ask every gateway, and no gateway has got a key since."""

    @initialize()
    def begin(self) -> None:
        self.gateways = {name: KeyGateway(name, self.folder / name) for name in GATEWAYS}
        self.control = KeyGateway("control", self.folder / "control")
        self.remote = KeyGateways({**self.gateways, "control": self.control})
        self.fleets = {}
        for who in ("anna", "ben"):
            (self.folder / who).mkdir()
            self.fleets[who] = make_fleet(
                self.folder / who / "site.yml",
                hosts={name: {"address": "10.0.0.9"} for name in (*HOSTS, "gpu1")},
                gateway={"on": list(GATEWAYS), "domain": "llm.acme.internal"},
                control=["control"],
            )

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # What operators do.

    @rule(who=OPERATORS)
    def add(self, who: str) -> None:
        self.given += 1
        id = f"{who}-{self.given}"
        _, sha256 = new_key(id)
        key = ApiKey(id=id, owner=who, sha256=sha256, created=self.tick())
        file = self.file(who)
        self.write(who, KeysFile(keys=(*file.keys, key), revoked=file.revoked))
        self.tell(who, key)

    @rule(who=OPERATORS, number=NUMBERS, later=st.booleans())
    def edit(self, who: str, number: int, later: bool) -> None:
        if key := self.some_key(who, number):
            changed = key.model_copy(update={"concurrency": self.given + 1, "changed": key.next_change(self.tick())})
            file = self.file(who)
            others = tuple(one for one in file.keys if one.id != key.id)
            self.given += 1
            self.write(who, KeysFile(keys=(*others, changed), revoked=file.revoked))
            if not later:
                self.tell(who, changed)

    @rule(who=OPERATORS, number=NUMBERS, later=st.booleans())
    def revoke(self, who: str, number: int, later: bool) -> None:
        if key := self.some_key(who, number):
            file = self.file(who)
            gone = RevokedKey(id=key.id, owner=key.owner, sha256=key.sha256, revoked=self.tick())
            left = tuple(one for one in file.keys if one.id != key.id)
            self.write(who, KeysFile(keys=left, revoked=(*file.revoked, gone)))
            if not later:
                self.tell(who, key, gone)

    @rule(who=OPERATORS)
    def git_pull(self, who: str) -> None:
        other = "ben" if who == "anna" else "anna"
        if who not in self.ahead:
            file = self.file(other)
            write_keys(self.path(who), file.keys, file.revoked)
            self.ahead.discard(other)

    @rule(who=OPERATORS)
    def key_pull(self, who: str) -> None:
        told = procedure.pushed_keys(self.remote, HOSTS)  # type: ignore[arg-type]
        file = self.file(who)
        try:
            self.write(who, procedure.with_pushed(file, procedure.unknown_to(file, told)))
        except UsageError:
            return

    @precondition(lambda self: self.applying is None)
    @rule(who=OPERATORS)
    def begin_apply(self, who: str) -> None:
        """It asks the hosts, shows its plan, and asks its question; anything may happen until it continues."""
        try:
            procedure.refuse_unknown_keys(
                self.fleets[who],
                procedure.pushed_keys(self.remote, HOSTS),  # type: ignore[arg-type]
            )
        except LeasedError:
            return
        self.applying = self.file(who)
        self.undisturbed = not any(host.gone for host in self.remote.gateways.values())
        if not self.control.gone:
            gone = {one.sha256 for one in self.applying.revoked}
            assert self.kept_revoked <= gone, "an apply goes ahead without a revocation that the control host knows"

    @precondition(lambda self: self.applying is not None)
    @rule()
    def end_apply(self) -> None:
        file, self.applying = self.applying, None
        assert file
        lines = [key_lines(key) for key in as_gateway_keys(file.keys, {})]
        lines += [revoked_line(key) for key in as_revoked(file.revoked)]
        for name, gateway in self.gateways.items():
            if not gateway.gone:
                gateway.apply("".join(lines))
                for key in file.keys:
                    self.hear(name, key.sha256, key)
                for gone in file.revoked:
                    self.hear(name, gone.sha256, None)
        if not self.control.gone:
            keep_applied_keys(self.control, file, who="an apply", folder=self.control.kept)
            self.kept_revoked |= {one.sha256 for one in file.revoked}
        if self.undisturbed:
            first, second = (gateway.lets_in for gateway in self.gateways.values())
            assert first == second, "an apply left one gateway with other keys than the other"

    @rule(name=st.sampled_from(HOSTS), gone=st.booleans())
    def cut(self, name: str, gone: bool) -> None:
        self.remote.gateways[name].gone = gone
        self.undisturbed = False

    @rule()
    def cut_gateways(self) -> None:
        """Then only the control host can know what is changed."""
        for gateway in self.gateways.values():
            gateway.gone = True
        self.undisturbed = False

    # What must hold.

    @invariant()
    def each_gateway_lets_in_whom_it_should(self) -> None:
        for name, heard in self.heard.items():
            lets_in = self.gateways[name].lets_in if hasattr(self, "gateways") else {}
            for sha256, key in heard.items():
                if key is None:
                    assert sha256 not in lets_in, f"{name} lets in a key that was revoked"
                else:
                    entry = lets_in.get(sha256)
                    assert entry is not None, f"{name} doesn't let {key.id} in, which was given out"
                    assert entry.endswith(f"|{key.concurrency or 'default'}"), (
                        f"{name} took a change of {key.id} back"
                    )

    @invariant()
    def a_merge_of_all_copies_admits_no_revoked_key_and_loses_none(self) -> None:
        if not hasattr(self, "gateways"):
            return
        files = [self.file(who) for who in self.fleets]
        kept = [one for host in self.remote.gateways.values() for one in host.pushed]
        merged = merge_keys(files, kept)
        live, gone = {key.sha256 for key in merged.keys}, {key.sha256 for key in merged.revoked}
        for heard in self.heard.values():
            assert {sha256 for sha256, key in heard.items() if key is None} <= gone
            assert set(heard) <= live | gone
        assert self.kept_revoked <= gone
        assert not live & gone

    # Helpers.

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def path(self, who: str) -> Path:
        return self.fleets[who].sibling("keys.yml")

    def file(self, who: str) -> KeysFile:
        return read_keys_file(self.path(who))

    def write(self, who: str, file: KeysFile) -> None:
        write_keys(self.path(who), file.keys, file.revoked)
        self.ahead.add(who)

    def some_key(self, who: str, number: int) -> ApiKey | None:
        keys = self.file(who).keys
        return keys[number % len(keys)] if keys else None

    def tell(self, who: str, key: ApiKey, gone: RevokedKey | None = None) -> None:
        self.undisturbed = False
        (entry,) = as_gateway_keys((key,), {})
        pushed = PushedKey(key=key, who=who, when=self.now, revoked=gone is not None)
        with suppress(HostError):
            keep_keys(self.control, (pushed,), folder=self.control.kept)
            self.kept_revoked |= {key.sha256} if gone else set()
        note = pushed.line
        for name in GATEWAYS:
            told = self.remote.told(name)
            try:
                if gone:
                    told.remove_key(*as_revoked((gone,)), note=note)
                else:
                    told.put_key(entry, note=note)
            except HostError:
                continue
            self.hear(name, key.sha256, None if gone else key)

    def hear(self, name: str, sha256: str, key: ApiKey | None) -> None:
        heard = self.heard[name]
        before = heard.get(sha256, key)
        newer = before is not None and key is not None and key.version >= before.version
        if key is None or newer:
            heard[sha256] = key
