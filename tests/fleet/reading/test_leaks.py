from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from rackwright.fleet.reading.leaks import looks_like

MEGABYTE = 1_000_000
LONG = {
    "letters": "'a' * MEGABYTE",
    "schemes": "'a://' * MEGABYTE",
    "names": "'a://b:' * MEGABYTE",
    "a scheme that never ends": "'a+' * MEGABYTE + '://'",
    "keys that never begin": "'-----BEGIN ' * MEGABYTE",
    "tokens that are too short": "'hf_' * MEGABYTE",
    "keys of a fleet": "'rw-a-' * MEGABYTE",
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_time_grows_no_faster_than_the_text(text):
    """It takes seconds of CPU time for some megabytes; quadratic time would take hours."""
    code = f"from rackwright.fleet.reading.leaks import looks_like; MEGABYTE = {MEGABYTE}; looks_like({text})"
    limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (60, 60))  # noqa: E731
    assert subprocess.run([sys.executable, "-c", code], preexec_fn=limit, check=False).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "https://anna:secret@hub",
        "1http://anna:secret@hub",
        "see restic+https://:secret@hub/x",
        "x" * 99 + "s3://a:b@c",
    ],
)
def test_a_password_in_a_url_is_found_whatever_stands_before_it(text):
    assert looks_like(text) == "a URL's password"


@pytest.mark.parametrize("text", ["https://anna@hub", "https://hub:443/a@b", "a://b c:d@e", "anna:secret@hub"])
def test_a_url_without_a_password_is_none(text):
    assert looks_like(text) is None
