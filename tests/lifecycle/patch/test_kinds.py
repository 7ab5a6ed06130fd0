"""Kinds of hosts: the same packages, byte by byte, and the same set of driver and kernel."""

from __future__ import annotations

from rackwright.lifecycle.patch.document import PatchPlan, plan_document
from rackwright.lifecycle.patch.kinds import Wanted, kinds_of
from rackwright.roles.patch.parse_state import parse_state
from tests.lifecycle.patch.states import SHA, STATE, state


def test_hosts_with_the_same_changes_are_of_one_kind() -> None:
    same = parse_state(
        STATE.replace("space / 71703875584", "space / 1").replace("back tzdata none", "back tzdata cache")
    )
    (kind,) = kinds_of({"gpu2": Wanted(state()), "gpu1": Wanted(same)})
    assert kind.hosts == ("gpu2", "gpu1")
    assert [change.package.sha256 for change in kind.changes] == [SHA] * 3


def test_another_file_version_or_set_is_another_kind() -> None:
    other_file = STATE.replace(f"260000 SHA256:{SHA}", f"260000 SHA256:{'b' * 64}")
    other_before = STATE.replace("[2025b-4+deb13u1]", "[2025a-1]")
    other_release = STATE.replace("system debian 13", "system debian 12")
    others = [*(Wanted(parse_state(text)) for text in (other_file, other_before, other_release))]
    others.append(Wanted(state(), driver="set"))
    found = kinds_of({"a": Wanted(state()), **{f"b{number}": one for number, one in enumerate(others)}})
    assert [kind.hosts for kind in found] == [("a",), ("b0",), ("b1",), ("b2",), ("b3",)]
    assert len({kind.name for kind in found}) == 5


def test_a_host_without_changes_is_in_no_kind() -> None:
    assert kinds_of({"a": Wanted(state("Inst"))}) == ()


def test_the_document_reads_as_it_was_written() -> None:
    document = plan_document(kinds_of({"a": Wanted(state(), driver="set")}), only_security=True)
    assert PatchPlan.model_validate_json(document.model_dump_json()) == document
    assert document.format == "patch-plan/1"
