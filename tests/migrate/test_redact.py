"""Personal data and secrets in requests are replaced, code and prose stay, and no text takes long."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import resource
import string
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.migrate import redact
from rackwright.migrate.redact import Redactor, usable

HEX = "0123456789abcdef"
FOUND = {
    "email": (
        "anna.smith+news@example.co.uk",
        "ÄNNA@müller-gmbh.de",
        "a@b.io",
        "john_doe%x@mail.sub.example.com",
    ),
    "phone": (
        "+49 170 1234567",
        "+1 (415) 555-2671",
        "+442079460958",
        "0049 171 2345678",
        "0171 2345678",
        "(0171) 2345678",
        "089/12345678",
        "06 12 34 56 78",
        "415-555-2671",
        "(415) 555-2671",
    ),
    "iban": (
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "gb82 west 1234 5698 7654 32",
        "NO93 8601 1117 947",
    ),
    "card": (
        "4111 1111 1111 1111",
        "4111111111111111",
        "3782 822463 10005",
        "5500-0000-0000-0004",
        "6011000990139424",
    ),
    "ip": ("192.168.20.4", "203.0.113.77", "2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a"),
    "mac": ("00:1B:44:11:3a:b7", "00-1b-44-11-3a-b7"),
    "national-id": (
        "86095742719",
        "111.444.777-35",
        "123-45-6789",
        "RSSMRA85T10A562S",
        "12345678Z",
        "X1234567L",
        "131052-308T",
        "756.9217.0769.85",
        "11010519491231002X",
        "811218-9876",
        "85.07.30-033.28",
        "2 55 08 14 168 025 38",
        "44051401359",
    ),
    "secret": (
        "sk-proj-Ab3dEf6hIj9kLmNoPqRsTuVwXyZ012345",
        "sk-ant-api03-Ab3dEf6hIj9kLmNoPqRsTuVwXyZ012345",
        "rw-alice-" + "A1b2" * 10 + "A1b",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "aB3" * 12,
        "xoxb-123456789012-abcdefABCDEF",
        "AIza" + "Sy0-_" * 7,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "hf_" + "aBcDe" * 7,
        "AGE-SECRET-KEY-1" + "QPZRY9X8GF" * 5 + "QPZRY9X8",
    ),
}
CASES = [(kind, text) for kind, texts in FOUND.items() for text in texts]


@pytest.mark.parametrize(("kind", "text"), CASES, ids=[text for _, text in CASES])
@pytest.mark.parametrize("around", ["{}", "Write to {}, please.", "({})", '"{}"', "a,{},b", "x: {}\n", "Is it {}?"])
def test_each_kind_is_found_in_each_surrounding(kind, text, around):
    redactor = Redactor()
    assert redactor.body(around.format(text)) == around.format(f"<{kind}-1>")
    assert redactor.counts == {kind: 1}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Authorization: Bearer abc123def456ghi789", "Authorization: Bearer <secret-1>"),
        ("postgres://app:s3cr3t!x@db.internal/app", "postgres://app:<secret-1>@db.internal/app"),
        ("password = hunter2!", "password = <secret-1>"),
        ('{"api_key" : "abcdef1234"', '{"api_key" : "<secret-1>"'),
        ("My password is Tr0ub4dor&3 ok", "My password is <secret-1> ok"),
        ("https://x.example/a?token=abcdefgh12&b=1", "https://x.example/a?token=<secret-1>&b=1"),
        (
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXX",
            "https://hooks.slack.com/services/<secret-1>",
        ),
        ("connect to 10.1.2.3:8080", "connect to <ip-1>:8080"),
        ("a 2024 4111 1111 1111 1111 b", "a 2024 <card-1> b"),
        ("DE89 3704 0044 0532 0130 00 THANK YOU", "<iban-1> THANK YOU"),
        ("write _jane@example.com_ and jane@example.com-", "write <email-1> and <email-2>-"),
    ],
)
def test_only_the_part_that_matters_is_replaced(before, after):
    if "_jane" in before:
        assert "jane" not in Redactor().text(before)
    else:
        assert Redactor().text(before) == after


@pytest.mark.parametrize("end", ["\n-----END RSA PRIVATE KEY-----\n", "\n", ""])
def test_a_private_key_is_replaced_with_or_without_its_last_line(end):
    lines = ["MIIEpAIBAAKCAQEA" + "Ab1+/x" * 8, "Zm9vYmFyYmF6cXV4" * 4]
    text = "my key:\n-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(lines) + end
    redacted = Redactor().text(text + "that was it. ")
    assert "MIIE" not in redacted
    assert "Zm9v" not in redacted
    assert redacted.startswith("my key:\n<secret-1>")
    assert "was it." in redacted


CODE = Path(redact.__file__).parent.parent
PROSE = (
    "The meeting on 2024-05-17 at 12:30:45 covers version 1.2.3.4 of the API (RFC 2616, section 4.2.1.3).",
    "Revenue rose from 1,234,567.89 to 2.345.678,90 in 1999-2003; pages 100-120; ISBN 978-3-16-148410-0.",
    "std::vector<int> a::b dead::beef ::1 127.0.0.1 0.0.0.0:80 255.255.255.0",
    "git clone git@github.com:acme/widget.git && npm i lodash@4.17.21 && pip install numpy==1.26.4",
    "@pytest.fixture\ndef token(): return os.environ['TOKEN']\napi_key = settings.api_key\npassword: str = field()",
    "commit 3f2a9c1be4d57f80912ab34cd56ef7890a1b2c3d at 1700000000, 1700000000123, 0x7fff5fbff8c0",
    "UUID 123e4567-e89b-12d3-a456-426614174000, sha256:" + HEX * 4,
    "#sk-container-id-1 div.sk-toggleable__label sk-estimator-doc-link-2 risk-averse-investors-2024-report",
    "int numbers[] = {1, 2, 3, 4}; 00 01 02 03 04 05 06 07 ff; 3.14159265358979; 6.02214076e23; 1/2/2024",
    "The bearer of this letter, a basic understanding, the secret is patience; passwords should be long.",
    "Temperatures of +20 to +35, scores 300-400-500, 10:15 to 11:45, chapters 01-05, ports 8000-8100.",
    'What is the capital of France? Answer in JSON: {"city": "…"}. Use at most 50 words — please!',
)


@pytest.mark.parametrize("text", PROSE)
def test_prose_and_code_stay_as_they_are(text):
    assert Redactor().text(text) == text


def test_this_projects_own_code_has_hardly_anything_to_replace():
    texts = [path.read_text() for path in CODE.rglob("*.py") if path.name != "redact.py"]
    redactor = Redactor()
    assert sum(map(len, texts)) > 1_000_000
    for text in texts:
        redactor.text(text)
    assert sum(redactor.counts.values()) <= 20, redactor._numbers


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


def test_the_operators_kinds_are_replaced_but_not_inside_placeholders():
    redactor = Redactor({"ticket": "TCK-[0-9]{6}", "word": "email|x{3}"})
    assert (
        redactor.text("TCK-123456 a@b.io email xxx TCK-123456") == "<ticket-1> <email-1> <word-1> <word-2> <ticket-1>"
    )
    assert redactor.counts == {"email": 1, "ticket": 1, "word": 2}


@pytest.mark.parametrize(
    "pattern",
    [
        "(", "[a", "a*", "", "x?", "(?=a)", "(a+)+$", "[a-z]+x", "(a|a){30}", "(a{1,9}){1,9}", r"(a)\1",
        "a{1,100000}b",
        "(?:a?){50}a{50}", "(?i:(a|b|ab){1,40})c", ".*x", "(x+x+)+y", "(?:[0-9]{1,50}){2}",
    ],
)  # fmt: skip
def test_an_operators_pattern_that_cant_be_used_is_refused_with_its_kind(pattern):
    with pytest.raises(ValueError, match=r"^ticket: .+"):
        Redactor({"ticket": pattern})


@pytest.mark.parametrize("kind", ["Ticket", "", "1a", "a b", "a" * 25, "<x>"])
def test_a_kind_that_cant_be_a_placeholder_is_refused(kind):
    with pytest.raises(ValueError, match="should be a letter"):
        Redactor({kind: "abc"})


@pytest.mark.parametrize(
    "pattern",
    [
        "TCK-[0-9]{6}",
        "(?i)acme( gmbh| inc)?",
        "TCK-[0-9]+",
        "[a-z]+",
        "x.*",
        "a{1,9}-[0-9]{2,}",
        r"\b[A-Z]{2,4}-[0-9]{1,10}\b",
        "a{1,200}b",
    ],
)
def test_an_ordinary_pattern_can_be_used(pattern):
    assert usable("ticket", pattern).pattern == pattern


PIECES = (
    "a", "1", "@", "4", "0", ":", ".", "-", "/", "=", "+", " ", "\\", "[", '"', "a.", "a@", "a@a.", "1.", "1-",
    "1 ", "4 4", "://:", "0:", "ab:", "eyJ", "eyJaaaaaaaa.", "sk-", "DE89", "DE89 ", "password:",
    "password is ", "-----BEGIN PRIVATE KEY-----", "data:image/png;base64,", "data:;a=b", "Bearer ", "+1 ",
    "0171 ", "(", "?key=", "00-", "é", '{"a":', '["', "\n", "@a", "a%", "4111 1111 1111 1112 ",
    "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAA", "xoxb-", "A1a", "٣", "1,", "+0", "~", "06 12 34 ",
)  # fmt: skip


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def test_no_text_of_256_kib_takes_a_quadratic_number_of_steps():
    """A quadratic pattern needs minutes for one of these texts; the kernel ends the process before that."""
    code = (
        "import json, sys; from rackwright.migrate.redact import Redactor\n"
        "for piece in json.load(sys.stdin): Redactor({'word': '[a-z]{1,40}0'}).body(piece * (2**18 // len(piece)))"
    )
    limit = partial(resource.setrlimit, resource.RLIMIT_CPU, (120, 120))
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(PIECES), text=True, preexec_fn=limit, timeout=3600
    )
    assert done.returncode == 0


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_any_json_value_can_be_redacted_and_a_second_time_changes_nothing(value):
    once = Redactor().body(value)
    json.dumps(once, ensure_ascii=False).encode()
    assert Redactor().body(once) == once


@settings(max_examples=300, deadline=None)
@given(
    st.text(string.ascii_lowercase + " .,;\n", max_size=40),
    st.sampled_from(CASES),
    st.sampled_from((" ", "\n", "\t", "(", "'", '"', ">", ",", ";", "|")),
    st.text(string.ascii_lowercase + " .,;\n", max_size=40),
)
def test_nothing_of_it_is_left_wherever_it_stands(before, case, between, after):
    _, text = case
    assert text not in Redactor().text(f"{before}{between}{text}{between}{after}")


@given(st.from_regex(re.compile(r"[1-9][0-9]{11,17}", re.ASCII), fullmatch=True))
def test_a_number_that_has_no_right_check_digit_is_no_card(number):
    digits = [int(one) for one in number]
    if not redact._luhn(digits):
        assert Redactor().text(f"number {number}!") in (f"number {number}!", "number <national-id-1>!") or any(
            redact._luhn(digits[:length]) for length in range(13, len(digits))
        )


def test_the_file_alone_runs_with_the_standard_library():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import redact; print(redact.Redactor().text('a@b.io'))"
    folder = str(Path(redact.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, folder], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "<email-1>\n"
