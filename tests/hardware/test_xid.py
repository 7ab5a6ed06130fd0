from __future__ import annotations

import pytest

from rackwright.hardware.xid import FAULTS, LONGEST, Cause, Fault, Xid, meaning, parse_xids
from tests.hardware.outputs import output


def test_xids_of_a_log_in_order():
    assert [(xid.number, xid.pci) for xid in parse_xids(output("h100-log.txt"))] == [
        (94, "0000:4c:00.0"),
        (63, "0000:4c:00.0"),
        (31, "0000:19:00.0"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: Xid (PCI:0000:17:00): 79, pid=1234, GPU has fallen off the bus.",
        "NVRM: Xid (PCI:0000:17:00.0): 79, pid=1234, GPU has fallen off the bus.",
        "NVRM: Xid (0000:17:00): 79, pid=1234, GPU has fallen off the bus.",
        "[  956.7] NVRM: Xid (PCI:0000:17:00): 79, pid=1234, GPU has fallen off the bus.",
    ],
)
def test_every_way_of_writing_one(line: str):
    assert parse_xids(line) == (Xid(79, "0000:17:00.0", "pid=1234, GPU has fallen off the bus."),)


@pytest.mark.parametrize(
    "line", ["NVRM: Xid error: none", "NVRM: Xid (invalid): some", "NVRM: GPU at PCI:0000:17:00"]
)
def test_what_is_none_is_skipped(line: str):
    assert parse_xids(line) == ()


def test_a_long_text_is_cut():
    assert len(parse_xids("NVRM: Xid (PCI:0000:17:00): 13, " + "x" * 9999)[0].text) == LONGEST


def test_what_a_program_calls_itself_moves_no_cursor():
    assert parse_xids("NVRM: Xid (PCI:0000:17:00): 13, name=\x1b[2Jevil\x07")[0].text == "name=?[2Jevil?"


@pytest.mark.parametrize(
    ("cause", "numbers"),
    [
        (Cause.APPLICATION, (13, 31, 43, 45)),
        (Cause.HARDWARE, (48, 62, 63, 64, 74, 79, 92, 94, 95, 140, 145)),
        (Cause.DRIVER, (119, 120)),
    ],
)
def test_whose_fault_the_well_known_ones_are(cause: Cause, numbers: tuple[int, ...]):
    assert {meaning(number).cause for number in numbers} == {cause}


def test_one_that_is_not_well_known_leads_to_the_catalogue():
    assert meaning(12345).what == "not well known"
    assert "catalog" in meaning(12345).next


def test_each_that_faults_is_a_well_known_one():
    assert [number for number in FAULTS if meaning(number) == meaning(12345)] == []


def test_what_is_an_applications_fault_faults_no_card():
    cards = {number for number, fault in FAULTS.items() if fault is not Fault.ENGINE}
    assert {meaning(number).cause for number in cards} == {Cause.DRIVER, Cause.HARDWARE}
    assert {13, 31, 43, 94}.isdisjoint(cards)
    assert {48, 64, 79, 95, 119, 140} <= cards


@pytest.mark.parametrize("number", [45, 63, 92, 154])
def test_what_only_tells_of_something_faults_nothing(number: int):
    assert number not in FAULTS
