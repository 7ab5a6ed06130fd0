"""Requests are read from logs of other programs; what can't be used is counted by reason."""

from __future__ import annotations

import gzip
import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rackwright.errors import FleetError, RackwrightError
from rackwright.migrate.folder import MOST_LINE
from rackwright.migrate.importing.found import Reason, known_path, seconds_of
from rackwright.migrate.importing.importer import Importer, shapes_of
from rackwright.migrate.importing.json_items import MOST_ITEM
from rackwright.migrate.importing.seen_ids import SeenIds
from tests.migrate.importing.logs import BODY, PAYLOAD, ROW, STORED, archive, entry, imported, lines

CHAT = "https://api.openai.com/v1/chat/completions"


def write(folder: Path, content: str | bytes, name: str = "log") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lines_of_bodies_are_redacted_and_counted(tmp_path):
    path = write(tmp_path, lines(BODY, BODY | {"model": "gpt-4o-mini", "user": "u1"}))
    (one, two), report = imported(path)
    assert (one.path, one.model, one.origin, one.arrived) == ("/v1/chat/completions", "gpt-4o", "jsonl", None)
    assert one.body == {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, I am <email-1>"}]}
    assert one.personal == {"email": 1}
    assert two.body["user"] == "<user-1>"
    assert report.model_dump(exclude={"format"}) == {
        "files": 1,
        "read": 2,
        "kept": 2,
        "skipped": {},
        "first_skipped": {},
        "personal": {"email": 2, "user": 1},
        "models": {"gpt-4o": 1, "gpt-4o-mini": 1},
        "undated": 2,
        "unmapped": {},
    }


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"model": "m", "prompt": "Hi"}, "/v1/completions"),
        ({"model": "m", "input": "Hi"}, "/v1/responses"),
        ({"model": "m", "prompt": {"id": "pmpt_1"}}, "/v1/responses"),
        ({"model": "text-embedding-3", "input": ["Hi"]}, "/v1/embeddings"),
        ({"model": "m", "input": ["Hi"], "dimensions": 8}, "/v1/embeddings"),
    ],
)
def test_the_body_says_which_request_it_is(tmp_path, body, path):
    (one,), _ = imported(write(tmp_path, lines(body)))
    assert (one.path, one.body) == (path, body)


def test_batch_input_has_its_id_and_path(tmp_path):
    line = {"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": BODY}
    personal = line | {"custom_id": "anna@example.com"}
    other = line | {"custom_id": "x", "url": "/v1/files"}
    found, report = imported(write(tmp_path, lines(line, personal, other, line)))
    assert next(one.id for one in found) == "request-1"
    assert "anna" not in found[1].id
    assert report.skipped == {Reason.OTHER: 1, Reason.DUPLICATE: 1}


@pytest.mark.parametrize("shape", ["page", "lines", "list", "pages"])
def test_stored_completions_keep_parameters_time_and_tokens_but_no_answer(tmp_path, shape):
    page = {"object": "list", "data": [STORED], "first_id": "x", "last_id": "x", "has_more": False}
    content = {
        "page": json.dumps(page, indent=2),
        "lines": lines(STORED),
        "list": json.dumps([STORED]),
        "pages": lines(page, page),
    }[shape]
    (one,), report = imported(write(tmp_path, content))
    assert one.body == {
        "model": "gpt-4o-2024-08-06",
        "messages": [{"role": "user", "content": "write to <email-1>"}],
        "seed": 4944116822809979520,
        "temperature": 1.0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "service_tier": "default",
        "metadata": {"team": "support"},
        "store": True,
    }
    assert (one.id, one.arrived) == (STORED["id"], 1738960610.0)
    assert (one.origin, one.prompt_tokens, one.completion_tokens) == ("openai", 13, 18)
    assert "SECRET" not in one.model_dump_json()
    assert report.skipped == ({Reason.DUPLICATE: 1} if shape == "pages" else {})


def test_a_stored_completion_without_its_messages_is_counted(tmp_path):
    without = {name: value for name, value in STORED.items() if name != "messages"}
    _, report = imported(write(tmp_path, lines(without, STORED | {"messages": STORED["messages"]["data"]})))
    assert (report.kept, report.skipped) == (1, {Reason.NO_PROMPT: 1})


