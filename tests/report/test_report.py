from __future__ import annotations

import json

from rackwright.report import apply_text, document, markdown, plan_text
from rackwright.run import Outcome, Run, Step
from rackwright.terminal import visible
from tests.report.runs import APPLY, PLAN


def test_a_plan_with_diff_shows_host_role_operation_and_diff():
    assert "\n".join(plan_text(PLAN, diff=True)) == (
        """\
gate1: nothing would change
gpu1: 2 changes, 1 unchanged
  replica
    ~ Write the unit
        --- a/etc/x
        +++ b/etc/x
        @@ -1 +1 @@
        -old
        +new ```
    ~ Deliver the key
        content differs

gpu2 unreachable: no route to host

2 changes on 1 host; 2 unchanged"""
    )


def test_a_plan_without_changes_says_so():
    run = Run((Step("gpu1", "layout", "Make the folder", Outcome.UNCHANGED),))
    said = "gpu1: nothing would change\n\nnothing would change; 1 unchanged"
    assert "\n".join(plan_text(run, diff=False)) == "\n".join(plan_text(run, diff=True)) == said


def test_an_apply_counts_per_host_and_ends_with_what_failed():
    assert "\n".join(map(visible, apply_text(APPLY))) == (
        """\
       changed  unchanged  failed  skipped
gate1        0          1       0        0
gpu1         1          0       1        1  FAILED
gpu2         0          0       1        0  unreachable
total        1          1       2        1

gpu1 failed: replica: Start it
    first
    \\x1b[31mlast\\x1b[0m\\x07 line

gpu2 unreachable: no route to host

interrupted: 1 operation not run; rackwright plan shows what is left"""
    )


def test_an_apply_that_changed_nothing_is_a_table_of_noughts():
    run = Run((Step("gpu1", "layout", "Make the folder", Outcome.UNCHANGED),))
    assert apply_text(run)[1].split() == ["gpu1", "0", "1", "0", "0"]


def test_the_document_has_totals_in_all_and_per_host():
    shown = json.loads(json.dumps(document(APPLY)))
    assert shown["totals"] == {"changed": 1, "unchanged": 1, "failed": 2, "skipped": 1}
    assert shown["hosts"]["gpu1"] == {"changed": 1, "unchanged": 0, "failed": 1, "skipped": 1}
    assert shown["hosts"]["gpu2"]["failed"] == 1
    assert shown["unreachable"] == {"gpu2": "no route to host"}
    assert shown["steps"][1]["outcome"] == "changed"
    assert shown["steps"][1]["seconds"] == 1.235
    assert shown["failed_hosts"] == ["gpu1", "gpu2"]
    assert shown["interrupted"] is True


def test_markdown_keeps_every_fence_whole():
    text = markdown(PLAN, "Plan for acme")
    assert text.startswith("# Plan for acme\n")
    assert "| gpu1 | 2 | 1 | 0 | 0 |" in text
    assert "| **all** | 2 | 2 | 1 | 0 |" in text
    assert "  ````diff\n  --- a/etc/x" in text
    assert text.count("````") == 2
    assert "## gpu2: unreachable" in text
    assert "gate1\n" not in text


def test_markdown_has_the_last_lines_of_what_failed():
    text = markdown(APPLY, "Apply")
    assert "- failed: Start it" in text
    assert r"  \x1b[31mlast\x1b[0m\x07 line" in text
    assert "\x1b" not in text


def test_what_is_left_against_the_fleet_file_is_named_once_by_plan_apply_and_markdown():
    odd = Step("gpu1", "journald", "Look", Outcome.UNCHANGED, note="b.conf wins\n\x1b[31mc.conf wins")
    run = Run((odd, odd))
    said = (
        "differs from the fleet file, and is left as it is:\n"
        "  gpu1: journald: b.conf wins\n  gpu1: journald: \x1b[31mc.conf wins\n"
    )
    assert said in "\n".join(plan_text(run, diff=False))
    assert said in "\n".join(apply_text(run)) + "\n"
    assert "- gpu1: journald: b.conf wins\n- gpu1: journald: \\\\x1b\\[31mc.conf wins\n" in markdown(run, "Apply")
    assert document(run)["steps"][0]["note"] == odd.note
    assert "against" not in "".join(plan_text(PLAN, diff=True) + apply_text(APPLY)) + markdown(APPLY, "Apply")
