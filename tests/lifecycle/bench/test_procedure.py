"""What is refused before anything is installed or asked; a full run is in tests/heavy/test_bench.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from rackwright.errors import RackwrightError, UsageError
from rackwright.lifecycle.bench import Listener, Wanted, bench
from rackwright.lifecycle.bench.load import Load
from rackwright.lifecycle.client.request import FromController, FromHost
from rackwright.lifecycle.session.session import Session
from tests.fleet.fleets import make_fleet


@dataclass
class Unreachable:
    """A site of which only the fleet file may be read."""

    fleet: Any


@pytest.fixture
def session(tmp_path) -> Session:
    return cast(Session, Unreachable(make_fleet(tmp_path / "site.yml", replicas={"gpu1": ["assistant@1"]})))


def said(text: str) -> None:
    raise AssertionError(text)


LISTENER = Listener(lambda _: None, said)


def test_a_replica_that_there_is_none_of_is_named_at_once(session):
    wanted = Wanted("assistant", Load(1, 1, 1, 1), replica="gpu9/assistant@1")
    with pytest.raises(UsageError, match=r"no such replica; there are: gpu1/assistant@1"):
        bench(session, FromController(), wanted, LISTENER)


def test_a_load_that_can_not_start_here_is_refused_at_once(session):
    with pytest.raises(RackwrightError, match="would have to come from host gpu1"):
        bench(session, FromHost(session, "gpu1"), Wanted("assistant", Load(1, 1, 1, 1)), LISTENER)
