"""Sabotages of a recovered fleet, each with what takes it back. The drill's own checks must notice each of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from rackwright.errors import RackwrightError
from rackwright.fleet.keys_file import read_keys_file, sha256_of, write_keys
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock_file import read_lock
from rackwright.fleet.x509 import load_key, new_key, self_signed
from rackwright.fleet.yaml_file import replace_file
from rackwright.lifecycle.client.origin import choose_asker
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.procedure import Drill, Work, planned
from rackwright.lifecycle.drill.prove import prove
from rackwright.lifecycle.drill.record import RecordedConsole
from rackwright.lifecycle.drill.recover import Recovered, Recovery
from rackwright.lifecycle.drill.scope import scope_of
from rackwright.lifecycle.session.session import Session, open_session
from rackwright.lifecycle.verify.procedure import verify
from rackwright.state.formats import utc_now
from tests.lab.drill_site import DrillSite

STATE = "/var/lib/rackwright"
WEIGHTS = "$(ls -d /srv/models/assistant/*/*.gguf)"
ENGINE = "rackwright-assistant@1.service"
GOLDEN = f"$(ls {STATE}/golden/*/*.json)"
OTHER_ANSWER = r"""sed -i -E 's/"tokens": ?\[([0-9]+)/"tokens":[1\1/; s/"text": ?"/&x/' "$f" """
OTHER_CONTEXT = f"""sed -i 's/2048/1024/; s/4096/2048/' "$f"; systemctl daemon-reload; systemctl restart {ENGINE}"""
KEPT = "/var/lib/rackwright-drill/kept"


@dataclass(frozen=True)
class Sabotage:
    """Something that is spoilt on one of the scratch hosts, and the command that takes it back."""

    what: str
    host: str
    spoil: str
    back: str


def _file(what: str, host: str, path: str, spoil: str) -> Sabotage:
    """Spoil a file; its owner, mode and content come back."""
    keep = f'f={path}; k={KEPT}/file; mkdir -p {KEPT}; echo "$f" >{KEPT}/path; cp -a -- "$f" "$k"'
    back = f'f=$(cat {KEPT}/path); rm -rf -- "$f"; cp -a -- {KEPT}/file "$f"; rm -rf {KEPT}'
    return Sabotage(what, host, f"{keep}; {spoil}", back)


SABOTAGES = (
    _file(
        "one byte of the weights is another",
        "gpu1",
        WEIGHTS,
        "printf '\\001' | dd of=$f bs=1 seek=5000 conv=notrunc status=none",
    ),
    _file("the weights are cut by one byte", "gpu1", WEIGHTS, 'truncate -s -1 "$f"'),
    _file("the weights are missing", "gpu1", WEIGHTS, 'rm "$f"'),
    _file("the weights are empty", "gpu1", WEIGHTS, ': >"$f"'),
    Sabotage(
        "a file that isn't in the lock is next to the weights",
        "gpu1",
        "cd /srv/models/assistant/*/; echo x >adapter.gguf",
        "rm /srv/models/assistant/*/adapter.gguf",
    ),
    _file(
        "the weights were verified as another revision",
        "gpu1",
        "$(ls -d /srv/models/assistant/*/.verified)",
        'tr 0-9a-f 1-9a-f0 <"$k" >"$f"',
    ),
    Sabotage("the engine is stopped", "gpu1", f"systemctl stop {ENGINE}", f"systemctl start {ENGINE}"),
    Sabotage(
        "the engine hangs",
        "gpu1",
        f"systemctl kill --kill-whom=main -s STOP {ENGINE}",
        f"systemctl kill --kill-whom=main -s CONT {ENGINE}",
    ),
    _file(
        "the engine runs with another context",
        "gpu1",
        f"/etc/systemd/system/{ENGINE}",
        OTHER_CONTEXT,
    ),
    Sabotage(
        "the host proxy is stopped",
        "gpu1",
        "systemctl stop rackwright-host-proxy",
        "systemctl start rackwright-host-proxy",
    ),
    Sabotage(
        "the gateway is stopped", "gate1", "systemctl stop rackwright-gateway", "systemctl start rackwright-gateway"
    ),
    _file("a golden answer has another token", "gate1", GOLDEN, OTHER_ANSWER),
    Sabotage(
        "the golden answers are missing",
        "gate1",
        f"mv {STATE}/golden {STATE}-golden",
        f"mv {STATE}-golden {STATE}/golden",
    ),
    _file(
        "the golden answer is from after the loss",
        "gate1",
        GOLDEN,
        'sed -i -E \'s/("when": ?")20[0-9]{2}/\\12099/\' "$f"',
    ),
    _file("the golden answer is damaged", "gate1", GOLDEN, 'truncate -s 40 "$f"'),
    _file("the record of the control host is damaged", "gate1", f"{STATE}/control-host.json", 'truncate -s 10 "$f"'),
    _file("the record of the control host is missing", "gate1", f"{STATE}/control-host.json", 'rm "$f"'),
    _file(
        "the journal is damaged",
        "gate1",
        f"{STATE}/control/journal",
        'mkdir -p "${f%/*}"; printf "{\\"time\\": 5}\\n" >>"$f"',
    ),
    _file("the fencing token is no number", "gate1", f"{STATE}/control/token", 'echo x >"$f"'),
    _file("the fencing token is missing", "gate1", f"{STATE}/control/token", 'rm "$f"'),
    _file("the audit log is cut", "gate1", f"{STATE}/audit.log", 'truncate -s 100 "$f"'),
    _file("the audit log is missing", "gpu1", f"{STATE}/audit.log", 'rm "$f"'),
    _file("the changes of API keys are damaged", "gate1", f"{STATE}/keys.pushed", 'printf "damaged\\n" >>"$f"'),
    _file("the changes of API keys are missing", "gate1", f"{STATE}/keys.pushed", 'rm "$f"'),
    _file(
        "a kept build is missing",
        "gpu1",
        f"$(find {STATE}/builds -type f ! -name '.*' | sort | head -n 1)",
        'rm "$f"',
    ),
    Sabotage(
        "the isolation has a hole",
        "gpu1",
        "nft insert rule inet rackwright_drill output accept",
        "systemctl restart drill-isolation",
    ),
    Sabotage(
        "the isolation is gone",
        "gate1",
        "nft delete table inet rackwright_drill",
        "systemctl restart drill-isolation",
    ),
)


@dataclass(frozen=True)
class Bench:
    """A recovered fleet, and what asks whether it is one."""

    site: DrillSite
    drill: Drill
    recovered: Recovered

    def doubts(self) -> list[str]:
        """Return what the drill's checks found wrong now."""
        try:
            with self.drill.opened(self.recovered.fleet) as session:
                return [_line(check) for check in self._checks(session) if check.outcome != "passed"]
        except RackwrightError as error:
            return [error.problems[0].line()]

    def _checks(self, session: Session) -> Iterator[Check]:
        proofs = verify(session, choose_asker(session), lambda _: None)
        recovered = replace(self.recovered, done=replace(self.recovered.done, proofs=proofs))
        yield from prove(session, recovered, self.drill.keys, utc_now() - timedelta(seconds=1)).checks
        yield from self.drill.guard.probe_from_outside()

    @contextmanager
    def sabotaged(self, sabotage: Sabotage) -> Iterator[None]:
        host = self.site.scratch(sabotage.host)
        host.tell(f"set -e; {sabotage.spoil}")
        try:
            yield
        finally:
            host.tell(sabotage.back)
            if ENGINE in sabotage.spoil:
                host.tell(f"systemctl daemon-reload; systemctl restart {ENGINE}")

    def of_the_controller(self) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
        """Yield sabotages of the drill's own files: what it is, how it is done, and how it is taken back."""
        fleet = self.recovered.fleet
        keys, ca = fleet.sibling("keys.yml"), fleet.sibling("ca.crt")
        before, certificate = keys.read_bytes(), ca.read_bytes()
        file = read_keys_file(keys)
        valid, revoked = (sha256_of(one) for one in self.drill.keys if one)
        other = self_signed(load_key(new_key()), "rackwright other", utc_now()).encode()

        def written(**changed: object) -> Callable[[], None]:
            one = file.model_copy(update=changed)
            return lambda: write_keys(keys, one.keys, one.revoked)

        def back() -> None:
            keys.write_bytes(before)
            ca.write_bytes(certificate)

        yield "the valid key wasn't restored", written(keys=tuple(k for k in file.keys if k.sha256 != valid)), back
        gone = tuple(one for one in file.revoked if one.sha256 != revoked)
        yield "the revocation wasn't restored", written(revoked=gone), back
        yield "the CA isn't the one that issued the certificates", lambda: replace_file(ca, other, mode=0o644), back


