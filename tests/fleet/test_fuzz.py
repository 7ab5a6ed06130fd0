from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rackwright.errors import FleetError
from rackwright.fleet.load import load_fleet

EXAMPLE = (Path(__file__).parents[2] / "inventory" / "example.yml").read_bytes()
# Short, so that an example takes milliseconds: ruamel.yaml is slow on long comments.
SHORT = b"\n".join(line.split(b" #")[0] for line in EXAMPLE.split(b"\n") if line and not line.startswith(b"#"))

TOKENS = st.sampled_from(
    [b"[", b"]", b"{", b"}", b": ", b"- ", b"\n", b"\t", b"&a ", b"*a", b"!!x ", b"'", b'"', b"|", b">", b"%", b"#"]
    + [
        b"? ",
        b"---\n",
        b"...\n",
        b"\x00",
        b"\xff",
        b"\xc2\x85",
        b"~",
        b"1e999",
        b".inf",
        b"-1",
        b"9" * 30,
        b"\\ud800",
    ]
    + [b"true", b"null", b"x-", b"<<", b"@local", b"10.0.0.0/8", b"::", b"%25", b"\xe2\x80\xae", b"'\\U00110000'"]
)


def loads_or_says_why(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.yml"
        path.write_bytes(data)
        try:
            load_fleet(path)
        except FleetError as error:
            assert error.problems
            assert all(str(problem).isprintable() or "\n  next: " in str(problem) for problem in error.problems)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_without_a_traceback(data):
    loads_or_says_why(data)


@settings(max_examples=80, deadline=None)
@given(st.lists(TOKENS, max_size=30))
def test_any_yaml_tokens_are_refused_without_a_traceback(tokens):
    loads_or_says_why(b"".join(tokens))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(SHORT)), st.integers(0, 30), TOKENS), min_size=1, max_size=4))
def test_any_change_of_the_example_loads_or_is_refused(changes):
    data = SHORT
    for start, length, token in changes:
        data = data[:start] + token + data[start + length :]
    loads_or_says_why(data)


@pytest.mark.parametrize("value", ["~", "true", "[[~]]", "{a: {}}", '"\\ud800"', "-1e999"])
def test_any_value_in_any_place_loads_or_is_refused(value):
    lines = SHORT.decode().split("\n")
    for number, line in enumerate(lines):
        key, colon, _ = line.partition(":")
        if colon:
            loads_or_says_why("\n".join([*lines[:number], f"{key}: {value}", *lines[number + 1 :]]).encode())
