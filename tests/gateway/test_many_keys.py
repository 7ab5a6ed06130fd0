"""More keys than one command of HAProxy's takes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.gateway.stack import Stack, running_stack

MANY = 50_000


@pytest.fixture(scope="module")
def crowded() -> Iterator[tuple[Stack, Path, str]]:
    """A gateway that knows few keys, the file of those that were applied, and what stands there."""
    with running_stack() as stack:
        file = Path(stack.gateway.paths.configuration, "keys.applied")
        yield stack, file, file.read_text()


def entries(count: int, *, listed: bool) -> str:
    """Keys, each with four models of its own if they are listed."""
    lines = []
    for number in range(count):
        digest = sha256(str(number).encode()).hexdigest()
        lines.append(f"{digest} 1 {digest} key-{number}|0|{'listed' if listed else 'all'}|0|0")
        lines += [f"{digest} 1 {digest}/model-{model} yes" for model in range(4) if listed]
    return "".join(f"{line}\n" for line in lines)


def known(stack: Stack, file: Path) -> int:
    shown = stack.gateway.ask(f"show map {file.with_name('keys.map')}")
    return sum(bool(line.strip()) for line in shown.splitlines())


def count_of(text: str) -> int:
    """Entries of keys.map that a file of keys makes."""
    return sum(" # " not in line for line in text.splitlines())


@pytest.mark.parametrize(("count", "listed"), [(MANY, False), (3_000, True)])
@pytest.mark.parametrize("verb", ["load_keys", "reload"])
def test_all_keys_are_known_afterwards(
    crowded: tuple[Stack, Path, str], verb: str, count: int, *, listed: bool
) -> None:
    stack, file, few = crowded
    file.write_text(few + entries(count, listed=listed))
    stack.gateway.script(verb)
    assert stack.send().status == 200
    assert known(stack, file) == count_of(file.read_text())
    file.write_text(few)
    stack.gateway.script(verb)
    assert stack.send().status == 200
    assert known(stack, file) == count_of(few)


def test_a_file_that_is_not_taken_whole_leaves_the_keys_that_were_known(crowded: tuple[Stack, Path, str]) -> None:
    stack, file, few = crowded
    file.write_text(few + f"{'0' * 64} 1 {'0' * 64} {'x' * 70_000}\n")
    with pytest.raises(subprocess.CalledProcessError):
        stack.gateway.script("load_keys")
    assert stack.send().status == 200
    assert known(stack, file) == count_of(few)
    file.write_text(few)
    stack.gateway.script("load_keys")