def _line(check: Check) -> str:
    return f"{check.host}: {check.name}: {check.found}"[:160]


def run_sabotages(site: DrillSite) -> bool:
    """Recover once, try all sabotages, and return whether each was caught and none of the healthy rounds failed."""
    os.environ.update(site.operator.environment)
    with _recovered(site) as bench:
        count, healthy, false_alarms, missed = 0, 0, [*bench.doubts()], list[str]()
        print(f"healthy: {false_alarms or 'no doubt'}", flush=True)
        for what, caught in _rounds(bench):
            print(f"{'caught' if caught else 'MISSED'}: {what}: {'; '.join(caught[:2])}", flush=True)
            count += 1
            missed += [] if caught else [what]
            found = _settled(bench)
            healthy += not found
            false_alarms += found
            if found:
                print(f"FALSE ALARM after {what}: {'; '.join(found[:3])}", flush=True)
    noticed = count - len(missed)
    print(f"{noticed} of {count} sabotages caught; {healthy} healthy rounds, {len(false_alarms)} false alarms")
    return not missed and not false_alarms and count >= 25


def _rounds(bench: Bench) -> Iterator[tuple[str, list[str]]]:
    """Yield each sabotage and the doubts about it. It has been taken back by then."""
    for sabotage in SABOTAGES:
        with bench.sabotaged(sabotage):
            found = bench.doubts()
        yield f"{sabotage.host}: {sabotage.what}", found
    for what, spoil, back in bench.of_the_controller():
        spoil()
        try:
            found = bench.doubts()
        finally:
            back()
        yield what, found
    revoked = bench.drill.keys[1]
    assert revoked
    with (
        bench.drill.opened(bench.recovered.fleet) as session,
        session.gateways.temporary_key(sha256_of(revoked), id="sabotage", seconds=60),
    ):
        found = bench.doubts()
    yield "gate1: a revoked key is admitted", found


