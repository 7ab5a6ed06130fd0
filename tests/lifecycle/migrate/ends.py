"""A cloud and a fleet for tests of replays: two stand-ins over TLS on loopback, a plan, and a folder of requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pyrage

from rackwright.lifecycle.migrate.replay.lane import Lane, Pace
from rackwright.lifecycle.migrate.replay.prepare import Prepared, prepare
from rackwright.lifecycle.migrate.replay.replay import Replay
from rackwright.lifecycle.migrate.replay.sender import Door, gateway_sender
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.asking.way import Way, way_of
from rackwright.migrate.folder import Folder
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.replayed_answer import Asked, ReplayedAnswer
from rackwright.migrate.side import Side
from rackwright.values.secrets import Secret
from tests.loopback_tls import bundle, server_files
from tests.stand_in_cloud import KEY, StandInCloud, stand_in_cloud

IDENTITY = pyrage.x25519.Identity.generate()


def plan_of(**replay: object) -> Plan:
    document = {
        "format": "migration-plan/1",
        "migration": "leave",
        "intent": "tests",
        "cloud": "openai",
        "models": {"gpt-4o-mini": "chat", "gpt-4o": "big"},
        "records": {"recipient": str(IDENTITY.to_public()), "identity": "env:AGE"},
        "replay": {"budget": 100, **replay},
        "currency": "EUR",
        "prices": {"gpt-4o-mini": {"input": 1, "output": 10}, "gpt-4o": {"input": 10, "output": 100}},
    }
    return Plan.model_validate(document)


def folder_at(path: Path) -> Folder:
    return Folder(path, str(IDENTITY.to_public()), Secret(str(IDENTITY)))


def request(number: int, *, model: str = "gpt-4o-mini", day: int = 0, **body: object) -> RecordedRequest:
    words = [{"role": "user", "content": f"Question {number}"}]
    return RecordedRequest.model_validate(
        {
            "id": f"r{number}",
            "arrived": 86_400.0 * (20_000 + day),
            "path": "/v1/chat/completions",
            "model": model,
            "body": {"model": model, "messages": words, "max_tokens": 100, **body},
            "origin": "jsonl",
        }
    )


class FixedKey:
    """The stand-in's own key."""

    def __init__(self, *keys: str) -> None:
        self.keys = [Secret(key) for key in keys or (KEY,)]
        self.refused: list[Secret] = []

    def current(self) -> Secret:
        return self.keys[0]

    def instead_of(self, refused: Secret) -> Secret:
        self.refused.append(refused)
        return self.keys[-1]


@dataclass
class Ends:
    """Both ends, and what was noted."""

    cloud: StandInCloud
    fleet: StandInCloud
    folder: Folder
    notes: list[tuple[str, Outcome]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    seconds: float = 30
    way: Way | None = None
    otherwise: float = 0.0

    @property
    def noted(self) -> Outcome | None:
        return self.notes[-1][1] if self.notes else None

    def record(self, requests: Iterable[RecordedRequest]) -> None:
        self.folder.write("requests", [one.model_dump_json() for one in requests])

    def prepared(self, plan: Plan) -> Prepared:
        return prepare(plan, self.folder, self.noted, self.way or way_of(plan, None), otherwise=self.otherwise)

    @contextmanager
    def replaying(self, plan: Plan, pace: Pace | None = None, keys: FixedKey | None = None) -> Iterator[Replay]:
        to_cloud = gateway_sender(self.door(self.cloud), connections=8, seconds=self.seconds)
        to_fleet = gateway_sender(self.door(self.fleet), connections=8, seconds=self.seconds)
        with to_cloud as cloud_sender, to_fleet as fleet_sender:
            pace, keys = pace or Pace(), keys or FixedKey()
            lanes: Mapping[Side, Lane] = {
                "cloud": Lane("cloud", cloud_sender, keys, pace),
                "fleet": Lane("fleet", fleet_sender, FixedKey(), pace),
            }
            names = {"gpt-4o-mini": "chat", "gpt-4o": "big"}
            yield Replay(plan, self.folder, names, lanes, self.note, self.said.append)

    def note(self, what: str, outcome: Outcome) -> None:
        self.notes.append((what, outcome))

    def run(self, plan: Plan, pace: Pace | None = None, keys: FixedKey | None = None) -> Outcome:
        with self.replaying(plan, pace, keys) as replay:
            return replay.run(self.prepared(plan))

    def answers(self, asked: Asked) -> list[ReplayedAnswer]:
        return [ReplayedAnswer.model_validate_json(line) for line in self.folder.read(f"answers-{asked}")]

    def door(self, end: StandInCloud) -> Door:
        return Door("127.0.0.1", "localhost", Path(bundle()).read_text(), urlsplit(end.url).port or 0)


@contextmanager
def running_ends(path: Path) -> Iterator[Ends]:
    with stand_in_cloud(*server_files()) as cloud, stand_in_cloud(*server_files()) as fleet:
        fleet.models = {"chat": {}, "big": {}}
        yield Ends(cloud, fleet, folder_at(path))
