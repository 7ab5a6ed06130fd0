from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
from dataclasses import replace

import pytest

from rackwright.errors import LeasedError, ProofError, RackwrightError, UsageError
from rackwright.lifecycle.drill.evidence import folder as files
from rackwright.lifecycle.drill.evidence import seal as sealing
from rackwright.lifecycle.drill.evidence.folder import folder_of, is_running, running
from rackwright.lifecycle.drill.evidence.report import Link, report_in
from rackwright.lifecycle.drill.evidence.seal import drafts, save_draft
from tests.lifecycle.drill.passing import FIRST, SECOND, THIRD, minutes, passing

PARTS = {f"{FIRST}.json", f"{FIRST}.json.sig", f"{FIRST}.md", f"{FIRST}.html"}


def there(office) -> set[str]:
    """Return the files that aren't hidden."""
    return {path.name for path in office.folder.iterdir() if not path.name.startswith(".")}


def test_a_sealed_report_is_read_as_it_was_written(office):
    sealed = office.seal(passing())
    content = sealed.path.read_bytes()
    assert report_in(content, "x") == sealed.report
    assert sealed.report.facts == passing()
    assert (sealed.report.number, sealed.report.previous, sealed.doubts) == (1, None, ())
    assert sealed.sha256 == hashlib.sha256(content).hexdigest()
    assert there(office) == PARTS
    assert office.problems() == []


def test_times_within_a_second_are_concluded_from_as_a_reader_has_them(office):
    facts = passing()
    exact = tuple(replace(one, time=one.time + minutes(0.009)) for one in facts.recovery_points)
    sealed = office.seal(replace(facts, recovery_points=exact, started=facts.started + minutes(0.009)))
    assert sealed.report.conclusion.rpo_s == 1860.0
    assert report_in(sealed.path.read_bytes(), "x") == sealed.report
    assert office.problems() == []


def test_ssh_keygen_alone_verifies_it(office, keys, tmp_path):
    sealed = office.seal(passing())
    (tmp_path / "signers").write_text(f"anna {(keys / 'anna.pub').read_text()}")
    words = ["-f", tmp_path / "signers", "-I", "anna", "-n", "rackwright-drill", "-s", f"{sealed.path}.sig"]
    with sealed.path.open("rb") as stream:
        done = subprocess.run(["ssh-keygen", "-Y", "verify", *words], stdin=stream, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_each_report_names_the_one_before(office):
    first, second, third = office.seal_three()
    assert second.report.previous == Link(drill=FIRST, sha256=first.sha256)
    assert third.report.previous == Link(drill=SECOND, sha256=second.sha256)
    assert [one.report.number for one in (first, second, third)] == [1, 2, 3]
    assert office.problems() == []


def test_a_drill_has_one_report(office):
    office.seal(passing())
    before = {path.name: path.read_bytes() for path in office.folder.iterdir()}
    with pytest.raises(UsageError, match="has a report"):
        office.seal(replace(passing(), operator="ben"))
    after = {path.name: path.read_bytes() for path in office.folder.iterdir()}
    assert before.items() <= after.items()


def test_the_folder_of_another_fleet_is_not_continued(office):
    office.seal(passing())
    with pytest.raises(ProofError, match="is of the fleet acme"):
        office.seal(passing(drill=SECOND, fleet="other"))


def test_a_report_that_can_not_be_read_is_not_continued_and_the_draft_stays(office):
    sealed = office.seal(passing())
    sealed.path.write_text("{")
    with pytest.raises(RackwrightError, match="is damaged"):
        office.seal(passing(drill=SECOND))
    assert [one.facts.drill for one in drafts(office.folder)] == [SECOND]


def test_someone_who_may_not_sign_seals_nothing(office):
    with pytest.raises(ProofError):
        office.seal(passing(), "mallory")
    assert there(office) == {f"{FIRST}.draft.json"}


@pytest.mark.parametrize("cut", range(6))
def test_a_cut_at_any_write_leaves_no_half_report_and_sealing_again_completes_it(office, monkeypatch, cut):
    """Writes in order: draft, Markdown, HTML, signature, report; then the draft's removal."""
    left = [cut]

    def dying(act):
        def step(*arguments):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            act(*arguments)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "put", dying(files.put))
        patch.setattr(sealing, "remove", dying(files.remove))
        with pytest.raises(KeyboardInterrupt):
            office.seal(passing())
    if (office.folder / f"{FIRST}.json").exists():
        assert cut == 5
    else:
        assert [one.facts for one in drafts(office.folder)] == ([passing()] if cut else [])
        assert [one.examined for one in (office.examine(),)] == [()]
        office.seal(passing())
        assert there(office) == PARTS
    assert office.problems() == []


