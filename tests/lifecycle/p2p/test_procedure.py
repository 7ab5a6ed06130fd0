"""The procedure, over stand-ins for hosts: which host gets what from which, and what remains after a failure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.errors import HostError, SecretError
from rackwright.lifecycle.p2p.procedure import Transferred, transfer
from rackwright.lifecycle.p2p.transfer import Has
from rackwright.lifecycle.p2p.unit import Status
from rackwright.roles.model_store.settings import Settings as ModelStore
from tests.lifecycle.p2p.hosts import DONE, FILE, MODEL, Console, Issuer, World

WHOLE, NOTHING = Has(whole=True), Has(free=10**12)
HALF = Status("receiving", FILE.size // 2, 10_000_000)


def run(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    console: Console | None = None,
    *,
    first: str | None = None,
    fetched: bool = True,
    **stores: ModelStore,
) -> tuple[tuple[Transferred, ...], list[str]]:
    """Return what was transferred, and which host fetched it first."""
    world.install(monkeypatch)
    fetches: list[str] = []

    def fetch(host: str) -> bool:
        fetches.append(host)
        return fetched

    session = world.session(first, **stores)
    return transfer(session, session.hosts, console or Console(), lambda: False, fetch), fetches  # type: ignore[arg-type]


def test_one_host_fetches_and_the_others_get_it_from_host_to_host(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dict.fromkeys("abc", NOTHING), {"b": [HALF, DONE], "c": [HALF, HALF, DONE]})
    console = Console()
    (transferred,), fetches = run(world, monkeypatch, console)
    assert fetches == ["a"]
    assert world.started == ["a", "b", "c"]
    assert (transferred.first, transferred.failed, transferred.bytes) == ("a", {}, FILE.size)
    assert transferred.seconds == {"b": 1, "c": 3}
    assert world.ended == {"a": "clean", "b": "place", "c": "place"}
    assert ("b", FILE.size // 2, FILE.size, 10_000_000) in console.seen
    assert console.said.count("a: reading 0.10 GB") == 1


def test_every_host_has_a_certificate_of_its_own_for_this_transfer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for _ in range(2):
        world = World(dict.fromkeys("ab", NOTHING), {"b": [DONE]})
        run(world, monkeypatch)
        names.append(world.issuer.names)
    assert [len(issued) for issued in names] == [2, 2]
    assert len({name for issued in names for name in issued}) == 2


def test_a_host_that_has_the_files_passes_them_on_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": NOTHING, "b": WHOLE, "c": WHOLE}, {"a": [DONE]})
    (transferred,), fetches = run(world, monkeypatch, first="a")
    assert (transferred.first, fetches, world.started) == ("b", [], ["b", "a"])


def test_the_fleet_file_says_who_fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dict.fromkeys("abc", NOTHING), {"a": [DONE], "b": [DONE]})
    (transferred,), fetches = run(world, monkeypatch, first="c")
    assert (transferred.first, fetches) == ("c", ["c"])


@pytest.mark.parametrize("has", [{"a": WHOLE, "b": WHOLE}, {"a": NOTHING}, {"a": WHOLE}])
def test_nothing_is_transferred_where_no_host_lacks_it_or_none_can_share_it(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, Has | HostError]
) -> None:
    world = World(has, {})
    assert run(world, monkeypatch) == ((), [])
    assert world.started == []


def test_where_the_first_can_not_fetch_each_fetches_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    world, console = World(dict.fromkeys("ab", NOTHING), {}), Console()
    assert run(world, monkeypatch, console, fetched=False)[0] == ()
    assert world.started == []
    assert console.said == [
        "assistant dddddddddddddddd: a could not fetch it, so each host fetches it from the source"
    ]


def test_a_host_that_is_out_of_reach_or_lacks_room_is_named_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has: dict[str, Has | HostError] = {"a": WHOLE, "b": HostError("no answer"), "c": Has(free=1), "d": NOTHING}
    world = World(has, {"d": [DONE]})
    (transferred,), _ = run(world, monkeypatch)
    assert world.started == ["a", "d"]
    assert transferred.failed == {"b": "no answer", "c": "has 0.00 GB free, should have 0.37 GB"}
    assert list(transferred.seconds) == ["d"]


def test_a_host_that_dies_is_given_up_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(
        {"a": WHOLE, "b": NOTHING, "c": NOTHING},
        {"b": [HALF, HostError("no answer")], "c": [DONE]},
        lost_in_the_end=("b",),
    )
    (transferred,), _ = run(world, monkeypatch)
    assert transferred.failed == {"b": "no answer"}
    assert 30 < world.seconds < 40
    assert world.ended == {"a": "clean", "c": "place"}


def test_a_short_loss_of_the_connection_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[Status | HostError] = [HostError("no answer")] * 20
    world = World({"a": WHOLE, "b": NOTHING}, {"b": [HALF, *lost, DONE]})
    (transferred,), _ = run(world, monkeypatch)
    assert transferred.failed == {}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (Status("ended", why="disk full"), "disk full"),
        (Status("failed", why="sha256 is x, should be y"), "sha256 is x, should be y"),
    ],
)
def test_what_a_unit_ended_with_is_told_and_room_is_made_for_its_own_fetch(
    monkeypatch: pytest.MonkeyPatch, told: Status, why: str
) -> None:
    world, console = World({"a": WHOLE, "b": NOTHING}, {"b": [HALF, told]}), Console()
    (transferred,), _ = run(world, monkeypatch, console)
    assert transferred.failed == {"b": why}
    assert world.ended == {"a": "clean", "b": "give_up"}
    assert f"b: assistant dddddddddddddddd didn't arrive: {why}" in console.said


def test_one_to_which_nothing_comes_while_others_are_done_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": WHOLE, "b": NOTHING, "c": NOTHING}, {"b": [DONE], "c": [HALF]})
    (transferred,), _ = run(world, monkeypatch)
    assert list(transferred.failed) == ["c"]
    assert "has received nothing for 6" in transferred.failed["c"]


def test_where_a_unit_does_not_start_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": WHOLE, "b": NOTHING, "c": NOTHING}, {"c": [DONE]}, refuses=("b",))
    (transferred,), _ = run(world, monkeypatch)
    assert transferred.failed == {"b": "no libtorrent"}
    assert list(transferred.seconds) == ["c"]


def test_without_the_first_one_s_unit_no_host_is_asked_and_each_fetches_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World({"a": WHOLE, "b": NOTHING}, {}, refuses=("a",))
    (transferred,), _ = run(world, monkeypatch)
    assert transferred.failed == {"b": "a, which the others copy from: no libtorrent"}


def test_without_the_ca_s_key_each_fetches_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without(Issuer):
        def issue(self, names: tuple[str, ...], *, client: bool, days: int) -> None:  # type: ignore[override]
            raise SecretError("the CA's key isn't here", where="ca.key")

    world, console = World({"a": WHOLE, "b": NOTHING}, {}, issuer=Without()), Console()
    (transferred,), _ = run(world, monkeypatch, console)
    assert transferred.failed == {"b": "no certificate"}
    assert "each host fetches it from the source: ca.key: the CA's key isn't here" in console.said[-1]
    assert world.started == []


def test_one_that_can_not_put_it_in_place_has_not_got_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": WHOLE, "b": NOTHING}, {"b": [DONE]}, lost_in_the_end=("b",))
    (transferred,), _ = run(world, monkeypatch)
    assert (transferred.seconds, transferred.failed) == ({}, {"b": "unreachable"})


def test_ctrl_c_ends_the_units_and_leaves_what_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": WHOLE, "b": NOTHING}, {"b": [HALF]})
    world.install(monkeypatch)
    session = world.session()
    asked = iter([False] * 5 + [True] * 100)
    transfer(session, session.hosts, Console(), lambda: next(asked), lambda _: True)  # type: ignore[arg-type]
    assert world.ended == {"a": "clean", "b": "stop"}


def test_a_slow_host_goes_behind_and_those_that_move_up_ask_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = replace(HALF, bytes=10_000_000)
    world = World(
        {"a": WHOLE, "b": NOTHING, "c": NOTHING, "d": NOTHING},
        {"b": [DONE], "c": [slow, slow, DONE], "d": [slow, DONE]},
    )
    run(world, monkeypatch)
    assert world.asked["d"] == ["10.0.0.2", "10.0.0.1"]
    assert world.asked["c"] == ["10.0.0.4", "10.0.0.2", "10.0.0.1"]


def test_two_models_of_the_same_files_are_transferred_separately(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ModelStore(models=(MODEL, MODEL.model_copy(update={"name": "coder"})))
    world = World(dict.fromkeys("ab", NOTHING), {"b": [DONE]})
    transferred, _ = run(world, monkeypatch, a=both, b=both)
    assert [one.model for one in transferred] == ["assistant", "coder"]


def test_a_writer_whose_shared_folder_is_not_mounted_takes_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": WHOLE, "b": replace(NOTHING, mounted=False), "c": NOTHING}, {"c": [DONE]})
    (transferred,), _ = run(world, monkeypatch, b=ModelStore(models=(MODEL,), shared=True))
    assert list(transferred.failed) == ["b"]
    assert "should be mounted" in transferred.failed["b"]


def test_a_host_that_only_reads_a_shared_folder_takes_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"a": WHOLE, "b": NOTHING, "c": NOTHING}, {"b": [DONE]})
    reader = ModelStore(models=(MODEL.model_copy(update={"writer": "b"}),))
    (transferred,), _ = run(world, monkeypatch, c=reader)
    assert world.started == ["a", "b"]
    assert transferred.failed == {}