def test_litellms_rows_and_payloads_have_what_the_client_sent(tmp_path):
    parsed = ROW | {"request_id": "r2", "proxy_server_request": json.loads(ROW["proxy_server_request"])}
    (row, second, payload), report = imported(write(tmp_path, lines(ROW, parsed, PAYLOAD)))
    assert row.body == {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi from <ip-1>"}], "n": 2}
    assert second.body == row.body
    assert (row.id, row.arrived, row.prompt_tokens, row.completion_tokens) == ("chatcmpl-1", 1796026501.25, 10, 20)
    assert payload.body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.2,
        "stream": True,
    }
    assert payload.arrived == 1764490501.25
    assert report.models == {"gpt-4o-mini": 3}
    text = "".join(one.model_dump_json() for one in (row, second, payload))
    assert not [secret for secret in ("SECRET", "88dc28", "203.0.113", "litellm_metadata") if secret in text]


def test_litellms_prompts_that_arent_whole_are_counted(tmp_path):
    cut = {"role": "user", "content": "abc... (litellm_truncated 12982 chars) xyz"}
    rows = (
        PAYLOAD | {"messages": [cut]},
        PAYLOAD | {"messages": [{"role": "user", "content": "redacted-by-litellm"}]},
        ROW | {"proxy_server_request": "{}", "messages": {}},
        PAYLOAD | {"call_type": "aimage_generation"},
    )
    _, report = imported(write(tmp_path, lines(*rows)))
    assert report.skipped == {Reason.CUT: 1, Reason.NO_PROMPT: 2, Reason.OTHER: 1}


def test_litellms_embeddings_have_their_texts_as_messages(tmp_path):
    row = PAYLOAD | {
        "call_type": "aembedding",
        "messages": [{"role": "user", "content": "rain"}],
        "model_parameters": {},
    }
    (one,), _ = imported(write(tmp_path, lines(row)))
    assert (one.path, one.body) == ("/v1/embeddings", {"input": "rain", "model": "gpt-4o-mini"})


def test_an_archive_gives_only_posts_to_known_paths_and_never_a_header(tmp_path):
    azure = "https://x.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-06-01"
    without = {name: value for name, value in BODY.items() if name != "model"}
    get = entry(CHAT, BODY)
    get["request"]["method"] = "GET"
    stream = entry(CHAT, BODY)
    stream["response"]["content"]["text"] = (
        'data: {"choices": [{"delta": {"content": "SECRET"}}], "usage": null}\n\n'
        'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\ndata: [DONE]\n'
    )
    content = archive(
        entry(CHAT, BODY), entry(azure, without), get, entry("https://example.com/", {}), entry(CHAT, "{not"), stream,
        entry(CHAT, ""), entry(CHAT, "[]"),
    )  # fmt: skip
    found, report = imported(write(tmp_path, content))
    assert [(one.model, one.prompt_tokens, one.completion_tokens) for one in found] == [
        ("gpt-4o", 5, 6),
        ("my-gpt", 5, 6),
        ("gpt-4o", 3, 4),
    ]
    assert {one.path for one in found} == {"/v1/chat/completions"}
    assert found[0].arrived == 1796026501.25
    assert "SECRET" not in "".join(one.model_dump_json() for one in found)
    assert report.skipped == {Reason.OTHER: 2, Reason.NOT_JSON: 1, Reason.NO_PROMPT: 1, Reason.NOT_OBJECT: 1}


def test_the_first_that_was_skipped_for_a_reason_is_named_by_its_line(tmp_path):
    path = write(tmp_path, f"{lines(BODY)}\n\nnot JSON\n{lines(BODY)}{{not\n3\n", name="log\x1b[2J.jsonl")
    _, report = imported(path)
    assert report.first_skipped == {
        Reason.NOT_JSON: "log\\x1b[2J.jsonl:4",
        Reason.NOT_OBJECT: "log\\x1b[2J.jsonl:7",
    }
    _, report = imported(write(tmp_path, json.dumps([BODY, 3], indent=1), name="list.json"))
    assert report.first_skipped == {Reason.NOT_OBJECT: "item 2 of list.json"}


