"""What `drill run` says at its end."""

from __future__ import annotations

from dataclasses import replace

from rackwright.cli.drill.run import _may_be_left
from rackwright.lifecycle.drill.evidence.facts import Check
from tests.lifecycle.drill.passing import passing


def test_the_next_command_is_said_if_data_may_be_left_on_a_host() -> None:
    facts = passing()
    assert not _may_be_left(facts)
    lost = tuple(one for one in facts.checks if one.name != "wiped")
    assert _may_be_left(replace(facts, checks=lost))
    assert _may_be_left(replace(facts, checks=(*lost, Check("wiped", "failed", "gate1", "left: /srv/models/a"))))
    assert not _may_be_left(replace(facts, checks=(), commands=())), "no host was taken"