def _settled(bench: Bench) -> list[str]:
    """Return the doubts once what was stopped or changed had time to start again."""
    ends = time.monotonic() + 90
    while (found := bench.doubts()) and time.monotonic() < ends:
        time.sleep(2)
    return found


@contextmanager
def _recovered(site: DrillSite) -> Iterator[Bench]:
    from rackwright.cli.common.console import Console
    from rackwright.cli.common.context import hosts_needed
    from rackwright.cli.render.restore_plan import RestoreView
    from rackwright.lifecycle.backup.private_folder import private_folder
    from rackwright.lifecycle.drill.begin import new_record
    from rackwright.lifecycle.drill.evidence.chain import Chain

    hosts_needed()
    fleet = load_fleet(site.operator.path)
    scope, lock = scope_of(fleet, "everything"), read_lock(fleet.sibling("lock"))
    record = new_record(fleet, scope, Chain(()))
    view = RestoreView(quiet=True, fleet=fleet.file)
    with (
        Console(quiet=True, yes=True) as console,
        planned(fleet, lock, scope, record, open_session, console, view) as drill,
    ):
        work = Work(drill, record, RecordedConsole(console, record))
        proven = drill.guard.prove(take_over=True, drills={})
        with drill.guard.held(proven), private_folder() as folder:
            try:
                drill.guard.isolate(proven)
                record.timeline.declare_loss()
                recovery = Recovery(drill.opened, record, work.console, view, work.empty)
                kit = recovery.fetch(fleet, folder / "kit")
                yield Bench(site, drill, recovery.recover(kit, work.place()))
            finally:
                work.clean()
