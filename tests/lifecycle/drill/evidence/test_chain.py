"""Attacks on the evidence. In each, the attacker can change the folder, and `mallory` is no signer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.lifecycle.drill.evidence import chain as examining
from rackwright.lifecycle.drill.evidence.report import Report, report_in, written
from rackwright.lifecycle.drill.evidence.signature import REPORT, REVIEW, sign
from rackwright.state.formats import utc_now
from tests.lifecycle.drill.conftest import Office
from tests.lifecycle.drill.passing import FIRST, SECOND, THIRD, minutes, passing


@pytest.fixture(scope="session")
def sealed(tmp_path_factory, keys) -> Path:
    office = Office(tmp_path_factory.mktemp("sealed") / "acme.drills", keys)
    office.seal_three()
    assert office.problems() == []
    return office.folder


@pytest.fixture
def three(office, sealed):
    """Three reports, each test's own."""
    shutil.copytree(sealed, office.folder)
    return office


def path(office, drill: str = SECOND, suffix: str = ".json") -> Path:
    return office.folder / f"{drill}{suffix}"


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def forged(office, drill: str = SECOND, signer: str = "anna", purpose: str = REPORT, **changes: Any) -> None:
    """Change a report, and sign it again with this person's key."""
    report = report_in(path(office, drill).read_bytes(), "x").model_copy(update=changes)
    signed(office, drill, written(report), signer, purpose)


def signed(office, drill: str, content: bytes, signer: str = "anna", purpose: str = REPORT) -> None:
    path(office, drill).write_bytes(content)
    path(office, drill, ".json.sig").write_bytes(sign(content, office.key(signer), purpose))


def edited(office, **changes: Any) -> None:
    """Change the JSON as such, and have anna sign that."""
    document = json.loads(path(office).read_text()) | changes
    signed(office, SECOND, json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")


def facts_of(office, drill: str = SECOND):
    return report_in(path(office, drill).read_bytes(), "x").facts


def swapped(office) -> None:
    """Exchange two whole reports, with signatures and pages."""
    for suffix in (".json", ".json.sig", ".md", ".html"):
        one, other = path(office, SECOND, suffix), path(office, THIRD, suffix)
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)


def gone(office, drill: str) -> None:
    for file in office.folder.glob(f"{drill}*"):
        file.unlink()


def linked(office) -> None:
    real = path(office).rename(office.folder.parent / "elsewhere.json")
    path(office).symlink_to(real)


def fifo(office) -> None:
    path(office).unlink()
    os.mkfifo(path(office))


def rewritten(office, drill: str) -> None:
    """Anna replaces one of her reports by a new one with the same number."""
    forged(office, drill, facts=replace(facts_of(office, drill), operator="someone else"))