def test_lines_that_are_no_archive_are_named_as_such(tmp_path):
    _, report = imported(write(tmp_path, lines(BODY)), format="har")
    assert report.skipped == {Reason.NOT_ENTRY: 1}


def test_each_line_that_cant_be_used_is_counted_and_the_next_one_is_read(tmp_path):
    bad = [
        (b"{not json}", Reason.NOT_JSON),
        (b'{"model": "gpt-4o", "messages": NaN}', Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b'{"model": "gpt-4o", "messages": "caf\xe9"}', Reason.NOT_UTF8),
        (b'"text"', Reason.NOT_OBJECT),
        (b"12", Reason.NOT_OBJECT),
        (b"null", Reason.NOT_OBJECT),
        (b"[1, 2]", Reason.NOT_OBJECT),
        (b'{"messages": [{"role": "user"}]}', Reason.NO_MODEL),
        (b'{"model": "a b", "messages": [{"role": "user"}]}', Reason.NO_MODEL),
        (b'{"model": ["x"], "messages": [{"role": "user"}]}', Reason.NO_MODEL),
        (b'{"model": "gpt-4o"}', Reason.NO_PROMPT),
        (b'{"model": "gpt-4o", "messages": []}', Reason.NO_PROMPT),
        (b'{"model": "gpt-4o", "messages": ["x"]}', Reason.NO_PROMPT),
        (b'{"model": "gpt-4o", "input": 3}', Reason.NO_PROMPT),
        (b'{"model": "gpt-4o", "messages": "' + b"x" * MOST_LINE + b'"}', Reason.TOO_LONG),
        (b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "cut o', Reason.NOT_JSON),
    ]
    good = json.dumps(BODY).encode()
    content = good + b"\n\n" + b"".join(line + b"\n" + good + b"\r\n" for line, _ in bad[:-1]) + bad[-1][0]
    found, report = imported(write(tmp_path, content))
    assert len(found) == len(bad)
    expected: dict[str, int] = {}
    for _, reason in bad:
        expected[reason] = expected.get(reason, 0) + 1
    assert report.skipped == expected
    assert report.read == report.kept + sum(report.skipped.values())


def test_the_same_import_gives_the_same_ids_and_adds_nothing_twice(tmp_path):
    path = write(tmp_path, lines(BODY, BODY))
    found, _ = imported(path)
    assert len({one.id for one in found}) == 2
    again, report = imported(path, known=tuple(one.id for one in found))
    assert (again, report.skipped) == ([], {Reason.DUPLICATE: 2})


def test_of_two_requests_with_one_id_the_first_is_kept(tmp_path):
    second = PAYLOAD | {"messages": [{"role": "user", "content": "another"}]}
    (one,), report = imported(write(tmp_path, lines(PAYLOAD, second)))
    assert one.body["messages"] == PAYLOAD["messages"]
    assert report.skipped == {Reason.DUPLICATE: 1}


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark", "utf-16-be-mark", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("packed", [False, True])
def test_unicode_and_gzip_are_read(tmp_path, encoding, packed):
    text = json.dumps(BODY | {"stop": "Müller 漢字 😀"}, ensure_ascii=False) + "\n"
    name, marked, _ = encoding.partition("-mark")
    content = ("\ufeff" + text if marked else text).encode(name) if marked else text.encode(name)
    (one,), _ = imported(write(tmp_path, gzip.compress(content) if packed else content))
    assert one.body["stop"] == "Müller 漢字 😀"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"  \n \n", "is empty"),
        (b"hello world\n", "is of no known format"),
        (b"\x00\x01\x02", "is of no known format"),
        (b"a,b,c\n1,2,3\n", "is of no known format"),
        (b"\x28\xb5\x2f\xfdxxxx", "is packed with zstd"),
        (b"PK\x03\x04xxxx", "is packed with zip"),
        (b"\x1f\x8b\x08xxxxxxxxxxxxxxx", "ends early or is damaged"),
        (gzip.compress(b"\n", mtime=0), "is empty"),
    ],
)
def test_a_file_that_is_no_log_is_refused(tmp_path, content, what):
    with pytest.raises(FleetError, match=what):
        imported(write(tmp_path, content))


