"""Requests and their answers are put together in any order, with limited memory."""

from __future__ import annotations

import random

import pytest

from rackwright.errors import RackwrightError
from tests.migrate.score.answers import answer, joined, labelled, labels, lines


def names(found):
    return sorted(one.request.id for one in found)


def test_each_request_comes_once_with_its_own_answers():
    whole = labels(20, 10, 10, 5)
    join, found = joined(lines(whole))
    assert found == whole
    assert not join.left_out


@pytest.mark.parametrize("limit", [2_000, 20_000, 10_000_000])
def test_files_in_any_order_give_the_same_with_any_limit(limit):
    whole, files = labels(40), lines(labels(40))
    for number, (_, part) in enumerate(files.items()):
        random.Random(number).shuffle(part)  # noqa: S311 (no secret)
    join, found = joined(files, waiting=limit)
    assert names(found) == names(whole)
    assert all({one.cloud.request, one.again.request, one.fleet.request} == {one.request.id} for one in found)
    assert not join.left_out


def test_what_waits_is_limited():
    from rackwright.migrate.score.join import _Once

    files = lines(labels(200))
    files["answers-fleet"].reverse()
    waited = []

    class Watched(_Once):
        def _add(self, key, part, line):
            yield from super()._add(key, part, line)
            waited.append(self.size)

    from rackwright.migrate.score import join as module

    wanted = {module._key(f"r{number:06}") for number in range(200)}
    once = Watched(lambda part: iter(files[part]), wanted, set(), 20_000)
    assert len(list(once)) + len(once.later) == 200
    assert once.later
    assert max(waited) <= 20_000


def test_why_a_request_is_left_out_is_counted():
    files = lines(labels(9))
    del files["requests"][0], files["answers-again"][1], files["answers-fleet"][2]
    del files["answers-cloud"][3]
    files["answers-fleet"].append(files["answers-fleet"][-1])
    files["requests"].append(files["requests"][-1])
    join, found = joined(files)
    assert names(found) == [f"r{number:06}" for number in range(4, 9)]
    assert join.left_out == {
        "the request isn't recorded": 1,
        "no answer of the cloud again": 1,
        "no answer of the fleet": 1,
        "not replayed": 1,
        "second line with the same id": 2,
    }


def test_a_second_answer_to_the_same_request_does_not_count():
    files = lines([labelled(1)])
    files["answers-fleet"].append(lines([labelled(1, fleet=False)])["answers-fleet"][0])
    _, (found,) = joined(files)
    assert found == labelled(1)


def test_nothing_at_all_is_nothing():
    join, found = joined(lines([]))
    assert not found
    assert not join.left_out


@pytest.mark.parametrize("line", ["{", "[]", '{"request": 3}', "", '{"request": "r000001"}'])
def test_a_damaged_line_is_named_without_its_text(line):
    files = lines(labels(3))
    files["answers-fleet"][1] = line
    with pytest.raises(RackwrightError, match="answers-fleet: a line can't be read"):
        joined(files)


def test_a_request_that_the_cloud_failed_is_said_to_be_that():
    files = lines([labelled(1)])
    failed = answer("", name="r000001", asked="cloud", status=500).model_copy(update={"error": "HTTP 500"})
    files["answers-cloud"] = [failed.model_dump_json()]
    files["answers-again"] = files["answers-fleet"] = []
    join, found = joined(files)
    assert not found
    assert join.left_out == {"the cloud failed": 1}
