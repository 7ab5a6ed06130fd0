"""Each kind of personal data and secret is found; code and prose stay."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rackwright
from rackwright.migrate.redact import Redactor
from rackwright.migrate.redact.checksums import luhn
from tests.migrate.redact.examples import CASES

HEX = "0123456789abcdef"


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
    if not luhn(digits):
        assert Redactor().text(f"number {number}!") in (f"number {number}!", "number <national-id-1>!") or any(
            luhn(digits[:length]) for length in range(13, len(digits))
        )


CODE = Path(rackwright.__file__).parent

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
    texts = [path.read_text() for path in CODE.rglob("*.py") if path.parent.name != "redact"]
    redactor = Redactor()
    assert sum(map(len, texts)) > 1_000_000
    for text in texts:
        redactor.text(text)
    assert sum(redactor.counts.values()) <= 20
