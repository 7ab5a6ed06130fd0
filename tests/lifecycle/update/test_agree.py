"""The planned downtime of an update: a person is asked, a script needs an option, and an unattended run a setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rackwright.cli.common.console import Console as RealConsole
from rackwright.errors import RackwrightError
from rackwright.lifecycle.session.agreements import Agreements
from rackwright.lifecycle.update.agree import agree_to_downtimes
from rackwright.lifecycle.update.procedure import Downtime
from tests.lifecycle.patch.seen import two_hosts
from tests.lifecycle.session.test_agreements import Console, allowing

ONE = replace(two_hosts(), replicas=two_hosts().replicas[:1])
DOWN = (Downtime("assistant", 42),)


class Person(Console):
    def confirm(self, question: str, **_: object) -> None:
        self.said.append(question)


def test_a_person_is_asked_and_agrees_to_these_models() -> None:
    person: Any = Person()
    assert agree_to_downtimes(ONE, DOWN, person, None) == ("assistant",)
    assert person.said == [
        "assistant has one replica and is down while that is updated (about 42 s, as last time). Accept that?"
    ]


@pytest.mark.parametrize("quiet", [True, False])
def test_yes_is_no_answer(quiet: bool) -> None:
    with RealConsole(quiet=quiet, yes=True) as console, pytest.raises(RackwrightError) as caught:
        agree_to_downtimes(ONE, DOWN, console, None)
    assert caught.value.problems[0].next == "the same command with --allow-outage"


def test_without_a_downtime_nobody_is_asked() -> None:
    person: Any = Person()
    assert (agree_to_downtimes(two_hosts(), (), person, None), person.said) == ((), [])


def test_an_unattended_update_needs_the_setting_for_its_model() -> None:
    console: Any = Console()
    for allow in ({}, {"outage": "all"}):
        with pytest.raises(RackwrightError, match=r"needs unattended\.allow\.downtime \(model assistant\)"):
            agree_to_downtimes(ONE, DOWN, console, Agreements(allowing(ONE, **allow)))
    unattended = Agreements(allowing(ONE, downtime=["assistant"]))
    assert agree_to_downtimes(ONE, DOWN, console, unattended) == ("assistant",)
    assert unattended.settings == ("unattended.allow.downtime (model assistant)",)


def test_an_unattended_update_may_take_down_what_the_fleet_file_allows_later_too() -> None:
    fleet, console = allowing(two_hosts(), outage="all"), Console()
    assert agree_to_downtimes(fleet, (), console, Agreements(fleet)) == ("assistant",)  # type: ignore[arg-type]
