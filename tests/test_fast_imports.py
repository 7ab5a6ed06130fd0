"""Imports without parts that we don't use; their replacements are gone afterwards. Each runs in a fresh Python."""

from __future__ import annotations

import subprocess
import sys

_REAL = "\nimport packaging.version, typeguard\nprint(packaging.version.Version('1.2'), typeguard.check_type(3, int))"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_what_stands_in_is_imported_within_the_block_alone() -> None:
    code = """
import json
from rackwright._fast_imports import stubbed
with stubbed(json={"loads": len}, no__such__module={"word": "there"}):
    import json as other
    from no.such.module import word
    print(other.loads("12345"), word)
import json as again
print(again is json, again.loads("[1]"))
try:
    import no.such.module
except ImportError:
    print("gone")
"""
    assert run(code).split("\n")[:3] == ["5 there", "True [1]", "gone"]


def test_a_release_that_asks_for_more_is_imported_with_the_real_one() -> None:
    code = """
from rackwright._fast_imports import stubbed
with stubbed(json={"loads": len}):
    from json import dumps
from json import dumps
print(dumps([1]))
"""
    assert run(code) == "[1]\n"


def test_pyinfra_is_whole_and_others_get_the_real_modules() -> None:
    code = "import rackwright.runner._pyinfra, pyinfra.api; print(pyinfra.api.operation.__name__)"
    assert run(code + _REAL) == "operation\n1.2 3\n"


def test_paramiko_is_whole_and_others_get_the_real_modules() -> None:
    code = """
from rackwright.remote._paramiko import paramiko
from importlib.metadata import version
print(paramiko.SSHClient.__name__, version("paramiko") >= "4")
"""
    assert run(code) == "SSHClient True\n"
