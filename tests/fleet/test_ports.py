from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rackwright.fleet.lock import Lock
from rackwright.fleet.ports import assign_ports
from tests.fleet.fleets import make_fleet


def lock(ports: dict[str, dict[str, int]]) -> Lock:
    return Lock(fleet="acme", models={}, runtimes={}, ports=ports)


def test_ports_start_at_8100_on_each_host(tmp_path):
    fleet = make_fleet(tmp_path / "f.yml", replicas={"gpu1": ["a@1", "a@2"], "gpu2": ["a@1"]})
    assert assign_ports(fleet, None) == {"gpu1": {"a@1": 8100, "a@2": 8101}, "gpu2": {"a@1": 8100}}


def test_a_replica_keeps_its_port_and_a_new_one_takes_the_lowest_that_no_other_had(tmp_path):
    fleet = make_fleet(tmp_path / "f.yml", replicas={"gpu1": ["b@1", "a@2", "c@1"]})
    previous = lock({"gpu1": {"a@1": 8101, "a@2": 8102}})
    locked = assign_ports(fleet, previous)
    assert locked == {"gpu1": {"a@2": 8102, "b@1": 8100, "c@1": 8103}}
    # In the lock after that one, the port of a@1 is free.
    fleet = make_fleet(tmp_path / "f.yml", replicas={"gpu1": ["b@1", "a@2", "c@1", "d@1"]})
    assert assign_ports(fleet, lock({"gpu1": dict(locked["gpu1"])}))["gpu1"]["d@1"] == 8101


def test_a_host_that_is_out_keeps_its_ports(tmp_path):
    hosts = {"gate1": {"address": "10.0.0.9"}, "gpu1": {"address": "10.0.0.1", "disabled": "RMA 4711"}}
    fleet = make_fleet(tmp_path / "f.yml", replicas={"gate1": ["a@1"]}, hosts=hosts)
    previous = lock({"gpu1": {"a@1": 8103}})
    assert assign_ports(fleet, previous) == {"gate1": {"a@1": 8100}, "gpu1": {"a@1": 8103}}


NAMES = st.lists(st.sampled_from([f"{model}@{n}" for model in "abc" for n in (1, 2, 3)]), unique=True, min_size=1)


@given(first=NAMES, second=NAMES)
def test_no_port_moves_and_none_is_given_twice(tmp_path_factory, first, second):
    path = tmp_path_factory.getbasetemp() / "f.yml"
    before = assign_ports(make_fleet(path, replicas={"gpu1": first}), None)["gpu1"]
    after = assign_ports(make_fleet(path, replicas={"gpu1": second}), lock({"gpu1": dict(before)}))["gpu1"]
    assert sorted(after) == sorted(second)
    assert len(set(after.values())) == len(after)
    assert all(after[name] == before[name] for name in set(first) & set(second))
