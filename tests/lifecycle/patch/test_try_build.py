"""The trial build: which files it takes, what the script's end means, and its quoting. tests/lab has the real one."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.patch.try_build import build_script, needed_of, tried_of
from rackwright.package_set import Package
from rackwright.remote import Completed
from tests.lifecycle.patch.test_findings import COMING


def package(name: str, url: str = "https://mirror.internal/x.deb") -> Package:
    return Package(name=name, version="1", architecture="amd64", size=1, sha256="a" * 64, url=url)


def test_headers_and_the_modules_source_are_taken_and_nothing_else() -> None:
    names = (
        *("linux-image-6.12-amd64", "linux-headers-6.12-amd64", "linux-headers-6.12-common", "linux-kbuild-6.12"),
        *("nvidia-kernel-open-dkms", "nvidia-kernel-source-580", "dkms", "libcuda1", "nvidia-driver-cuda"),
    )
    found = needed_of(COMING.model_copy(update={"packages": tuple(map(package, names))}))
    assert [one.name for one in found] == [*names[1:6]]


@pytest.mark.parametrize(
    ("status", "said", "state", "lines"),
    [
        (0, "building nvidia 580 for kernel 6.12\n", "builds", ()),
        (
            1,
            "building nvidia 580\nnvidia 580 doesn't build for kernel 6.12:\nx.c:1:1: error: y\x1b[0m\n",
            "fails",
            ("x.c:1:1: error: y?[0m",),
        ),
        (1, "", "unknown", ("it ended without a reason",)),
        (3, "dkms isn't installed\n", "unknown", ("dkms isn't installed",)),
        (2, "sh: syntax error\n", "unknown", ("sh: syntax error",)),
    ],
)
def test_only_a_compiler_says_that_it_fails(status: int, said: str, state: str, lines: Any) -> None:
    tried = tried_of("gpu1", COMING, Completed(status, b"", said.encode()))
    assert (tried.host, tried.state, tried.lines) == ("gpu1", state, lines)


def test_a_build_that_was_killed_is_no_answer() -> None:
    with pytest.raises(HostError, match="ended by a signal"):
        tried_of("gpu1", COMING, Completed(-1))


def test_no_value_acts_in_the_script() -> None:
    evil = "file:///a'b\"$(touch%20/tmp/hit)`x`"
    text = build_script(COMING.model_copy(update={"packages": (package("x-dkms", evil),)}), ("--proxy", evil))
    assert subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True).stderr == ""
    head, _, _ = text.partition("# Try whether")
    done = subprocess.run(["sh", "-s"], input=f'{head}printf %s "$files"; }}\n', capture_output=True, text=True)
    assert done.stdout == f"{evil} {'a' * 64} x-dkms_1_amd64.deb"


def test_shellcheck_finds_nothing() -> None:
    command = ["shellcheck", "-s", "sh", "-S", "warning", "-e", "SC2034", "-"]
    done = subprocess.run(command, input=build_script(COMING), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
