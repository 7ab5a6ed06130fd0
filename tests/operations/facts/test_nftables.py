from __future__ import annotations

from base64 import b64encode

from rackwright.operations.facts.nftables import Filter, FilterState

_TABLE = "table inet rackwright {\n}\n"


def told(**printed: str) -> Filter:
    return FilterState().process([f"{key}={value}" for key, value in printed.items()])


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_a_table_as_it_was_loaded_acts() -> None:
    state = told(listed=coded(_TABLE), live=coded(f"# abc\n{_TABLE}"))
    assert state == Filter(listed=_TABLE, loaded="abc", remembered=_TABLE)
    assert state.acts("abc")
    assert not state.acts("def")


def test_a_table_changed_by_hand_does_not_act() -> None:
    assert not told(listed=coded("table inet rackwright {\nmore\n}\n"), live=coded(f"# abc\n{_TABLE}")).acts("abc")


def test_a_table_that_is_gone_does_not_act() -> None:
    assert not told(live=coded(f"# abc\n{_TABLE}")).acts("abc")
    assert not FilterState.default().acts("abc")


def test_others_are_told_apart_by_now_and_at_boot() -> None:
    lines = ["pending=yes", "active=ufw", "enabled=ufw", "enabled=firewalld"]
    state = FilterState().process(lines)
    assert (state.pending, state.active, state.enabled) == (True, ("ufw",), ("ufw", "firewalld"))
