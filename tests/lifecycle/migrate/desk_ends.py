"""A desk whose cloud and fleet are stand-ins on loopback, reached without gateways."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import RackwrightError
from rackwright.lifecycle.migrate import assess
from rackwright.lifecycle.migrate.replay import gateway_lanes, procedure
from rackwright.lifecycle.migrate.replay.lane import Lane, Pace
from rackwright.lifecycle.migrate.replay.sender import gateway_sender
from rackwright.migrate.folder import Folder
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.migrate.side import Side
from tests.lifecycle.migrate.desks import IDENTITY, Desk
from tests.lifecycle.migrate.ends import Ends, FixedKey
from tests.loopback_tls import bundle
from tests.stand_in_cloud import KEY


@dataclass
class DeskEnds:
    desk: Desk
    ends: Ends

    def record(self, *requests: RecordedRequest) -> None:
        Folder(self.desk.records, str(IDENTITY.to_public())).write(
            "requests", [one.model_dump_json() for one in requests]
        )


def desk_with_ends(desk: Desk, ends: Ends, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> DeskEnds:
    """Let the desk's plan and its commands, and these modules, reach the two ends."""
    url = ends.cloud.url.replace("127.0.0.1", "localhost") + "/v1"
    text = desk.path.read_text().replace("https://api.openai.com/v1", url)
    text = text.replace('key: "file', 'ca: ca.pem\n    key: "file').replace("[assistant, gpt-4o-mini]", "[assistant]")
    text = text.replace("gateway:", "  chat: {cloud: openai, names: [gpt-4o-mini]}\ngateway:")
    desk.path.write_text(text)
    shutil.copy(bundle(), desk.folder / "ca.pem")
    (desk.folder / "provider-key").write_text(KEY)
    ends.fleet.models = {"assistant": {}}

    @contextmanager
    def lane_to(session: object, side: Side, pace: Pace, *, connections: int) -> Iterator[Lane]:
        door = ends.door(ends.cloud if side == "cloud" else ends.fleet)
        with gateway_sender(door, connections=connections, seconds=30) as sender:
            yield Lane(side, sender, FixedKey(), pace)

    for module in (assess, gateway_lanes, *modules):
        monkeypatch.setattr(module, "lane_to", lane_to)
    monkeypatch.setattr(procedure, "require_client_here", lambda session: None)
    return DeskEnds(desk, ends)


class Agreeing(SimpleNamespace):
    """A console whose operator agrees, or refuses."""

    def __init__(self, *, agrees: bool = True) -> None:
        super().__init__(agrees=agrees, said=[], asked=[])

    def say(self, text: str) -> None:
        self.said.append(text)

    def heard(self) -> None: ...

    def confirm(self, question: str, **_: Any) -> None:
        self.asked.append(question)
        if not self.agrees:
            raise RackwrightError("not confirmed, nothing was changed")