def test_all_files_that_cant_be_read_are_named_at_once(tmp_path):
    good = write(tmp_path, lines(BODY))
    with pytest.raises(FleetError) as caught:
        imported(good, tmp_path / "missing", write(tmp_path, "", "empty"), tmp_path)
    assert [problem.what for problem in caught.value.problems] == ["doesn't exist", "is empty", "isn't a file"]


def test_a_gzip_that_ends_early_gives_what_came_before(tmp_path):
    content = gzip.compress(b"".join(json.dumps(BODY | {"seed": n}).encode() + b"\n" for n in range(5000)))
    path = write(tmp_path, content[: len(content) // 2])
    found = []
    with SeenIds() as seen, pytest.raises(RackwrightError, match="ends early or is damaged"):
        found.extend(Importer({}, seen).requests(shapes_of((path,))))
    assert 1000 < len(found) < 4000


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_an_archive_that_ends_early_keeps_what_came_before(tmp_path, cut):
    content = archive(*(entry(CHAT, BODY | {"seed": number}) for number in range(50)))
    found, report = imported(write(tmp_path, content[: int(len(content) * cut)]))
    assert len(found) == pytest.approx(50 * cut, abs=1)
    assert report.skipped == {Reason.DAMAGED: 1}


def test_a_document_with_a_text_that_is_too_long_is_refused_where_it_is(tmp_path):
    content = archive(entry(CHAT, BODY), entry(CHAT, "x" * (MOST_LINE + 1)))
    with pytest.raises(RackwrightError, match=r"has a text of more than 8 MiB near byte \d+; split the file"):
        imported(write(tmp_path, content))


@pytest.mark.parametrize("text", ['\\"' * 50, "\\\\" * 50, "\\\\\\n" * 30, '",', "a" * 99])
def test_texts_with_quotes_and_backslashes_arent_taken_for_long_ones(tmp_path, text, monkeypatch):
    monkeypatch.setattr("rackwright.migrate.importing.json_items.MOST_LINE", 400)
    monkeypatch.setattr("rackwright.migrate.importing.json_items.MOST_NUMBER", 40)
    for piece in (7, 8, 9, 64):
        monkeypatch.setattr("rackwright.migrate.importing.json_items.PIECE", piece)
        found, _ = imported(write(tmp_path, json.dumps([BODY | {"stop": text}] * 30)))
        assert len(found) == 30


def test_a_number_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(RackwrightError, match="has a number of more than 4096 digits"):
        imported(write(tmp_path, "[" + "9" * 200_000 + "]"))


def test_an_item_that_is_too_large_is_skipped_and_the_next_one_is_read(tmp_path):
    large = BODY | {"stop": ["x" * (MOST_LINE - 10)] * (MOST_ITEM // MOST_LINE + 1)}
    deep: object = 1
    for _ in range(300):
        deep = [deep]
    found, report = imported(write(tmp_path, json.dumps([BODY, large, BODY | {"stop": deep}, BODY])))
    assert (len(found), report.skipped) == (2, {Reason.TOO_LONG: 2})


def test_numbers_beyond_all_limits_do_no_harm(tmp_path):
    odd = '{"model": "m", "messages": [{"role": "user"}], "seed": %s, "created": 1e999}'
    for number in ("9" * 4000, "1e999", "-1e-999", "1e99999999999999999999", "0.1"):
        for content in (odd % number + "\n", f"[{odd % number}]"):
            found, _ = imported(write(tmp_path, content))
            assert len(found) <= 1


def test_the_operator_can_say_which_format_it_is(tmp_path):
    line = {"object": "chat.completion", "model": "m", "messages": [{"role": "user", "content": "x"}]}
    path = write(tmp_path, lines(line))
    assert imported(path)[0][0].origin == "openai"
    assert imported(path, format="jsonl")[0][0].origin == "jsonl"


def test_the_operators_own_kinds_are_replaced(tmp_path):
    body = BODY | {"messages": [{"role": "user", "content": "see TCK-123456"}]}
    (one,), report = imported(write(tmp_path, lines(body)), more={"ticket": "TCK-[0-9]{6}"})
    assert one.body["messages"] == [{"role": "user", "content": "see <ticket-1>"}]
    assert report.personal == {"ticket": 1}


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://api.openai.com/v1/chat/completions", ("/v1/chat/completions", None)),
        ("https://openrouter.ai/api/v1/chat/completions?x=1#y", ("/v1/chat/completions", None)),
        ("/v1/responses", ("/v1/responses", None)),
        ("https://x/openai/deployments/a-b/embeddings?api-version=1", ("/v1/embeddings", "a-b")),
        ("https://x/v1/completions/", ("/v1/completions", None)),
        ("https://x/v1/chat/completions/chatcmpl-1", None),
        ("https://x/v1/files", None),
        ("", None),
        ("https://x/?next=/v1/chat/completions", None),
    ],
)
def test_paths_are_known_on_every_server(url, found):
    assert known_path(url) == found


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1764490501, 1764490501.0),
        (1764490501250, 1764490501.25),
        ("2026-11-30T08:15:01Z", 1796026501.0),
        ("2026-11-30 08:15:01", 1796026501.0),
        ("yesterday", None),
        (-1, None),
        (math.inf, None),
        (math.nan, None),
        (1e300, None),
        pytest.param(10**400, None, id="10**400"),
        (True, None),
        (None, None),
        ("9999-12-31T23:59:59", None),
    ],
)
def test_times_are_read_in_seconds_milliseconds_and_iso(value, seconds):
    assert seconds_of(value) == seconds


