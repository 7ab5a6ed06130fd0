"""A whole cutover under load, a rollback, and the fleet killed, by the clients' count and by the ledger.

Lab hosts: two gateways, one host with two replicas of the model, and one with the stand-in for the provider. Both
sides have real engines. Clients use `openai` with max_retries=0; every third request is a stream of 60 tokens. Each
part lasts until clients have had --least answers. All of it takes about 85 minutes on two cores.

Targets: no request is lost, and none is answered twice; of the fleet killed, the ledger has each request that failed;
no residual; a change of the share acts and is verified at all gateways within 2 s, and a rollback within 5 s, as a
command. The peer of a change is the same without any proof: one `ssh GATEWAY true` after another.

    python -m benchmarks.cutover [--least 5000] [--rollbacks 5] [--changes 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measure import keep
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.migrate.cutover.shares import Shares
from rackwright.lifecycle.migrate.place import open_place
from rackwright.lifecycle.rollout.change import SystemClock
from rackwright.lifecycle.session.session import open_session
from tests.heavy import test_migrate
from tests.heavy.migration_site import (
    GATEWAYS,
    SECRET,
    Clients,
    Site,
    clients,
    is_answered,
    migration_site,
    shares,
    sums,
    with_capacity,
)
from tests.lab.operator import Said
from tests.waiting import wait_until

CLIENTS, TOKENS = 8, 60
HOUR = 3600
CHANGE_SECONDS, ROLLBACK_SECONDS = 2.0, 5.0
REPLICAS = "rackwright-equal@1.service rackwright-equal@2.service"
_NAMES = ("accepted", "completed", "cancelled", "interrupted", "rejected")


@dataclass(frozen=True)
class Part:
    """One part of the run, from its first request to its last."""

    name: str
    answered: int
    failed: int
    """By the clients' count."""
    accepted: int
    completed: int
    cancelled: int
    interrupted: int
    rejected: int
    """By the ledger."""
    twice: int
    """Prompts that the cloud got more than once."""

    @property
    def lost(self) -> int:
        """Return the requests of which the clients and the ledger don't say the same."""
        gone = self.interrupted + self.rejected
        ended = self.completed + self.cancelled + gone
        return abs(self.accepted - self.answered - self.failed) + abs(self.accepted - ended) + abs(self.failed - gone)


@dataclass
class Scene:
    site: Site
    least: int
    rollbacks: list[float] = field(default_factory=list)
    """How long each command took."""
    changed: int = 0
    """How often the share was changed by this script."""

    def part(self, name: str, act: Callable[[Clients], None]) -> Part:
        """Let clients ask during the act, and go on until they have had enough answers."""
        before, arrived = sums(self.site), self.site.cloud.asked()
        with clients(self.site, CLIENTS, tokens=TOKENS) as asking:
            act(asking)
            while asking.answered < self.least:
                time.sleep(0.5)
        after = sums(self.site)
        grown = sum((after[side] - before.get(side, Counter()) for side in after), Counter[str]())
        more = self.site.cloud.asked() - arrived
        # Replays ask redacted prompts.
        twice = sum(count - 1 for prompt, count in more.items() if SECRET in prompt)
        ledger = {one: grown[one] for one in _NAMES}
        part = Part(name, asking.answered, asking.failed, **ledger, twice=twice)
        print(part, file=sys.stderr)
        return part

    def cut_over(self, *words: str, check: int | None = 0) -> Said:
        argv = ("migrate", "cutover", "support", "--execute", "--yes", "--json", *words)
        return self.site.operator(*argv, check=check, timeout=HOUR)

    def roll_back(self) -> None:
        began = time.perf_counter()
        assert self.site.migrate("rollback", "support")["missed"] == {}
        self.rollbacks.append(time.perf_counter() - began)
        print(f"rollback: {self.rollbacks[-1]:.2f} s", file=sys.stderr)

    def try_the_way_back(self) -> None:
        """Roll back once, without which not all conversations may go to the fleet."""
        with clients(self.site, CLIENTS):
            assert "the way back was not tried in this migration" in self.cut_over(check=12).err
            self.roll_back()

    def whole(self, _: Clients) -> None:
        assert self.cut_over("--from", "50").code == 0

    def back(self, asking: Clients) -> None:
        """Roll back midway: the fleet answers the first half of the requests."""
        self._half(asking)
        self.roll_back()

    def kill(self, asking: Clients) -> None:
        """Kill both replicas midway, while half of the conversations are theirs."""
        # No gate may let the share grow before.
        _edit_plan(self.site, "min_requests: 20", f"min_requests: {self.least}")
        found: list[Said] = []
        running = threading.Thread(target=lambda: found.append(self.cut_over("--from", "50", check=None)))
        running.start()
        wait_until(lambda: set(shares(self.site).values()) == {50})
        self._half(asking)
        self.site.lab.exec("gpu1", f"systemctl kill -s KILL {REPLICAS}; systemctl stop {REPLICAS}")
        running.join(HOUR)
        (said,) = found
        assert said.code == 12, said
        assert "the cloud answers all requests again" in said.err

    def _half(self, asking: Clients) -> None:
        while asking.answered < self.least / 2:
            time.sleep(0.5)

    def changes(self, count: int) -> tuple[list[float], list[float]]:
        """Change the share so often; return how long each change took, and each peer."""
        ours, theirs, follows = [], [], ""
        with open_session(load_fleet(self.site.operator.path)) as session:
            place = open_place(session, "support", _Quiet())  # type: ignore[arg-type]
            given = Shares(place, SystemClock())
            given.look()
            for _ in range(count):
                step, share = f"bench{self.changed}", (25.0, 50.0)[self.changed % 2]
                began = time.perf_counter()
                given.give(share, step, follows, {})
                ours.append(time.perf_counter() - began)
                print(f"change: {ours[-1]:.2f} s", file=sys.stderr)
                follows, self.changed = step, self.changed + 1
                theirs.append(self._peer())
        return ours, theirs

    def changes_and_rollbacks(self, changes: int, rollbacks: int) -> tuple[list[float], list[float]]:
        """Change the share so often in each of so many rounds, under load; each round ends with a rollback."""
        ours, theirs = [], []
        with clients(self.site, CLIENTS, tokens=TOKENS):
            for _ in range(rollbacks):
                more, peers = self.changes(changes)
                ours += more
                theirs += peers
                self.roll_back()
        return ours, theirs

    def _peer(self) -> float:
        fleet = self.site.lab.fleet()
        options = ("-o", f"UserKnownHostsFile={fleet.known_hosts}", "-o", "BatchMode=yes", "-i", str(fleet.key))
        began = time.perf_counter()
        for host in GATEWAYS:
            subprocess.run(["ssh", *options, f"{fleet.user}@{fleet.hosts[host]}", "true"], check=True)
        return time.perf_counter() - began


