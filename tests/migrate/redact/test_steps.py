"""No text takes long."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from functools import partial

PIECES = (
    "a", "1", "@", "4", "0", ":", ".", "-", "/", "=", "+", " ", "\\", "[", '"', "a.", "a@", "a@a.", "1.", "1-",
    "1 ", "4 4", "://:", "0:", "ab:", "eyJ", "eyJaaaaaaaa.", "sk-", "DE89", "DE89 ", "password:",
    "password is ", "-----BEGIN PRIVATE KEY-----", "data:image/png;base64,", "data:;a=b", "Bearer ", "+1 ",
    "0171 ", "(", "?key=", "00-", "é", '{"a":', '["', "\n", "@a", "a%", "4111 1111 1111 1112 ",
    "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAA", "xoxb-", "A1a", "٣", "1,", "+0", "~", "06 12 34 ",
)  # fmt: skip


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
