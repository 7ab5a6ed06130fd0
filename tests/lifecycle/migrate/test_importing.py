"""An import adds each request once, refuses what it can't use before it writes, and keeps what was complete."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rackwright.errors import FleetError, RackwrightError
from rackwright.lifecycle.migrate.importing import import_logs, known_ids
from rackwright.migrate import folder as folders
from rackwright.migrate import folder_list
from rackwright.migrate.importing.found import Imported, Reason
from rackwright.migrate.recorded_request import RecordedRequest
from tests.full_disk import full_at
from tests.lifecycle.migrate.desks import Desk, Dies
from tests.migrate.importing.logs import archive, entry, lines

CHAT = "https://api.openai.com/v1/chat/completions"


def body(text: str = "Hello", model: str = "gpt-4o-mini") -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def log(desk: Desk, content: str, name: str = "requests.jsonl") -> Path:
    path = desk.folder / name
    path.write_text(content)
    return path


def requests(desk: Desk) -> list[RecordedRequest]:
    return [RecordedRequest.model_validate_json(line) for line in desk.open().folder.read("requests")]


def test_requests_are_in_the_folder_encrypted_and_the_import_is_noted(desk: Desk) -> None:
    path = log(desk, lines(body("I am anna@example.com"), body(model="gpt-9"), "no request"))
    imported = import_logs(desk.open(), (path,))
    assert (imported.read, imported.kept, imported.skipped) == (3, 2, {Reason.NOT_OBJECT: 1})
    assert imported.personal == {"email": 1}
    assert (imported.models, imported.unmapped) == ({"gpt-4o-mini": 1, "gpt-9": 1}, {"gpt-9": 1})
    one, two = requests(desk)
    assert one.body["messages"] == [{"role": "user", "content": "I am <email-1>"}]
    assert two.model == "gpt-9"
    place = desk.open()
    assert place.result("import", Imported) == imported
    assert place.entries()[-1].what == "2 requests from 1 file, 1 skipped"
    assert desk.said == [f"{path}: 2 requests"]
    stored = b"".join(path.read_bytes() for path in desk.records.iterdir())
    assert b"Hello" not in stored
    assert b"anna" not in stored


def test_a_second_import_of_the_same_log_adds_nothing(desk: Desk) -> None:
    path = log(desk, lines(body(), body("again")))
    import_logs(desk.open(), (path,))
    again = import_logs(desk.open(), (path,))
    assert (again.kept, again.skipped) == (0, {Reason.DUPLICATE: 2})
    assert len(requests(desk)) == 2
    assert [one.step for one in desk.open().entries()] == ["init", "import", "import"]


def test_everything_that_is_wrong_is_named_at_once_and_nothing_is_written(desk: Desk) -> None:
    good, bad = log(desk, lines(body())), log(desk, "hello", "bad")
    with pytest.raises(FleetError) as caught:
        import_logs(desk.open(), (good, bad, desk.folder / "missing"))
    assert [problem.what for problem in caught.value.problems] == [
        "is of no known format",
        "doesn't exist",
    ]
    assert not desk.records.exists()
    assert desk.open().entries() == ()


def test_a_pattern_of_the_plan_that_can_be_slow_is_refused_at_its_line(desk: Desk) -> None:
    desk.edit("records:\n", 'records:\n  redact: {ticket: "[0-9]+-[0-9]+"}\n')
    with pytest.raises(FleetError, match=r"yml:7 records.redact.ticket: can take very long on"):
        desk.open()


def test_a_log_without_any_request_is_refused_with_the_reasons(desk: Desk) -> None:
    with pytest.raises(RackwrightError) as caught:
        import_logs(desk.open(), (log(desk, lines({"a": 1}, body(model=""), 3)),))
    assert caught.value.problems[0].listed == (
        "no name of a model: 2, the first is requests.jsonl:1",
        "not an object: 1, the first is requests.jsonl:3",
    )
    assert desk.open().entries() == ()
    assert requests(desk) == []


def test_the_operators_own_kinds_are_replaced(desk: Desk) -> None:
    desk.edit("records:\n", 'records:\n  redact: {ticket: "TCK-[0-9]{6}"}\n')
    import_logs(desk.open(), (log(desk, lines(body("see TCK-123456"))),))
    assert requests(desk)[0].personal == {"ticket": 1}


def test_a_full_disk_leaves_what_was_complete_and_the_same_import_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "CHUNK", 3000)
    # The files of short requests fit; that of the long one doesn't.
    path = log(desk, lines(*(body(f"{number} {'x' * 100}") for number in range(50)), body("x" * 9000), body("last")))
    place = desk.open()
    with full_at(4200), pytest.raises(RackwrightError) as caught:
        import_logs(place, (path,))
    assert "can't be written: File too large" in str(caught.value)
    kept = requests(desk)
    assert 30 < len(kept) <= 50
    assert f"the {len(kept)} requests in the folder will not be added twice" in str(caught.value)
    assert not desk.open().folder.problems()
    import_logs(desk.open(), (path,))
    found = requests(desk)
    assert len(found) == len({one.id for one in found}) == 52


def test_a_log_that_is_damaged_in_its_middle_keeps_what_came_before_and_says_so(desk: Desk) -> None:
    content = archive(entry(CHAT, body()), entry(CHAT, body("x" * (9 * 2**20))), entry(CHAT, body("after")))
    path = log(desk, content, "log.har")
    with pytest.raises(RackwrightError, match="has a text of more than 8 MiB") as caught:
        import_logs(desk.open(), (path,))
    assert "the 1 request in the folder will not be added twice" in str(caught.value)
    assert len(requests(desk)) == 1
    assert desk.open().entries()[-1].what == "1 request from 1 file, 0 skipped; stopped before the end"


def test_a_killed_import_is_repeated_and_every_request_is_there_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "CHUNK", 2000)
    path = log(desk, lines(*(body(str(number)) for number in range(60))))
    real = folders.replace_file
    for number in range(1, 30):
        left = [number]

        def dies(*words: object, left: list[int] = left, **more: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Dies
            real(*words, **more)  # type: ignore[arg-type]

        for module in (folders, folder_list):
            monkeypatch.setattr(module, "replace_file", dies)
        try:
            import_logs(desk.open(), (path,))
            break
        except Dies:
            pass
    for module in (folders, folder_list):
        monkeypatch.setattr(module, "replace_file", real)
    found = requests(desk)
    assert sorted(int(str(one.body["messages"][0]["content"])) for one in found) == list(range(60))  # type: ignore[index, call-overload]
    assert number > 5


def test_a_folder_that_isnt_the_one_that_the_log_knows_is_refused(desk: Desk) -> None:
    import_logs(desk.open(), (log(desk, lines(body())),))
    (name,) = desk.records.glob("requests-*")
    name.write_bytes(name.read_bytes()[:-1])
    with pytest.raises(RackwrightError, match="was changed"):
        import_logs(desk.open(), (log(desk, lines(body("new"))),))


def test_a_machine_without_the_folder_is_refused_before_it_writes(desk_of: Callable[..., Desk]) -> None:
    desk, other = desk_of(), desk_of("ben", "desk")
    import_logs(desk.open(), (log(desk, lines(body())),))
    with pytest.raises(RackwrightError, match=r"isn't on this machine; anna@laptop had it on laptop"):
        import_logs(other.open(), (log(other, lines(body("new"))),))
    assert not other.records.exists()


def test_ids_are_read_however_a_line_is_written(desk: Desk) -> None:
    place = desk.open()
    one = RecordedRequest(id='a"b', path="/v1/completions", model="m", body={}, origin="capture")
    other = json.dumps({"id": "c", **json.loads(one.model_dump_json(exclude={"id"}))})
    place.folder.write("requests", [one.model_dump_json(), other])
    assert list(known_ids(desk.open().folder)) == ['a"b', "c"]
