"""The only gateway of a fleet goes down only if every model may be without a replica: without it, none answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.lifecycle.rollout import engine_changes
from rackwright.lifecycle.rollout.engine_changes import roll
from tests.lifecycle.patch.seen import two_hosts


@pytest.mark.parametrize(
    ("models", "outages", "allowed"),
    [
        (("assistant", "small"), ("assistant",), False),
        (("assistant", "small"), ("small", "assistant"), True),
        (("assistant",), (), False),
        ((), (), False),
    ],
)
def test_it_needs_the_outage_of_every_model(
    monkeypatch: pytest.MonkeyPatch, models: tuple[str, ...], outages: tuple[str, ...], allowed: bool
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(
        engine_changes, "GatewayTraffic", lambda *_, allow_outage: seen.append(allow_outage) or SimpleNamespace()
    )
    monkeypatch.setattr(engine_changes, "Rollout", lambda **_: SimpleNamespace(run=lambda *_: None))
    fleet = two_hosts()
    file = fleet.file.model_copy(update={"models": dict.fromkeys(models)})
    session: Any = SimpleNamespace(fleet=SimpleNamespace(file=file))
    owner = SimpleNamespace(who="anna", why="patch run")
    lease_session: Any = SimpleNamespace(lease=SimpleNamespace(owner=owner), run="r1")
    console: Any = SimpleNamespace(say=lambda _: None)
    roll(session, lease_session, (), console, stopping=lambda: False, outages=outages)
    assert seen == [allowed]