class _Quiet:
    def say(self, _: str) -> None: ...


@contextmanager
def ready() -> Iterator[Site]:
    """Yield a site whose migration has all that a cutover needs."""
    with tempfile.TemporaryDirectory(prefix="rw-cutover-") as text:
        folder, shown = Path(text, "site"), Path(text, "cloud")
        folder.mkdir()
        shown.mkdir()
        with migration_site(folder, shown) as site:
            _add_a_replica(site)
            test_migrate.test_a_client_changes_its_url_and_key_and_the_cloud_still_answers(site)
            test_migrate.test_what_the_fleet_ignores_blocks_until_it_is_waived(site)
            # Clients keep both sides busy, so a step waits longer for the answers that are scored.
            _edit_plan(site, "max_duration: 600s", f"max_duration: {HOUR}s")
            site.migrate("replay", "support", "--yes")
            site.migrate("score", "support", "--yes")
            site.operator("backup", "run")
            wait_until(lambda: site.operator("status", check=None).code == 0)
            site.said("capacity", "support", "--seconds", "10", check=None)
            with_capacity(site)
            os.environ.update(site.operator.environment)
            yield site


def _edit_plan(site: Site, old: str, new: str) -> None:
    path = site.operator.path.with_name("test.migrate-support.yml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _add_a_replica(site: Site) -> None:
    path = site.operator.path
    path.write_text(path.read_text().replace("replicas: 1", "replicas: 2", 1))
    site.operator("lock")
    site.operator("apply", "--yes", timeout=600)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--least", type=int, default=5000, help="answers in each part")
    parser.add_argument("--rollbacks", type=int, default=5)
    parser.add_argument("--changes", type=int, default=3, help="changes of the share before each rollback")
    options = parser.parse_args()
    with ready() as site:
        scene = Scene(site, options.least)
        scene.try_the_way_back()
        ours, theirs = scene.changes_and_rollbacks(options.changes, options.rollbacks)
        parts = [scene.part("cutover", scene.whole), scene.part("rollback", scene.back)]
        parts.append(scene.part("fleet killed", scene.kill))
        site.lab.exec("gpu1", f"systemctl start {REPLICAS}")
        wait_until(lambda: is_answered(site.through_gateway()))
    kept = {"parts": [asdict(one) for one in parts], "change": ours, "peer": theirs, "rollback": scene.rollbacks}
    keep("cutover", kept)
    return 0 if _met(parts, ours, theirs, scene.rollbacks) else 1


def _met(parts: list[Part], ours: list[float], theirs: list[float], rollbacks: list[float]) -> bool:
    for one in parts:
        print(
            f"{one.name}: {one.answered} answered, {one.failed} failed; ledger: {one.accepted} accepted, "
            f"{one.completed} completed, {one.cancelled} cancelled, {one.interrupted} interrupted, {one.rejected} "
            f"rejected; lost {one.lost}, twice {one.twice}"
        )
    change, peer = statistics.median(ours), statistics.median(theirs)
    print(
        f"a change of the share: {change:.2f} s (most {max(ours):.2f}); peer {peer:.2f} s, ratio {change / peer:.1f}"
    )
    print(f"a rollback: {statistics.median(rollbacks):.2f} s (most {max(rollbacks):.2f})")
    whole = all(one.lost == one.twice == 0 for one in parts) and not any(one.failed for one in parts[:2])
    return whole and max(ours) <= CHANGE_SECONDS and max(rollbacks) <= ROLLBACK_SECONDS


if __name__ == "__main__":
    raise SystemExit(main())
