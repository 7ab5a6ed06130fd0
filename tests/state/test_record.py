from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.state.audit import Act, write_audit
from rackwright.state.record import Record, read_record, write_record
from tests.shells import LocalShell

WHEN = datetime(2026, 11, 25, 4, 5, tzinfo=UTC)
RECORD = Record(lock="a" * 64, versions={"llama_cpp": "b6000"}, when=WHEN, who="anna", run="r1")


def test_a_record_comes_back_as_it_was_written(tmp_path):
    folder = str(tmp_path / "rack wright")
    write_record(LocalShell(), RECORD, folder=folder)
    assert read_record(LocalShell(), folder=folder) == RECORD
    assert '"when": "2026-11-25T04:05:00Z"' in (tmp_path / "rack wright/record.json").read_text()
    assert [path.name for path in (tmp_path / "rack wright").iterdir()] == ["record.json"]


def test_a_host_without_a_record_has_none(tmp_path):
    assert read_record(LocalShell(), folder=str(tmp_path / "none")) is None


def test_unknown_keys_are_ignored_and_a_newer_format_is_refused(tmp_path):
    write_record(LocalShell(), RECORD, folder=str(tmp_path))
    path = tmp_path / "record.json"
    path.write_text(path.read_text().replace('"who"', '"mood": 1, "who"'))
    assert read_record(LocalShell(), folder=str(tmp_path)) == RECORD
    path.write_text(path.read_text().replace("record/1", "record/9"))
    with pytest.raises(RackwrightError, match=r"newer rackwright \(record/9\); this rackwright reads up to record/1"):
        read_record(LocalShell(), folder=str(tmp_path))


def test_a_damaged_record_is_named_with_its_place(tmp_path):
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(RackwrightError, match=r"gate1: .*/record.json: is damaged"):
        read_record(LocalShell(), folder=str(tmp_path))


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
