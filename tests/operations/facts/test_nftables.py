from __future__ import annotations

from rackwright.operations.facts.nftables import FIREWALL, Filter, FilterState

_TABLE = "table inet rackwright {\n}\n"


def told(**printed: str) -> Filter:
    return FilterState().process([f"{key}={line}" for key, text in printed.items() for line in text.splitlines()])


def unit(name: str, active: str, file: str) -> list[str]:
    return [f"Id={name}", f"ActiveState={active}", f"UnitFileState={file}", ""]


def test_a_table_as_it_was_loaded_acts() -> None:
    state = told(listed=_TABLE, live=f"# abc\n{_TABLE}")
    assert state == Filter(listed=_TABLE, loaded="abc", remembered=_TABLE)
    assert state.acts("abc")
    assert not state.acts("def")


def test_a_table_changed_by_hand_does_not_act() -> None:
    assert not told(listed="table inet rackwright {\nmore\n}\n", live=f"# abc\n{_TABLE}").acts("abc")


def test_a_table_that_is_gone_does_not_act() -> None:
    assert not told(live=f"# abc\n{_TABLE}").acts("abc")
    assert not FilterState.default().acts("abc")


def test_others_are_told_apart_by_now_and_at_boot() -> None:
    units = [*unit(FIREWALL.timer, "active", ""), *unit("ufw.service", "active", "enabled")]
    firewalld = unit("firewalld.service", "inactive", "enabled")
    state = FilterState().process(["ufw=yes", *units, *firewalld])
    assert (state.pending, state.active, state.enabled) == (True, ("ufw",), ("ufw", "firewalld"))


def test_an_active_ufw_service_is_nothing_while_ufw_itself_is_off() -> None:
    state = FilterState().process([*unit(FIREWALL.timer, "inactive", ""), *unit("ufw.service", "active", "enabled")])
    assert (state.pending, state.active, state.enabled) == (False, (), ())
