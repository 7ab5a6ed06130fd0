"""What a plan shows first, and how it lists many hosts."""

from __future__ import annotations

import pytest

from rackwright.report import plan_text, to_look_at
from rackwright.run import Outcome, Run, Step
from rackwright.terminal import Styled

WOULD = Outcome.WOULD_CHANGE
EDIT = "--- /etc/rules\n+++ /etc/rules\n@@ -1,2 +1,2 @@\n \tsame\n-\told\n+\tnew"
NEW = "--- /dev/null\n+++ /etc/rules\n@@ -0,0 +1 @@\n+\tnew"
GONE = "--- /etc/rules\n+++ /dev/null\n@@ -1 +0,0 @@\n-\told"


def firewall(host: str, diff: str | None, operation: str = "Load the packet filter") -> Step:
    return Step(host, "firewall", operation, WOULD, diff=diff)


def looked_at(*steps: Step) -> str:
    return "\n".join(to_look_at(Run(steps)))


def test_an_edit_shows_its_lines_once_for_all_hosts_and_for_all_operations_with_that_file() -> None:
    steps = [
        *(firewall(host, EDIT) for host in ("gpu1", "gpu2")),
        firewall("gpu1", EDIT, "Write it for boot"),
        firewall("gpu1", None, "Confirm it"),
    ]
    assert looked_at(*steps) == ("who gets in:\n  gpu1, gpu2: firewall: /etc/rules\n      -  old\n      +  new")


def test_a_new_file_is_named_and_not_shown() -> None:
    assert looked_at(firewall("gpu1", NEW)) == "who gets in:\n  gpu1: firewall: /etc/rules (new)"


def test_a_file_that_goes_is_named_and_shown() -> None:
    assert looked_at(firewall("gpu1", GONE)) == "who gets in:\n  gpu1: firewall: /etc/rules\n      -  old"


def test_a_role_without_a_diff_names_its_operations() -> None:
    assert looked_at(firewall("gpu1", None)) == "who gets in:\n  gpu1: firewall: Load the packet filter"


def test_a_long_edit_is_cut_and_says_how_much_is_missing() -> None:
    edit = EDIT + "".join(f"\n+line {number}" for number in range(12))
    said = looked_at(firewall("gpu1", edit)).splitlines()
    assert said[-2:] == ["      +line 9", "      … and 2 lines more"]
    assert len(said) == 2 + 12 + 1


def test_what_is_removed_is_listed_after_accesses_and_the_driver() -> None:
    gone = Step("gpu2", "layout", "Remove old units", WOULD, diff="- a.service\n- b.service\n")
    driver = Step("gpu1", "nvidia_driver", "Install the driver", WOULD, diff="nvidia: absent becomes 1")
    assert looked_at(gone, driver, Step("gpu1", "people", "Remove the people's rights", WOULD, diff="- anna")) == (
        "who gets in:\n  gpu1: people: Remove the people's rights\n      - anna\n\n"
        "driver and kernel:\n  gpu1: nvidia_driver: Install the driver\n      nvidia: absent becomes 1\n\n"
        "removed:\n  gpu2: layout: Remove old units\n      - a.service\n      - b.service"
    )


@pytest.mark.parametrize("outcome", [Outcome.UNCHANGED, Outcome.FAILED])
def test_what_would_not_change_needs_no_look(outcome: Outcome) -> None:
    assert to_look_at(Run((Step("gpu1", "firewall", "Load it", outcome),))) == []


def test_removed_lines_are_red_and_the_sign_is_there_without_color() -> None:
    colors = {
        str(line).strip()[:1]: line.color
        for line in to_look_at(Run((firewall("gpu1", EDIT),)))[2:]
        if isinstance(line, Styled)
    }
    assert colors == {"-": "red", "+": "green"}


def test_hosts_that_change_alike_share_their_lines() -> None:
    engines = (
        Step(host, role, f"{operation} {number}", WOULD)
        for host in ("gpu1", "gpu2")
        for role, operation, most in (("probe", "Write", 5), ("sshd", "Allow", 1), ("replica", "Start", 3))
        for number in range(most)
    )
    gateways = Step("gate1", "gateway", "Write", Outcome.UNCHANGED), Step("gate2", "gateway", "Write", WOULD)
    run = Run((*engines, *gateways), {"gpu3": "no route to host"})
    assert (
        "\n".join(plan_text(run, diff=False))
        == """\
gpu1, gpu2: 9 changes each
  sshd     Allow 0
  probe    Write 0; Write 1; and 3 more
  replica  Start 0; Start 1; Start 2
gate1: nothing would change
gate2: 1 change
  gateway  Write

gpu3 unreachable: no route to host

19 changes on 3 hosts; 1 unchanged"""
    )


def test_a_host_that_failed_says_so() -> None:
    failed = Step("gpu1", "probe", "Write", Outcome.FAILED, output=("no space",))
    run = Run((failed, Step("gpu2", "probe", "Write", Outcome.UNCHANGED)))
    assert "\n".join(plan_text(run, diff=False)) == (
        "gpu1: failed, see below\ngpu2: nothing would change\n\n"
        "gpu1 failed: probe: Write\n    no space\n\nnothing would change; 1 unchanged"
    )
