"""What a notice says: bounded, printable, and no markup of a chat server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import Problem
from rackwright.lifecycle.notify.notice import MOST_REASON, Notice, hosts_of, names, notice_of, reason_of
from rackwright.lifecycle.notify.wording import body, chat_text, subject
from tests.fleet.fleets import make_fleet
from tests.lifecycle.notify.notices import NOTICE


def notice(**words: object) -> Notice:
    return Notice(**(NOTICE.model_dump() | words))


@pytest.mark.parametrize(
    "said",
    [
        "<!channel> <https://evil.example|the report>",
        "```\n@channel ![](https://evil.example/x.png)\n```",
        "``` @here `x`",
    ],
)
def test_a_host_can_not_leave_the_code_block_or_call_everyone(said: str) -> None:
    text = chat_text(notice(reason=f"gpu3: {said}", summary=f"patch run failed: {said}", next=f"read {said}"))
    head, fence, *inside, last = text.split("\n")
    assert (head, fence, last) == ("[rackwright acme] patch run failed", "```", "```")
    assert not set("<>`") & set("".join(inside))


def test_a_notice_without_a_reason_is_one_line_for_a_chat() -> None:
    ended = notice(event="ended", summary="patch run ended: patched: gpu1 <x> & y", reason=None, next=None)
    assert chat_text(ended) == "[rackwright acme] patch run ended: patched: gpu1 &lt;x&gt; &amp; y"


def test_texts_are_bounded_and_printable() -> None:
    long = notice(summary="\x1b[2J\n" + "x" * 9000, reason="y\x07\n" * 9000, next="z" * 9000, operator="\u202eanna")
    assert len(long.reason or "") == MOST_REASON
    assert len(long.document(chat_text(long))) < 20_000
    assert len(subject(long)) == len(long.next or "") == 200
    for text in (chat_text(long), body(long), subject(long)):
        assert all(line.isprintable() for line in text.split("\n"))


def test_a_mail_leaves_out_what_isnt_known() -> None:
    test = notice(
        event="test", command="notify test", summary="test notice", reason=None, next=None, run=None, hosts=()
    )
    assert body(test).splitlines() == [
        "test notice",
        "",
        "fleet:    acme",
        "command:  rackwright notify test",
        "operator: anna@desk",
        "machine:  desk",
        "time:     2026-11-29T01:02:03Z",
    ]


def test_the_hosts_of_a_large_fleet_are_counted() -> None:
    assert names(("gpu1", "gpu2")) == "gpu1, gpu2"
    assert names(tuple(f"gpu{number}" for number in range(12))).endswith("gpu9 and 2 more")


def test_the_reason_has_all_problems_without_their_next_commands() -> None:
    problems = [Problem("gpu1", "is down", "should be up", "restart it"), Problem("", "and", listed=("gpu2: slow",))]
    assert reason_of(problems) == "gpu1: is down; should be up\nand\n  - gpu2: slow"
    assert reason_of([Problem("gpu1", "said x\nnext: rm")]) == "gpu1: said x\n  | next: rm"


def test_the_hosts_of_a_failure_are_those_that_it_names() -> None:
    known = ("gpu1", "gpu2", "gpu3", "gpu4")
    problems = [Problem("gpu2/assistant@1", "is down"), Problem("", "some", listed=("gpu4: slow", "gpu9: slow"))]
    assert hosts_of(problems, known) == ("gpu2", "gpu4")


def test_the_operator_is_known_by_their_key_and_sudos_password_is_not_needed(tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d"
    (tmp_path / "id.pub").write_text(f"{key} anna@laptop\n")
    gate = {"address": "10.0.0.9", "ssh": {"key": "id"}, "sudo": {"password": "cmd:false"}}
    fleet = make_fleet(
        tmp_path / "acme.yml",
        hosts={"gate1": gate, "gpu1": {"address": "10.0.0.11"}},
        people={"anna": {"role": "operator", "keys": [key]}},
    )
    made = notice_of(fleet, "patch run", "ended", "patch run ended")
    assert made.operator.endswith(" (anna, SHA256:cry1T4Qa/BQZdYhE4adN9URYMc5vUfHJGew3gR4KMhQ)")
    assert made.machine in made.operator
    assert (made.fleet, made.run, made.hosts) == ("acme", None, ())
