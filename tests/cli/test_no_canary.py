"""Whether a command that changes the lock tries the new lock on a canary first."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from rackwright.cli import runtime
from rackwright.cli.common import change_lock
from rackwright.cli.model import update as model_update
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.rollout import opened as opening
from rackwright.lifecycle.update import resume as resuming
from tests.cli.command_line import rackwright


@pytest.mark.parametrize(
    ("words", "tried"),
    [
        (("model", "update", "assistant"), True),
        (("model", "update", "assistant", "--no-canary"), False),
        (("model", "rollback", "assistant"), False),
        (("runtime", "update"), True),
        (("runtime", "update", "--no-canary"), False),
    ],
)
def test_updates_try_a_canary_first_unless_no_canary_is_given(site, monkeypatch, words, tried):
    told = []
    for module in (model_update, runtime):
        monkeypatch.setattr(module, "change_lock", lambda *said: told.append(said[-1].canary))
    assert rackwright(*words, "--yes", "-f", site).exit_code == 0
    assert told == [tried]


@pytest.mark.parametrize(("words", "canaries"), [((), ("assistant",)), (("--no-canary",), ())])
def test_a_resume_can_skip_the_canary(site, monkeypatch, words, canaries):
    found = SimpleNamespace(id="r", after=None, what="update", who="ada", canaries=("assistant",))
    seen = []
    found.model_copy = lambda update: SimpleNamespace(**{**vars(found), **update})

    monkeypatch.setattr(opening, "required", lambda _: SimpleNamespace(rollout=found))
    monkeypatch.setattr("rackwright.lifecycle.session.session.open_session", lambda *_, **__: nullcontext())
    monkeypatch.setattr(resuming, "resume", lambda site, rollout, *_, **__: seen.append(rollout.canaries) or ())
    assert rackwright("rollout", "resume", "--yes", *words, "-f", site).exit_code == 0
    assert seen == [canaries]


def test_what_is_tried_is_said_before_the_question(site):
    site.write_text(
        site.read_text().replace(
            "    context: 32768 ",
            "    canary: {share: [1, 25], min_duration: 1m, min_requests: 50, golden: p.jsonl}\n    context: 32768 ",
        )
    )
    fleet = load_fleet(site)
    look = SimpleNamespace(canaries=("assistant",), plan=SimpleNamespace(doubts=()), replicas=())
    none = SimpleNamespace(runtimes={})
    (line,) = (text for text in change_lock._lines(fleet, (), none, none, look) if "canary" in text)
    assert line == (
        "canary of assistant: first the golden set p.jsonl; then 1 %, then 25 % of new conversations, "
        "each for at least 60 s and 50 requests"
    )
