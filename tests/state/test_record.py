from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.state.audit import Act, write_audit
from rackwright.state.record import Record, applied_lock, write_record
from tests.shells import LocalShell

WHEN = datetime(2026, 11, 25, 4, 5, tzinfo=UTC)
RECORD = Record(lock="a" * 64, versions={"llama_cpp": "b6000"}, when=WHEN, who="anna", run="r1")


def text_of(folder: Path) -> str:
    return (folder / "record.json").read_text()


def test_a_record_comes_back_as_it_was_written(tmp_path):
    folder = tmp_path / "rack wright"
    write_record(LocalShell(), RECORD, folder=str(folder))
    assert Record.model_validate_json(text_of(folder)) == RECORD
    assert applied_lock(text_of(folder)) == RECORD.lock
    assert '"when": "2026-11-25T04:05:00Z"' in text_of(folder)
    assert [path.name for path in folder.iterdir()] == ["record.json"]


def test_a_host_without_a_record_has_none():
    assert applied_lock("") is None


def test_unknown_keys_are_ignored_and_a_newer_format_is_no_lock_that_is_known(tmp_path):
    write_record(LocalShell(), RECORD, folder=str(tmp_path))
    text = text_of(tmp_path)
    assert applied_lock(text.replace('"who"', '"mood": 1, "who"')) == RECORD.lock
    assert applied_lock(text.replace("record/1", "record/9")) == ""


def test_a_damaged_record_is_no_lock_that_is_known():
    assert applied_lock("{") == ""


def test_a_record_that_cannot_be_written_is_an_error_of_the_host(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="writing the record failed"):
        write_record(LocalShell(), RECORD, folder=str(tmp_path / "file" / "below"))


def test_acts_of_many_writers_stand_one_to_a_line(tmp_path):
    def write(number: int) -> None:
        act = Act(time=WHEN, operator="anna", run=f"r{number}", command="apply", what="site\nx", outcome="done")
        write_audit(LocalShell(), act, folder=str(tmp_path))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    log = tmp_path / "audit.log"
    acts = [Act.model_validate_json(line) for line in log.read_text().splitlines()]
    assert {act.run for act in acts} == {f"r{number}" for number in range(8)}
    assert log.stat().st_mode & 0o777 == 0o600
