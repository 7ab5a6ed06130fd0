"""A body is searched everywhere: texts, keys, numbers, JSON inside texts, files in base64."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.migrate.redact import Redactor

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()

VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def test_the_same_text_has_the_same_number_in_one_request_only():
    redactor = Redactor()
    body = {"messages": [{"content": "a@b.io, c@d.io, a@b.io"}, {"content": ["c@d.io"]}]}
    assert redactor.body(body) == {
        "messages": [{"content": "<email-1>, <email-2>, <email-1>"}, {"content": ["<email-2>"]}]
    }
    assert redactor.counts == {"email": 2}
    assert Redactor().body("c@d.io") == "<email-1>"


def test_keys_numbers_and_json_inside_text_are_searched():
    arguments = json.dumps({"to": "a@b.io", "inner": json.dumps({"card": 4111111111111111, "c@d.io": None})})
    redactor = Redactor()
    body = redactor.body({"a@b.io": 1, "number": 4111111111111111, "tool_calls": [{"arguments": arguments}], "n": 2})
    assert body["<email-1>"] == 1
    assert body["number"] == "<card-1>"
    assert body["n"] == 2
    inner = json.loads(body["tool_calls"][0]["arguments"])
    assert inner["to"] == "<email-1>"
    assert json.loads(inner["inner"]) == {"card": "<card-1>", "<email-2>": None}


def test_json_text_without_personal_data_stays_byte_for_byte():
    text = '{"a":  1.50,\n "b": [true]}'
    assert Redactor().body({"arguments": text}) == {"arguments": text}


def test_a_key_that_stands_twice_in_json_text_hides_nothing():
    assert "a@b.io" not in Redactor().body('{"a": "a@b.io", "a": "x"}')


def test_escapes_in_json_text_hide_nothing():
    assert json.loads(Redactor().body('{"a": "a\\u0040b.io"}')) == {"a": "<email-1>"}


def test_values_are_replaced_whose_key_says_that_they_are_secret():
    body = {"user": "alice", "headers": {"Authorization": "x", "password": "correct horse"}, "api_key": "abc"}
    assert Redactor().body(body) == {
        "user": "<user-1>",
        "headers": {"Authorization": "<secret-1>", "password": "<secret-2>"},
        "api_key": "<secret-3>",
    }


def test_numbers_and_lists_under_a_name_of_a_secret_or_a_user_are_replaced():
    body = {"user": 4915123, "x": {"password": 123456, "set-cookie": ["sid=abc", 98765.5, True], "secret": 1}}
    assert Redactor().body(body) == {
        "user": "<user-1>",
        "x": {"password": "<secret-1>", "set-cookie": ["<secret-2>", "<secret-3>", True], "secret": 1},
    }


def test_a_schema_that_has_a_password_stays():
    schema = {"properties": {"password": {"type": "string"}, "user": {"type": "string"}}, "required": ["password"]}
    assert Redactor().body({"response_format": schema}) == {"response_format": schema}


def test_images_audio_and_files_keep_type_size_and_hash():
    pixels = bytes(range(256)) * 8
    coded = base64.b64encode(pixels).decode()
    body = {
        "content": [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{coded}"}},
            {"type": "input_audio", "input_audio": {"data": coded, "format": "wav"}},
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{coded}"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": coded}},
            {"type": "text", "text": f"look ![x](data:image/gif;base64,{coded}) there"},
            {"type": "blob", "value": coded},
        ]
    }
    redactor = Redactor()
    content = redactor.body(body)["content"]
    digest = hashlib.sha256(pixels).hexdigest()
    stored = {"bytes": len(pixels), "sha256": digest}
    assert content[0]["image_url"]["url"] == {"placeholder": "<image-1>", "type": "image/png", **stored}
    assert content[1]["input_audio"]["data"] == {"placeholder": "<audio-1>", "type": "audio/wav", **stored}
    assert content[2]["file"]["file_data"] == {"placeholder": "<file-1>", "type": "application/pdf", **stored}
    assert content[3]["source"]["data"] == {"placeholder": "<image-1>", "type": "image/jpeg", **stored}
    assert content[4]["text"] == "look ![x](<image-2>) there"
    assert content[5]["value"]["placeholder"] == "<file-1>"
    assert coded[:64] not in json.dumps(content)


@pytest.mark.parametrize("name", ["media_type", "format"])
def test_the_type_of_data_hides_nothing(name):
    coded = base64.b64encode(bytes(99)).decode()
    for type in ("a@b.io", "x" * 95 + " a@b.io", {"x": "a@b.io"}, ["a@b.io"], "TCK-123456", "a@b.io\ud800"):
        redacted = Redactor({"ticket": "TCK-[0-9]{6}"}).body({name: type, "data": coded})
        written = json.dumps(redacted, ensure_ascii=False).encode().decode()
        assert not any(text in written for text in ("a@b", "TCK", coded[:64]))


@pytest.mark.parametrize("name", ["media_type", "format"])
def test_data_is_data_even_if_its_type_is_no_text(name):
    for type in (10**5000, 7, True, [[1.5]]):
        redacted = Redactor().body({name: type, "data": "QUJD" * 30})
        assert redacted["data"]["sha256"] == hashlib.sha256(b"ABC" * 30).hexdigest()
        json.dumps(redacted)


def test_a_seed_stays_unless_it_is_longer_than_a_seed():
    assert Redactor().body({"seed": 4111111111111111}) == {"seed": 4111111111111111}
    for long in (10**5000, -(10**5000)):
        json.dumps(Redactor().body({"seed": long}))


def test_deep_nesting_is_replaced_as_a_whole():
    deep: object = "a@b.io"
    for _ in range(5000):
        deep = [deep]
    redactor = Redactor()
    assert "a@b.io" not in json.dumps(redactor.body({"x": deep}))
    assert redactor.counts == {"nested": 1}
    text = "[" * 100_000
    assert Redactor().body(text) == text


def test_half_a_character_can_be_written_afterwards():
    json.dumps(Redactor().body({"a\ud800": "b\udfff@"}), ensure_ascii=False).encode()


def test_a_number_that_json_doesnt_have_becomes_null():
    assert Redactor().body([float("nan"), float("inf"), 1.5]) == [None, None, 1.5]


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_any_json_value_can_be_redacted_and_a_second_time_changes_nothing(value):
    once = Redactor().body(value)
    json.dumps(once, ensure_ascii=False).encode()
    assert Redactor().body(once) == once