@pytest.mark.parametrize("name", ["media_type", "format"])
def test_half_a_character_in_the_type_of_data_ends_no_import(tmp_path, name):
    (one,), _ = imported(write(tmp_path, lines(BODY | {name: "\ud800", "data": "QUJD" * 30})))
    assert "placeholder" in one.body["data"]


KEYS = sorted({*BODY, *STORED, *ROW, *PAYLOAD, "body", "url", "data", "request", "log", "input"})
LOGS = [lines(BODY, ROW), archive(entry(CHAT, BODY)), json.dumps([STORED])]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON, st.sampled_from([BODY, STORED, ROW, PAYLOAD, entry(CHAT, BODY)]), st.booleans(), st.data())
def test_whatever_a_log_says_it_is_read_or_counted(tmp_path, value, form, lined, data):
    changed = dict(form)
    changed[data.draw(st.sampled_from(sorted(changed)))] = value
    content = lines(changed, value) if lined else json.dumps([changed, value])
    for format in (None, "jsonl", "openai", "litellm", "har"):
        _, report = imported(write(tmp_path, content), format=format)
        assert report.read == report.kept + sum(report.skipped.values())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.integers(0, 400), st.sampled_from(LOGS))
def test_bytes_that_are_damaged_anywhere_raise_nothing_else(tmp_path, noise, where, content):
    damaged = content.encode()[:where] + noise + content.encode()[where:]
    try:
        imported(write(tmp_path, damaged))
    except RackwrightError as error:
        assert error.problems[0].where  # noqa: PT017


WRITE_LARGE = """
import sys
from rackwright.migrate.importing.importer import Importer, shapes_of
from rackwright.migrate.importing.seen_ids import SeenIds
from pathlib import Path
with SeenIds() as seen:
    importer = Importer({}, seen)
    for _ in importer.requests(shapes_of((Path(sys.argv[1]),))):
        pass
    print(importer.counts.imported().model_dump_json(include={"kept", "skipped"}))
"""


def test_a_gigabyte_in_one_line_needs_no_memory(tmp_path):
    """The line is a hole in the file. The process may have 160 MiB of data."""
    path = tmp_path / "large"
    good = lines(BODY).encode()
    with path.open("wb") as stream:
        stream.write(good + b'{"model": "')
        stream.seek(2**30, 1)
        stream.write(b"\n" + good)
    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (160 * 2**20, 160 * 2**20))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", WRITE_LARGE, str(path)], capture_output=True, text=True, preexec_fn=limit, timeout=600
    )
    assert json.loads(done.stdout) == {"kept": 2, "skipped": {"longer than 8 MiB": 1}}, done.stderr
