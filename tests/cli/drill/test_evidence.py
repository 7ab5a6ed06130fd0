"""The commands of the evidence, with real signatures."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from rackwright.cli.render.drill_pages import drill_pages
from rackwright.lifecycle.drill.evidence.facts import Check, Facts
from rackwright.lifecycle.drill.evidence.folder import folder_of, running
from rackwright.lifecycle.drill.evidence.report import Report
from rackwright.lifecycle.drill.evidence.seal import save_draft, seal
from rackwright.lifecycle.drill.evidence.signers import keep_signers, signers_path
from rackwright.lifecycle.drill.evidence.signing_key import signing_key
from rackwright.state.formats import utc_now
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.drill.conftest import keys as keys
from tests.lifecycle.drill.passing import FIRST, SECOND, THIRD, passing

DOCS = Path(__file__).parents[3] / "docs" / "drill.md"
HOSTILE = "\x1b[2J<script>alert(1)</script> | `x`\u202e\nsound: all"


@pytest.fixture
def fleet(site, keys, monkeypatch) -> Path:
    """A fleet file with anna and ben as operators, and nobody's keys at home."""
    monkeypatch.setenv("HOME", str(site.parent / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with site.open("a") as stream:
        stream.write("people:\n")
        for name in ("anna", "ben"):
            stream.write(f"  {name}: {{role: operator, keys: [{(keys / f'{name}.pub').read_text().strip()}]}}\n")
    return site


def sealed(fleet: Path, keys: Path, *all_facts: Facts) -> Path:
    """Seal these drills as anna, and return the folder."""
    from rackwright.fleet.load import load_fleet

    folder, now = folder_of(fleet), utc_now()
    signers = keep_signers(load_fleet(fleet), now)
    for facts in all_facts:
        seal(folder, facts, signing_key(signers, keys / "anna", now), signers, drill_pages)
    return folder


def verify(path: Path, *more: object) -> Ran:
    return rackwright("drill", "verify", path, *more)


def test_a_folder_is_verified_without_the_fleet_file(fleet, keys, monkeypatch):
    folder = sealed(fleet, keys, passing(), passing(drill=SECOND))
    fleet.unlink()
    monkeypatch.chdir(folder)
    for path in (folder, Path(), folder / f"{SECOND}.json", Path(f"{SECOND}.json")):
        ran = verify(path)
        assert (ran.exit_code, ran.stderr) == (0, "")
        assert f"Recovery drill {SECOND} of acme: passed" in ran.stdout
        assert "  signed by anna on 20" in ran.stdout
        assert "  RTO 11 min 40 s of 1 h 0 min, RPO 31 min 0 s of 24 h 0 min" in ran.stdout
        assert "  not tested: the building: there is one" in ran.stdout
        assert "sound: all signatures and the chain up to report 2, sha256" in ran.stdout


def test_a_changed_report_is_not_proven(fleet, keys):
    folder = sealed(fleet, keys, passing())
    path = folder / f"{FIRST}.json"
    path.write_bytes(path.read_bytes().replace(b"anna@laptop", b"carl@laptop"))
    ran = verify(path)
    assert ran.exit_code == 12
    assert "  NOT SOUND: the signature isn't valid" in ran.stdout
    assert "claims to be by anna" in ran.stdout
    assert "sound: all" not in ran.stdout
    ran = verify(folder, "--json")
    assert (ran.exit_code, ran.document["sound"], ran.document["passed"]) == (12, False, True)


def test_a_drill_that_did_not_pass_is_not_proven_though_its_evidence_is_sound(fleet, keys):
    folder = sealed(fleet, keys, passing(), replace(passing(drill=SECOND), error="no space"))
    ran = verify(folder)
    assert ran.exit_code == 12
    assert "not proven: the drill stopped: no space" in ran.stdout
    assert "sound: all signatures" in ran.stdout
    assert verify(folder / f"{FIRST}.json").exit_code == 0


def test_a_report_behind_a_link_is_not_followed(fleet, keys, tmp_path):
    folder = sealed(fleet, keys, passing())
    link = folder / f"{SECOND}.json"
    link.symlink_to(folder / f"{FIRST}.json")
    ran = verify(link)
    assert ran.exit_code == 12
    assert "is a symbolic link" in ran.stdout


@pytest.mark.parametrize("name", ["none", "acme.drills", "x.json", "site.yml"])
def test_a_path_without_a_report_is_a_usage_error(fleet, keys, name):
    sealed(fleet, keys)
    (fleet.parent / "x.json").write_text("{}")
    folder_of(fleet).mkdir()
    ran = verify(fleet.parent / name.replace("acme.drills", "site.drills"))
    assert ran.exit_code == 2
    assert "error: " in ran.stderr


def test_other_signers_prove_nothing(fleet, keys, tmp_path):
    folder = sealed(fleet, keys, passing())
    (tmp_path / "others").write_text(f"anna {(keys / 'mallory.pub').read_text()}")
    ran = verify(folder, "--signers", tmp_path / "others")
    assert ran.exit_code == 12
    assert "which isn't a signer's key" in ran.stdout
    signers_path(fleet).unlink()
    assert verify(folder).exit_code == 1


def test_what_a_host_sent_steers_no_terminal_and_no_page(fleet, keys):
    facts = replace(passing(), checks=(*passing().checks, Check(HOSTILE, "failed", "gate1", HOSTILE, HOSTILE)))
    folder = sealed(fleet, keys, facts)
    assert verify(folder / f"{FIRST}.json", "--json").document["sound"]
    ran = verify(folder)
    assert "\x1b" not in ran.stdout
    assert "\u202e" not in ran.stdout
    assert [line for line in ran.stdout.splitlines() if line.startswith("sound: ")] == [ran.stdout.splitlines()[-1]]
    for page in (folder / f"{FIRST}.html", folder / f"{FIRST}.md"):
        text = page.read_text()
        assert not re.search(r"(?<!\\)<script", text)
        assert not any(character in text for character in "\x1b\u202e")
    # A row stays a row: its cells aren't ended by what is in them.
    assert "\nsound: all" not in (folder / f"{FIRST}.md").read_text()
    row = next(line for line in (folder / f"{FIRST}.md").read_text().splitlines() if "| failed |" in line)
    assert row.replace("\\|", "").count("|") == 6


def test_a_page_and_its_sections_say_everything(fleet, keys):
    folder = sealed(fleet, keys, passing())
    for suffix in (".md", ".html"):
        text = (folder / f"{FIRST}{suffix}").read_text()
        for words in (
            "bought",
            "gate1",
            "vault",
            "f" * 64,
            "GDPR 32",
            "HIPAA",
            "A.8.13",
            "SOC 2",
            "b10434",
            "2027-01-31",
        ):
            assert (words in text) is (words != "bought"), (suffix, words)


def test_history_lists_drills_and_leftovers_and_draws_a_page(fleet, keys, tmp_path):
    folder = sealed(fleet, keys, passing(), replace(passing(drill=SECOND), error="<b>no space</b>"))
    save_draft(folder, passing(drill=THIRD))
    ran = rackwright("-f", fleet, "drill", "history", "--html", tmp_path / "page.html")
    assert ran.exit_code == 0
    rows = [line.split() for line in ran.stdout.splitlines()]
    assert [(row[1], row[3], row[-1]) for row in rows[1:]] == [(FIRST, "yes", "sound"), (SECOND, "NO", "sound")]
    assert f"next: rackwright drill seal {THIRD}" in ran.stderr
    page = (tmp_path / "page.html").read_text()
    assert page.count("<polyline") == 2
    assert page.count("<circle") == 4
    document = rackwright("-f", fleet, "drill", "history", "--json").document
    assert document["leftovers"] == [THIRD]
    assert [one["report"]["conclusion"]["passed"] for one in document["reports"]] == [True, False]


def test_history_says_when_evidence_is_not_sound_and_draws_only_sound_evidence(fleet, keys, tmp_path):
    folder = sealed(fleet, keys, passing(), passing(drill=SECOND))
    (folder / f"{FIRST}.json").unlink()
    ran = rackwright("-f", fleet, "drill", "history", "--html", tmp_path / "page.html")
    assert "NOT SOUND: report 1 before it" in ran.stdout
    assert f"NOT SOUND: {FIRST}.json: is missing; its signature is there" in ran.stderr
    assert "<circle" not in (tmp_path / "page.html").read_text()
    ran = rackwright("-f", fleet, "drill", "history", "--html", tmp_path)
    assert (ran.exit_code, "is a directory" in ran.stderr) == (2, True)


def test_no_drill_yet(fleet):
    ran = rackwright("-f", fleet, "drill", "history")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "no drill yet\n", "")


def review(fleet: Path, *words: object) -> Ran:
    return rackwright("-f", fleet, "drill", "review", *words)


def test_a_second_person_reviews_and_closes_findings(fleet, keys):
    folder = sealed(fleet, keys, passing())
    ran = review(fleet, FIRST, "--sign-with", keys / "ben", "--note", "good", "--close", "1:new disk")
    assert (ran.exit_code, ran.stdout) == (0, f"{FIRST}: reviewed by ben\n"), ran.stderr
    assert "  reviewed by ben: good" in verify(folder).stdout
    (path,) = folder.glob("*.review-1.json")
    path.write_text(path.read_text().replace("good", "poor"))
    ran = verify(folder)
    assert (ran.exit_code, "NOT SOUND: 2" in ran.stdout) == (12, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--sign-with", "anna"), 2),
        (("--sign-with", "mallory"), 2),
        ((), 2),
        (("--sign-with", "ben", "--close", "2:x"), 2),
        (("--sign-with", "ben", "--close", "x"), 2),
        (("--sign-with", "ben", "--close", "1:x", "--close", "1:y"), 2),
        (("--sign-with", "ben", "--note", "a\x1bb"), 2),
    ],
)
def test_a_review_that_would_not_count_is_refused(fleet, keys, words, code):
    folder = sealed(fleet, keys, passing())
    words = [keys / word if word in ("anna", "ben", "mallory") else word for word in words]
    ran = review(fleet, FIRST, *words)
    assert (ran.exit_code, "error: " in ran.stderr) == (code, True)
    assert not list(folder.glob("*.review-*"))


