from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rackwright.lifecycle.canary import history as kept
from rackwright.state.canaries import CanaryVerdict, write_verdict
from rackwright.state.store import FileStore
from tests.cli.command_line import rackwright
from tests.shells import LocalShell
from tests.state.test_canaries import verdict

EVIL = "<script>alert('x')</script>\x1b[2J"


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """Keep verdicts on a control host that is a folder on this machine."""
    store = FileStore(LocalShell(), str(tmp_path / "control"))

    @contextmanager
    def control_store(_: object) -> Iterator[tuple[FileStore, LocalShell]]:
        yield store, LocalShell()

    monkeypatch.setattr(kept, "control_store", control_store)

    def write(*verdicts: CanaryVerdict) -> None:
        for one in verdicts:
            write_verdict(store, one)

    return write


def test_a_model_without_a_canary_says_so(site, keep):
    ran = rackwright("model", "verdict", "assistant", "-f", site)
    assert (ran.exit_code, ran.stdout) == (0, "assistant has had no canary\n")
    assert rackwright("model", "verdict", "assistant", "-f", site, "--json").document == {"canary": None}


def test_the_last_report_is_shown(site, keep):
    keep(verdict(run="r1"), verdict(run="r2", outcome="FAIL", why="errors rise", golden="f" * 64))
    text = rackwright("model", "verdict", "assistant", "-f", site).stdout
    assert text.startswith(
        "model update assistant: the canary gpu1/assistant@1 ended with FAIL at 25 % of the conversations "
        "(aaaaaaaaaaaaaaaa → bbbbbbbbbbbbbbbb, golden set ffffffffffffffff; ada, "
    )
    assert "errors rise" in text
    assert "time to first token" in text


def test_an_open_canary_without_a_verdict_is_shown_as_open(site, keep):
    keep(verdict(outcome="open", verdict=None, why="errors are few"))
    text = rackwright("model", "verdict", "assistant", "-f", site).stdout
    assert "was open when last checked, at 25 % of the conversations" in text
    assert "open: errors are few" in text
    ran = rackwright("model", "verdict", "assistant", "-f", site, "--html", site.with_name("page.html"))
    assert "there is no verdict yet" in ran.stderr
    assert not site.with_name("page.html").exists()


def test_the_outcome_comes_first_whatever_the_comparisons_say(site, keep):
    keep(verdict(outcome="FAIL", why="fell out of the gateways"))
    page = site.with_name("page.html")
    text = rackwright("model", "verdict", "assistant", "-f", site, "--html", page).stdout
    assert "\nFAIL: fell out of the gateways\nthe comparisons alone: " in text
    assert "<h1>FAIL</h1>" in page.read_text()
    assert "<title>FAIL: " in page.read_text()
    assert "The comparisons alone: " in page.read_text()


def test_all_of_them_are_listed(site, keep):
    keep(verdict(run="r1", outcome="INCONCLUSIVE", why="too few"), verdict(run="r2"))
    lines = rackwright("model", "verdict", "assistant", "-f", site, "--all").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["INCONCLUSIVE", "PASS"]
    document = rackwright("model", "verdict", "assistant", "-f", site, "--all", "--json").document
    assert [one["outcome"] for one in document["canaries"]] == ["INCONCLUSIVE", "PASS"]


def test_the_document_has_the_verdict_in_its_own_format(site, keep):
    keep(verdict())
    document = rackwright("model", "verdict", "assistant", "-f", site, "--json").document["canary"]
    assert (document["format"], document["verdict"]["format"]) == ("canary/1", "verdict/1")
    assert (document["outcome"], document["share"], document["golden"]) == ("PASS", 25, None)


def test_the_page_is_written_whole_and_escaped(site, keep):
    keep(verdict(why=EVIL))
    page = site.with_name("page.html")
    ran = rackwright("model", "verdict", "assistant", "-f", site, "--html", page)
    assert f"written to {page}" in ran.stderr
    text = page.read_text()
    assert "<svg" in text
    assert "<script>" not in text
    assert "\x1b" not in ran.stdout + text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("assistnt",), "assistnt: no model of that name; did you mean assistant?"),
        (("assistant", "--html", "/nowhere/x.html"), "--html /nowhere/x.html: its folder doesn't exist"),
        (("assistant", "--all", "--html", "x.html"), "--html writes one report, and --all lists them"),
    ],
)
def test_what_can_not_be_is_refused(site, keep, arguments, message):
    ran = rackwright("model", "verdict", *arguments, "-f", site)
    assert ran.exit_code == 2
    assert message in ran.stderr