Attack = Callable[[Any], object]
ATTACKS: dict[str, tuple[Attack, str]] = {
    "flipped byte in the report": (lambda o: flip(path(o), 900), ""),
    "flipped byte in the signature": (lambda o: flip(path(o, suffix=".json.sig"), 120), "signature"),
    "empty signature": (lambda o: path(o, suffix=".json.sig").write_bytes(b""), "signature"),
    "no signature": (lambda o: path(o, suffix=".json.sig").unlink(), "signature can't be read"),
    "signature of another report": (
        lambda o: path(o, suffix=".json.sig").write_bytes(path(o, FIRST, ".json.sig").read_bytes()),
        "signature",
    ),
    "huge signature": (lambda o: path(o, suffix=".json.sig").write_bytes(b"A" * (1 << 17)), "is larger"),
    "signed by no signer": (lambda o: forged(o, signer="mallory"), "isn't a signer's key"),
    "signed by another signer": (lambda o: forged(o, signer="ben"), "signed by ben, not by anna"),
    "claims another signer": (lambda o: forged(o, key="SHA256:x"), "it names the key SHA256:x"),
    "signed for another purpose": (lambda o: forged(o, purpose=REVIEW), "signature"),
    "first removed": (lambda o: gone(o, FIRST), "report 1 before it: missing"),
    "middle removed": (lambda o: gone(o, SECOND), "report 2 before it: missing"),
    "two removed": (lambda o: (gone(o, FIRST), gone(o, SECOND)), "reports 1 to 2 before it: missing"),
    "only the newest report's file removed": (lambda o: path(o, THIRD).unlink(), f"{THIRD}.json: is missing"),
    "reordered": (swapped, "under another name"),
    "renamed": (lambda o: path(o).rename(path(o, "20261129T030000Z-00ff")), "under another name"),
    "copied": (
        lambda o: path(o, "20261129T030000Z-00ff").write_bytes(path(o).read_bytes()),
        "two reports with the number 2",
    ),
    "renumbered": (lambda o: forged(o, number=7), "missing or unreadable"),
    "forked": (lambda o: forged(o, THIRD, number=2), "two reports with the number 2"),
    "first with one before it": (
        lambda o: forged(o, FIRST, previous=report_in(path(o).read_bytes(), "x").previous),
        "the first, and names one before it",
    ),
    "no link": (lambda o: forged(o, previous=None), f"doesn't name {FIRST}"),
    "rewritten by its own signer": (lambda o: rewritten(o, FIRST), f"the report before it, {FIRST}, was changed"),
    "sealed before the one before": (
        lambda o: forged(o, THIRD, sealed=passing().ended),
        "sealed before the report before it",
    ),
    "sealed before its end": (lambda o: forged(o, sealed=passing().ended - minutes(1)), "before the drill's end"),
    "of another fleet": (
        lambda o: forged(o, facts=replace(facts_of(o), fleet="other")),
        "of the fleet other, not acme",
    ),
    "conclusion turned to passed": (
        lambda o: forged(o, facts=replace(facts_of(o), error="no space")),
        "doesn't follow from its facts",
    ),
    "better RTO": (
        lambda o: forged(o, conclusion=replace(report_in(path(o).read_bytes(), "x").conclusion, rto_s=1.0)),
        "doesn't follow from its facts",
    ),
    "unknown field": (lambda o: edited(o, note="all is well"), "more in it than a report has"),
    "field twice": (
        lambda o: signed(o, SECOND, path(o).read_bytes().replace(b'"number": 2', b'"number": 1,\n "number": 2')),
        "more in it than a report has",
    ),
    "newer format": (lambda o: edited(o, format="drill/2"), "newer rackwright"),
    "another format": (lambda o: edited(o, format="drill-draft/1"), "is of format"),
    "format that isn't one": (lambda o: edited(o, format="drill"), "is of format"),
    "number that isn't one": (lambda o: edited(o, number="2"), "is damaged"),
    "no pages named": (lambda o: forged(o, pages=None), "doesn't name its pages"),
    "Markdown changed": (lambda o: path(o, suffix=".md").write_text("passed"), ".md was changed"),
    "HTML changed": (lambda o: flip(path(o, suffix=".html"), 2000), ".html was changed"),
    "HTML removed": (lambda o: path(o, suffix=".html").unlink(), ".html can't be read"),
    "HTML behind a link": (
        lambda o: (
            path(o, suffix=".html").rename(o.folder.parent / "x")
            and path(o, suffix=".html").symlink_to(o.folder.parent / "x")
        ),
        "is a symbolic link",
    ),
    "log changed": (lambda o: flip(path(o, suffix=".log"), 3), f"its log {SECOND}.log was changed"),
    "log cut off": (lambda o: path(o, suffix=".log").write_text("what"), f"its log {SECOND}.log was changed"),
    "log removed": (lambda o: path(o, suffix=".log").unlink(), f"its log {SECOND}.log is missing"),
    "log behind a link": (
        lambda o: (
            path(o, suffix=".log").rename(o.folder.parent / "x")
            and path(o, suffix=".log").symlink_to(o.folder.parent / "x")
        ),
        f"its log {SECOND}.log is a symbolic link",
    ),
    "log without an end": (lambda o: os.truncate(path(o, suffix=".log"), (1 << 30) + 1), "is larger than 1024 MiB"),
    "log disowned": (
        lambda o: forged(o, pages=report_in(path(o).read_bytes(), "x").pages.model_copy(update={"log": None})),
        f"its log {SECOND}.log was added",
    ),
    "not UTF-8": (lambda o: path(o).write_bytes(b"\xff\xfe{}"), "not UTF-8"),
    "no JSON": (lambda o: path(o).write_text("PASSED"), "is damaged"),
    "too deep": (lambda o: path(o).write_text("[" * 200_000), "is damaged"),
    "huge": (lambda o: path(o).write_bytes(b" " * ((16 << 20) + 1)), "is larger than 16 MiB"),
    "link": (linked, "is a symbolic link"),
    "FIFO": (fifo, "is not a plain file"),
    "folder": (lambda o: (path(o).unlink(), path(o).mkdir()), "Is a directory"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_found(three, attack):
    act, words = ATTACKS[attack]
    act(three)
    problems = three.problems()
    assert any(words in problem for problem in problems), problems


@pytest.mark.parametrize("at", range(0, 5000, 487))
def test_a_flipped_byte_anywhere_is_found(three, at):
    size = path(three).stat().st_size
    flip(path(three), at * (size - 1) // 5000)
    assert not three.examine().sound


def test_a_signer_who_had_ended_or_not_begun_is_found(three):
    now = utc_now()
    for limit in ({"before": now - minutes(60)}, {"after": now + minutes(60)}):
        signers = (replace(three.signer("anna"), **limit),)
        found = examining.examine(three.folder, signers, lambda _: ("", ""))
        assert all(any("not at this time" in problem for problem in one.problems) for one in found.examined)


def test_pages_that_say_something_else_are_found_though_their_hashes_are_signed(office):
    from rackwright.lifecycle.drill.evidence.seal import seal

    def lying(report: Report) -> tuple[str, str]:
        return "# passed\n", "<h1>passed</h1>\n"

    seal(office.folder, replace(passing(), error="no space"), office.key(), office.signers, lying)
    assert [one.partition("html")[2] or one for one in office.problems()] == [
        f"its page {FIRST}.md says something else",
        " says something else",
    ]


def test_the_pages_of_another_version_are_known_by_their_hashes_alone(office):
    from rackwright.lifecycle.drill.evidence.seal import seal

    facts = passing()
    old = replace(facts, versions=replace(facts.versions, rackwright="0.0.1"))
    seal(office.folder, old, office.key(), office.signers, lambda _: ("old\n", "<p>old\n"))
    assert office.problems() == []


def test_a_report_without_a_log_needs_none_and_gets_none(office):
    office.seal(passing())
    assert office.problems() == []
    path(office, FIRST, ".log").write_text("all went well\n")
    assert office.problems() == [f"its log {FIRST}.log was added: there was none when the report was signed"]


def test_a_report_is_verified_with_those_before_it_alone(three):
    path(three, THIRD).write_text("{")
    chain = three.examine(SECOND)
    assert chain.sound
    assert [one.path.name for one in chain.examined] == [f"{FIRST}.json", f"{SECOND}.json"]
    gone(three, FIRST)
    assert not three.examine(SECOND).sound
    assert not three.examine(THIRD).sound
    assert three.examine("20261129T030000Z-00ff").problems == ("20261129T030000Z-00ff.json: is missing",)


def test_a_report_alone_is_not_sound_without_those_before_it(three):
    gone(three, FIRST)
    assert "report 1 before it" in three.examine(SECOND).examined[0].problems[0]


def test_a_drill_that_did_not_pass_is_sound_evidence(office):
    office.seal(replace(passing(), error="no space"))
    chain = office.examine()
    assert chain.sound
    assert not chain.reports[0].conclusion.passed


def test_another_fleet_than_expected_is_found(three):
    found = examining.examine(three.folder, three.signers, lambda _: ("", ""), fleet="other")
    assert all("it is of the fleet acme, not other" in one.problems for one in found.examined)