def test_only_sound_evidence_of_a_known_drill_is_reviewed(fleet, keys):
    folder = sealed(fleet, keys, passing())
    for drill in (SECOND, "../x", ""):
        assert review(fleet, drill, "--sign-with", keys / "ben").exit_code == 2
    (folder / f"{FIRST}.html").write_text("")
    assert review(fleet, FIRST, "--sign-with", keys / "ben").exit_code == 12


def test_a_killed_drill_is_sealed_as_not_passed(fleet, keys):
    sealed(fleet, keys)
    folder = folder_of(fleet)
    words = ("-f", fleet, "drill", "seal", FIRST, "--sign-with", keys / "anna")
    with running(folder, FIRST):
        save_draft(folder, passing())
        assert rackwright(*words).exit_code == 2
    ran = rackwright(*words, "--json")
    assert (ran.exit_code, ran.document["doubts"]) == (
        12,
        ["the drill stopped: it was killed; its draft was sealed later"],
    )
    assert rackwright(*words).exit_code == 2
    assert "sound: all" in verify(folder).stdout


def test_signers_are_shown_and_added(fleet, keys):
    ran = rackwright("-f", fleet, "drill", "signers", "show")
    assert [line.split()[:3] for line in ran.stdout.splitlines()[1:]] == [
        ["anna", "reports,", "reviews"],
        ["ben", "reports,", "reviews"],
    ]
    ran = rackwright("-f", fleet, "drill", "signers", "add", "auditor", keys / "mallory.pub", "--json")
    assert [one["name"] for one in ran.document["signers"]] == ["anna", "ben", "auditor"]
    assert "auditor" in signers_path(fleet).read_text()
    ran = rackwright("-f", fleet, "drill", "signers", "add", "auditor", keys / "mallory")
    assert (ran.exit_code, "PRIVATE key" in ran.stderr) == (2, True)


def test_the_docs_map_each_field_of_a_report_to_clauses():
    lines = DOCS.read_text().partition("## Which clause asks for which field")[2].splitlines()
    mapped = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    own = {name for name in Report.model_fields if name not in ("facts",)}
    assert set(mapped) == {one.name for one in fields(Facts)} | own
    clauses = ("A.8.13", "164.308(a)(7)", "32(1)", "A1.3")
    unasked = [name for name, line in mapped.items() if not any(clause in line for clause in clauses)]
    assert unasked == []


def test_json_of_a_report_is_the_file_itself(fleet, keys):
    folder = sealed(fleet, keys, passing())
    document = verify(folder, "--json").document["reports"][0]["report"]
    assert document == json.loads((folder / f"{FIRST}.json").read_text())
