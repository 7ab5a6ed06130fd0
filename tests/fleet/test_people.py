"""Which people in the fleet file may log in to which host."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from rackwright.fleet.hosts.compose import host_specs
from tests.fleet.fleets import make_fleet
from tests.wheel_plan import lock

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d"
TODAY = datetime.now(UTC).date()


@pytest.fixture
def let_in(tmp_path):
    def of(**person: object) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        people = {"anna": {"role": "operator", "keys": [f"{KEY}  anna"], **person}}
        hosts = {name: {"address": f"10.0.0.{last}"} for last, name in enumerate(("gate1", "gate2", "gpu1"), 9)}
        fleet = make_fleet(
            tmp_path / "site.yml",
            replicas={"gpu1": ["tiny@1"]},
            hosts=hosts,
            people=people,
            groups={"second": ["gate2"]},
        )
        models = host_specs(fleet, lock(fleet))
        return {
            name: (model.people.names, model.people.left_alone) for name, model in models.items() if name != "gpu1"
        }

    return of


IN, OUT, ALONE = (("anna",), ()), ((), ()), ((), ("anna",))


@pytest.mark.parametrize(
    ("person", "gate1", "gate2"),
    [
        ({}, IN, IN),
        ({"on": "gate1"}, IN, OUT),
        ({"on": "second"}, OUT, IN),
        ({"on": ["gate1", "second"]}, IN, IN),
        ({"until": TODAY}, IN, IN),
        ({"until": TODAY - timedelta(days=1)}, OUT, OUT),
        ({"manage": "no"}, ALONE, ALONE),
        ({"manage": "no", "on": "gate1"}, ALONE, OUT),
        ({"manage": "no", "until": date(2020, 1, 1)}, ALONE, ALONE),
    ],
)
def test_who_is_let_in_where_and_until_when(let_in, person, gate1, gate2):
    assert let_in(**person) == {"gate1": gate1, "gate2": gate2}


def test_a_key_says_whose_it_is(tmp_path):
    fleet = make_fleet(tmp_path / "site.yml", people={"anna": {"role": "operator", "keys": [KEY]}})
    assert fleet.person_of("SHA256:cry1T4Qa/BQZdYhE4adN9URYMc5vUfHJGew3gR4KMhQ") == "anna"
    assert fleet.person_of("SHA256:else") is None
