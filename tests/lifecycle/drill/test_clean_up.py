"""What killed drills left on scratch hosts is wiped, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from rackwright.errors import FleetError, HostError, LeasedError, ProofError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.drill import clean
from rackwright.lifecycle.drill.clean import clean_up
from rackwright.lifecycle.drill.evidence.folder import folder_of, running
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker
from rackwright.values.targets import Target
from tests.fleet.test_load import GOOD
from tests.lifecycle.drill.drills import DRILL, NOON, own_fleet
from tests.lifecycle.drill.marked_host import MarkedHost
from tests.lifecycle.restore.kit_vault import Operator

LEFT = Marker(fleet="acme", drill=DRILL, who="anna", time=NOON)


class Hosts:
    """In place of Remote."""

    def __init__(self, **hosts: MarkedHost) -> None:
        self.hosts = hosts
        self.asked: list[str] = []

    def __call__(self, targets: Iterable[Target]) -> Hosts:
        self.asked = [target.name for target in targets]
        return self

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None: ...

    @property
    def names(self) -> list[str]:
        return self.asked

    def connection(self, name: str) -> MarkedHost:
        return self.hosts[name]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts(**{name: MarkedHost(name) for name in ("scratch1", "scratch2", "gate1", "gpu1", "gpu2")})
    made.hosts["scratch1"].marker = LEFT
    monkeypatch.setattr(clean, "Remote", made)
    return made


@pytest.fixture
def own(tmp_path: Path) -> Fleet:
    return own_fleet(tmp_path)


def test_a_marked_host_is_taken_wiped_and_opened_and_others_are_left_alone(own: Fleet, hosts: Hosts) -> None:
    console = Operator()
    assert clean_up(own, console) == ("scratch1",)
    assert hosts.asked == ["gate1", "gpu1", "gpu2", "scratch1", "scratch2"]
    assert all(hosts.hosts[name].steps == ["identity"] for name in own.hosts), "the fleet's own are only asked"
    assert hosts.hosts["scratch1"].steps == ["identity", "isolation", "claim", "sign", "wipe", "look", "lift"]
    assert hosts.hosts["scratch2"].steps == ["identity"]
    assert LEFT.sha256 in hosts.hosts["scratch1"].commands["claim"], "only that drill's marker is replaced"
    assert console.said == [f"scratch1: the drill {DRILL} of anna; its last sign is 4000 s old"]
    assert console.asked == ["Wipe scratch1?"]


def test_nothing_is_asked_if_no_host_has_a_marker(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].marker = None
    console = Operator()
    assert clean_up(own, console) == ()
    assert console.asked == []
    assert hosts.hosts["scratch1"].steps == ["identity"]
    assert hosts.hosts["gate1"].steps == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"same_as": "gpu1"}, "scratch1: has the machine ID of gpu1, a host of the fleet"),
        ({"same_as": "gpu1"}, "scratch1: has an SSH host key of gpu1, a host of the fleet"),
        ({"address": "10.0.0.12"}, "scratch1: has the address 10.0.0.12, gpu2's address"),
        ({"address": "10.0.0.22"}, "scratch1: has the address 10.0.0.22, the server of the repository far"),
        ({"same_as": "scratch2"}, "scratch1: is the same machine as scratch2"),
    ],
)
def test_a_machine_of_the_fleet_is_not_wiped_whatever_marker_it_has(
    own: Fleet, hosts: Hosts, changes: dict[str, str], said: str
) -> None:
    hosts.hosts["scratch2"].marker = LEFT
    for name, value in changes.items():
        setattr(hosts.hosts["scratch1"], name, value)
    console = Operator()
    with pytest.raises(ProofError) as refused:
        clean_up(own, console)
    assert said in str(refused.value)
    assert hosts.hosts["scratch1"].steps == ["identity", "isolation"]
    assert hosts.hosts["scratch2"].steps[-1] == "lift", "the other one is wiped"
    assert console.asked == ["Wipe scratch2?"]


SERVES = ("trace /etc/rackwright", "running rackwright-x@1.service", "listens 443")


def test_what_a_drill_left_is_isolated(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].more = SERVES
    assert clean_up(own, Operator()) == ("scratch1",)


def test_a_machine_that_serves_is_not_wiped_for_a_marker_that_stayed_on_it(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].more = SERVES
    hosts.hosts["scratch1"].isolated = False
    with pytest.raises(ProofError) as refused:
        clean_up(own, Operator())
    said = str(refused.value)
    assert f"rackwright has set it up, and the isolation of the drill {DRILL} isn't in force" in said
    assert "something listens on ports on which the fleet serves: 443" in said
    assert "remove /var/lib/rackwright-drill if it is in use" in said
    assert hosts.hosts["scratch1"].steps == ["identity", "isolation"]


def test_a_host_without_isolation_on_which_nothing_is_gets_rid_of_its_marker(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].isolated = False
    assert clean_up(own, Operator()) == ("scratch1",)


def test_a_host_of_the_fleet_that_is_down_is_known_by_its_pinned_key(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["gpu1"].failing = ("identity",)
    console = Operator()
    assert clean_up(own, console) == ("scratch1",)
    assert "gpu1 can't be asked (identity failed); scratch hosts were compared with it by its addresses only" in (
        console.said
    )


def test_another_fleets_drill_is_left_alone(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].marker = LEFT.model_copy(update={"fleet": "other"})
    assert clean_up(own, Operator()) == ()
    assert hosts.hosts["scratch1"].steps == ["identity"]


def test_nothing_is_changed_before_the_operator_agrees(own: Fleet, hosts: Hosts) -> None:
    with pytest.raises(RackwrightError, match="not confirmed"):
        clean_up(own, Operator(agrees=False))
    assert hosts.hosts["scratch1"].steps == ["identity", "isolation"]


def test_a_host_that_another_drill_takes_meanwhile_is_not_wiped(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].failing = ("claim",)
    with pytest.raises(HostError, match="claim failed"):
        clean_up(own, Operator())
    assert hosts.hosts["scratch1"].steps == ["identity", "isolation", "claim"]


def test_a_host_that_is_not_wiped_stays_isolated(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].remains = "left /srv/models/a\n"
    with pytest.raises(ProofError, match="is not wiped: left: /srv/models/a"):
        clean_up(own, Operator())
    assert "lift" not in hosts.hosts["scratch1"].steps


def test_one_that_is_wiped_is_opened_even_if_another_one_is_not(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch2"].marker = LEFT
    hosts.hosts["scratch1"].remains = "left /srv/models/a\n"
    with pytest.raises(ProofError, match="scratch1: is not wiped"):
        clean_up(own, Operator())
    assert "lift" not in hosts.hosts["scratch1"].steps
    assert "lift" in hosts.hosts["scratch2"].steps


def test_a_host_that_does_not_answer_does_not_keep_another_one_from_being_wiped(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch2"].failing = ("identity",)
    console = Operator()
    with pytest.raises(HostError, match="scratch2: identity failed"):
        clean_up(own, console)
    assert hosts.hosts["scratch1"].steps[-1] == "lift"
    assert console.said[-1] == "wiped: scratch1"


def test_without_a_host_to_wipe_the_one_that_does_not_answer_is_named(own: Fleet, hosts: Hosts) -> None:
    hosts.hosts["scratch1"].failing = ("identity",)
    with pytest.raises(HostError, match="scratch1: identity failed"):
        clean_up(own, Operator())


def test_the_hosts_of_a_drill_that_runs_here_are_left_alone(own: Fleet, hosts: Hosts) -> None:
    with (
        running(folder_of(own.path), DRILL),
        pytest.raises(LeasedError, match=f"the drill {DRILL} runs on this mach"),
    ):
        clean_up(own, Operator())
    assert hosts.hosts["scratch1"].steps == ["identity"]


def test_a_fleet_without_scratch_hosts_has_nothing_to_clean(tmp_path: Path, hosts: Hosts) -> None:
    with pytest.raises(FleetError, match="drill: missing"):
        clean_up(own_fleet(tmp_path, GOOD), Operator())