def test_a_draft_whose_report_is_written_is_no_leftover(office):
    office.seal(passing())
    save_draft(office.folder, passing())
    assert drafts(office.folder) == ()


def _seal(office, drill, together):
    together.wait(60)
    office.seal(passing(drill=drill))


def test_several_at_once_do_not_fork_the_chain(office):
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(3)
    all_ = [
        fork.Process(target=_seal, args=(office, drill, together), daemon=True) for drill in (FIRST, SECOND, THIRD)
    ]
    for one in all_:
        one.start()
    for one in all_:
        one.join(60)
    assert [one.exitcode for one in all_] == [0, 0, 0]
    assert sorted(one.report.number for one in office.examine().examined) == [1, 2, 3]
    assert office.problems() == []


def test_a_killed_drill_leaves_its_last_facts(office):
    save_draft(office.folder, replace(passing(), checks=()))
    save_draft(office.folder, passing())
    (left,) = drafts(office.folder)
    assert left.facts == passing()


def test_a_running_drill_leaves_nothing(office):
    with running(office.folder, FIRST):
        save_draft(office.folder, passing())
        assert is_running(office.folder, FIRST)
        assert drafts(office.folder) == ()
        with pytest.raises(LeasedError), running(office.folder, FIRST):
            pass
    assert not is_running(office.folder, FIRST)
    assert len(drafts(office.folder)) == 1


def test_a_killed_process_runs_no_drill(office):
    process = multiprocessing.get_context("fork").Process(target=_die, args=(office.folder,), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert (office.folder / f".running-{FIRST}").exists()
    assert not is_running(office.folder, FIRST)


def _die(folder):
    with running(folder, FIRST):
        os._exit(9)


@pytest.mark.parametrize("drill", ["", "../../etc/passwd", "x", FIRST + "/x", FIRST.lower()])
def test_a_drill_that_is_no_run_is_refused(office, drill):
    with pytest.raises(RackwrightError, match="isn't a run's id"):
        office.seal(passing(drill=drill))


def test_nothing_is_written_through_a_link(office, tmp_path):
    office.folder.mkdir()
    target = tmp_path / "target"
    target.write_text("mine")
    for name in (f"{FIRST}.json", f"{FIRST}.json.sig", f"{FIRST}.md", f"{FIRST}.draft.json"):
        (office.folder / name).symlink_to(target)
        with pytest.raises(RackwrightError):
            office.seal(passing())
        for path in office.folder.iterdir():
            path.unlink()
    assert target.read_text() == "mine"
    assert not (office.folder / f"{FIRST}.json").exists()


def test_a_full_disk_is_an_error_and_leaves_no_report(office, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace_file", full)
    with pytest.raises(RackwrightError, match="No space left"):
        office.seal(passing())
    assert there(office) == set()


def test_a_report_that_no_reader_would_take_is_not_written(office, monkeypatch):
    monkeypatch.setattr(sealing, "LIMIT", 100)
    with pytest.raises(RackwrightError, match="would be larger"):
        office.seal(passing())
    assert there(office) == {f"{FIRST}.draft.json"}


def test_a_clock_that_is_a_little_slow_keeps_the_order_and_a_wrong_one_seals_nothing(office, monkeypatch):
    first = office.seal(passing()).report
    monkeypatch.setattr(sealing, "utc_now", lambda: first.sealed - minutes(4))
    assert office.seal(passing(drill=SECOND)).report.sealed == first.sealed
    assert office.problems() == []
    monkeypatch.setattr(sealing, "utc_now", lambda: first.sealed - minutes(6))
    with pytest.raises(RackwrightError, match="in the future"):
        office.seal(passing(drill=THIRD))
    monkeypatch.setattr(sealing, "utc_now", lambda: passing().ended - minutes(6))
    for path in office.folder.glob("*"):
        path.unlink()
    with pytest.raises(RackwrightError, match="in the future"):
        office.seal(passing())


def test_the_folder_is_named_like_the_fleet_file(tmp_path):
    assert folder_of(tmp_path / "acme.yml") == tmp_path / "acme.drills"
