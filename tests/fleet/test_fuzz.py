from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rackwright.errors import FleetError, Problem
from rackwright.fleet.load import load_fleet

EXAMPLE = (Path(__file__).parents[2] / "inventory" / "example.yml").read_bytes()
# Short, so that an example takes milliseconds: ruamel.yaml is slow on long comments.
SHORT = b"\n".join(line.split(b" #")[0] for line in EXAMPLE.split(b"\n") if line and not line.startswith(b"#"))

WORDS = rb"""[ ] { } &a *a !!x ' " | > % # ~ ? 1e999 .inf -1 true null x- << @local 10.0.0.0/8 :: %25 \ud800"""
BYTES = [b": ", b"- ", b"\n", b"\t", b"---\n", b"...\n", b"\x00", b"\xff", b"\xc2\x85", b"\xe2\x80\xae", b"9" * 30]
TOKENS = st.sampled_from([*WORDS.split(), *BYTES])


def loads_or_says_why(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.yml"
        path.write_bytes(data)
        problems = problems_of(path)
    assert all(str(problem).replace("\n  next: ", "").isprintable() for problem in problems)


def problems_of(path: Path) -> tuple[Problem, ...]:
    try:
        load_fleet(path)
    except FleetError as error:
        return error.problems or (Problem("", "refused without a problem\n"),)
    return ()


@settings(max_examples=80)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_without_a_traceback(data):
    loads_or_says_why(data)


@settings(max_examples=80)
@given(st.lists(TOKENS, max_size=30))
@example([b"*a", b"\xe2\x80\xae"])
def test_any_yaml_tokens_are_refused_without_a_traceback(tokens):
    loads_or_says_why(b"".join(tokens))


@settings(max_examples=60)
@example([(SHORT.index(b"gpu-nodes"), 0, b"\xe2\x80\xae")])
@given(st.lists(st.tuples(st.integers(0, len(SHORT)), st.integers(0, 30), TOKENS), min_size=1, max_size=4))
def test_any_change_of_the_example_loads_or_is_refused(changes):
    data = SHORT
    for start, length, token in changes:
        data = data[:start] + token + data[start + length :]
    loads_or_says_why(data)


@pytest.mark.parametrize("value", ["~", "true", "{a: [~]}", '"\\ud800"'])
def test_any_value_in_any_place_loads_or_is_refused(value):
    lines = SHORT.decode().split("\n")
    for number, line in enumerate(lines):
        key, colon, _ = line.partition(":")
        if colon:
            loads_or_says_why("\n".join([*lines[:number], f"{key}: {value}", *lines[number + 1 :]]).encode())
