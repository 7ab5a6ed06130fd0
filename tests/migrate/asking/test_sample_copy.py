"""The copy of a sample: in order, in small files, and another one as soon as another sample is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.migrate.asking import sample_copy
from rackwright.migrate.asking.sample import Drawn
from rackwright.migrate.asking.sample_copy import KIND, SampleCopy
from rackwright.migrate.folder import Folder
from tests.lifecycle.migrate.ends import folder_at, request


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return one with two files of requests: r0 to r299, r300 to r599."""
    found = folder_at(tmp_path)
    for first in (0, 300):
        found.write("requests", [request(number).model_dump_json() for number in range(first, first + 300)])
    return found


def drawn(*numbers: int) -> tuple[Drawn, ...]:
    return tuple(Drawn(f"r{one}", f"requests-{1 + one // 300:06}.jsonl.age", 0.0, 0.0) for one in numbers)


def ids(copy: SampleCopy, *wanted: int) -> list[str]:
    return [one.id for one in copy.requests([f"r{number}" for number in wanted])]


def copied(folder: Folder) -> list[str]:
    return [request.split('"id":"')[1].split('"')[0] for request in folder.read(KIND)]


def test_it_has_the_order_of_the_sample_in_files_of_at_most_200(folder: Folder) -> None:
    sample = drawn(*range(599, 149, -1))
    copy = SampleCopy(folder, sample)
    assert ids(copy, 599, 150) == ["r599", "r150"]
    assert copied(folder) == [one.id for one in sample]
    assert [one.lines for _, one in folder.of(KIND)] == [200, 200, 50]


def test_the_same_sample_is_copied_once_and_another_one_replaces_it(folder: Folder) -> None:
    ids(SampleCopy(folder, drawn(3, 400, 2)), 400)
    before = folder.of(KIND)
    assert ids(SampleCopy(folder, drawn(3, 400, 2)), 2) == ["r2"]
    assert folder.of(KIND) == before
    assert ids(SampleCopy(folder, drawn(3, 401, 2)), 401) == ["r401"]
    assert copied(folder) == ["r3", "r401", "r2"]
    assert ids(SampleCopy(folder, drawn(3)), 3) == ["r3"]
    assert copied(folder) == ["r3"]


def test_one_that_was_cut_short_is_made_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(KIND, [request(number).model_dump_json() for number in range(200)])
    assert ids(SampleCopy(folder, drawn(*range(250))), 249) == ["r249"]
    assert len(copied(folder)) == 250


def test_memory_has_only_a_part_of_a_large_sample(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    line = len(request(100).model_dump_json())
    monkeypatch.setattr(sample_copy, "MOST_CHARACTERS", 3 * line + 10)
    numbers = (500, 100, 400, 200, 599, 110, 300)
    assert ids(SampleCopy(folder, drawn(*numbers)), *numbers) == ["r500", "r100", "r400"]
    assert copied(folder) == [f"r{number}" for number in numbers]
    assert [one.lines for _, one in folder.of(KIND)] == [3, 3, 1]
    monkeypatch.setattr(sample_copy, "MOST_CHARACTERS", 1)
    assert ids(SampleCopy(folder, drawn(*numbers)), *numbers) == ["r500"]


def test_a_request_that_is_not_there_any_more_is_an_error(folder: Folder) -> None:
    with pytest.raises(RackwrightError, match="doesn't have the requests of its sample any more"):
        SampleCopy(folder, (*drawn(1), Drawn("gone", "requests-000001.jsonl.age", 0.0, 0.0))).requests(["r1"])
