"""The banner: in place of the distribution's text, which dpkg keeps until the banner is gone."""

from __future__ import annotations

import hashlib

from pyinfra.api.deploy import deploy

from rackwright.operations.banner import ISSUES, Diverted, banner
from rackwright.operations.facts.path_state import Found, PathState
from tests.fakes import play

_TEXT = "Authorized use only.\n"


@deploy("show")
def show(*, text: str | None) -> None:
    banner(name="Show", text=text)


def test_the_distributions_text_is_kept_before_ours_is_written() -> None:
    played = play(show, text=_TEXT, facts={PathState: None})
    assert [command for command in played.commands if command.startswith("dpkg-divert")] == [
        f"dpkg-divert --quiet --local --rename --divert {path}.rackwright-original --add {path} && "
        f"{{ [ ! -e {path}.rackwright-original ] || cp -p -- {path}.rackwright-original {path}; }}"
        for path in ("/etc/issue", "/etc/issue.net")
    ]
    assert played.commands[0].startswith("dpkg-divert")
    assert set(played.uploads.values()) == {_TEXT}


def test_a_plan_shows_both_files_and_stops_at_the_first_command() -> None:
    plan = play(show, text=_TEXT, facts={PathState: None})
    ((_, diff),) = plan.planned.items()
    assert [line for line in diff.splitlines() if line.startswith("+++")] == ["+++ /etc/issue", "+++ /etc/issue.net"]
    assert diff.count("+Authorized use only.") == 2
    back = play(show, text=None, facts={Diverted: frozenset(ISSUES)})
    assert list(back.planned.values()) == ["/etc/issue: the original is back\n/etc/issue.net: the original is back"]


def test_a_second_run_changes_nothing() -> None:
    found = Found("regular file", 0o644, "root", "root", hashlib.sha256(_TEXT.encode()).hexdigest())
    facts = {PathState: found, Diverted: frozenset({"/etc/issue", "/etc/issue.net"})}
    assert play(show, text=_TEXT, facts=facts).commands == []


def test_an_operators_own_file_with_the_same_text_stays_where_it_is() -> None:
    found = Found("regular file", 0o644, "root", "root", hashlib.sha256(_TEXT.encode()).hexdigest())
    played = play(show, text=_TEXT, facts={PathState: found, Diverted: frozenset()})
    assert played.uploads == {}
    assert all(" || cp -p -- " in command for command in played.commands)
    assert list(played.planned.values()) == ["\n".join(f"{path}: the original is kept next to it" for path in ISSUES)]


def test_without_a_text_the_originals_are_back_and_a_host_without_a_banner_is_left() -> None:
    assert play(show, text=None, facts={Diverted: frozenset()}).commands == []
    assert play(show, text=None, facts={Diverted: frozenset({"/etc/issue"})}).commands == [
        "rm -f -- /etc/issue && dpkg-divert --quiet --local --rename --divert /etc/issue.rackwright-original "
        "--remove /etc/issue"
    ]
