"""The only gateway goes down only if every model that has replicas may be unavailable: without it, none answers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout import engine_changes
from rackwright.lifecycle.rollout.engine_changes import roll
from rackwright.lifecycle.rollout.outage_needs import outage_needs
from tests.lifecycle.patch.seen import two_hosts


@pytest.mark.parametrize(
    ("models", "outages", "allowed"),
    [
        (("assistant", "small"), ("assistant",), False),
        (("assistant", "small"), ("small", "assistant"), True),
        (("assistant",), (), False),
        # A model that no host serves can't become unavailable. What must be allowed before a run doesn't name it.
        (("assistant", "small", "planned"), ("assistant", "small"), True),
        (("planned",), (), True),
        ((), (), True),
    ],
)
def test_it_needs_the_outage_of_every_model_that_is_served(
    monkeypatch: pytest.MonkeyPatch, models: tuple[str, ...], outages: tuple[str, ...], allowed: bool
) -> None:
    """What is allowed here is what an unattended run must be allowed before it starts."""
    seen: list[bool] = []
    monkeypatch.setattr(
        engine_changes, "GatewayTraffic", lambda *_, allow_outage: seen.append(allow_outage) or SimpleNamespace()
    )
    monkeypatch.setattr(engine_changes, "Rollout", lambda **_: SimpleNamespace(run=lambda *_: None))
    made = two_hosts()
    placed = tuple(Replica(model, 1, "gpu1", 0) for model in models if model != "planned")
    fleet = replace(made, file=made.file.model_copy(update={"routed": dict.fromkeys(models)}), replicas=placed)
    session: Any = SimpleNamespace(fleet=fleet)
    owner = SimpleNamespace(who="anna", why="patch run")
    lease_session: Any = SimpleNamespace(lease=SimpleNamespace(owner=owner), run="r1")
    console: Any = SimpleNamespace(say=lambda _: None)
    roll(session, lease_session, (), console, stopping=lambda: False, outages=outages)
    assert seen == [allowed]
    needs = outage_needs(fleet, {}, (), ("gate1",))
    assert allowed is ({need.model for need in needs} <= {*outages})
