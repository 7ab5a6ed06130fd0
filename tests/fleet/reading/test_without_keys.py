"""Keys that go leave everything else as it is written."""

from __future__ import annotations

import pytest

from rackwright.fleet.reading.without_keys import Path, without

FLEET = """# ours
clouds:
  # the first one
  acme:
    url: https://api.example/v1
    names:
      - one   # the small one
      - two
  # the second one
  other: {url: https://other.example/v1}

models:
  chat:
    source: hf:a/b
    cloud: acme   # until March
    names: [one]
  both: {source: 'hf:c/d', cloud: acme, names: [two]}
  last: {names: [three], cloud: 'acme'}
"""


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        (("models", "chat", "cloud"), "    cloud: acme   # until March\n"),
        (("models", "both", "cloud"), "cloud: acme, "),
        (("models", "last", "cloud"), ", cloud: 'acme'"),
        (
            ("clouds", "acme"),
            "  acme:\n    url: https://api.example/v1\n    names:\n      - one   # the small one\n      - two\n",
        ),
        (("clouds", "other"), "  other: {url: https://other.example/v1}\n"),
        (("models", "none", "cloud"), ""),
        (("fleet",), ""),
        (("models", "chat", "cloud", "name"), ""),
    ],
)
def test_one_key_goes_with_its_value_and_nothing_else(path: Path, gone: str) -> None:
    assert FLEET.count(gone) == 1 or not gone
    assert without(FLEET, [path]) == FLEET.replace(gone, "", 1 if gone else 0)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("a: 1\nclouds:\n  acme: {url: x}\n# b\nb: 2\n", "a: 1\n# b\nb: 2\n"),
        ("clouds: {acme: {url: x}}\nb: 2", "b: 2"),
        ("b: 2\nclouds:\n  acme:", "b: 2\n"),
        ("b: 2\nclouds:\n  acme: |\n    x\n    y\nc: 3\n", "b: 2\nc: 3\n"),
    ],
)
def test_a_mapping_that_has_no_other_key_goes_too(text: str, after: str) -> None:
    assert without(text, [("clouds", "acme")]) == after


def test_text_that_isnt_yaml_is_an_error() -> None:
    with pytest.raises(ValueError, match="isn't YAML"):
        without("a: [", [("a", "b")])
