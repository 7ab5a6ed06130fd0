"""More keys than fit into one HAProxy command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from rackwright.roles.gateway.settings import Key
from tests.gateway.stack import KEYS, Stack, digest, gone, running_stack
from tests.gateway.test_runtime import ended_whole, held_stream

MANY = 50_000


@pytest.fixture(scope="module")
def crowded() -> Iterator[tuple[Stack, Path, str]]:
    """A gateway with few keys, the file of the applied keys, and the text of that file."""
    with running_stack() as stack:
        file = Path(stack.gateway.paths.configuration, "keys.applied")
        yield stack, file, file.read_text()


def entries(count: int, *, listed: bool) -> str:
    """Return keys; if `listed`, each has four models of its own."""
    lines = []
    for number in range(count):
        digest = sha256(str(number).encode()).hexdigest()
        lines.append(f"{digest} 1 {digest} key-{number}|0|{'listed' if listed else 'all'}|0|0")
        lines += [f"{digest} 1 {digest}/model-{model} yes" for model in range(4) if listed]
    return "".join(f"{line}\n" for line in lines)


def known(stack: Stack, file: Path) -> int:
    return len(shown(stack.gateway.ask(f"show map {file.with_name('keys.map')}")))


def shown(answer: str) -> list[str]:
    """Return each entry's key."""
    return [line.split()[1] for line in answer.splitlines() if line.strip()]


def count_of(text: str) -> int:
    """Return how many entries of keys.map this keys file makes."""
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


def test_none_at_all_are_as_many_as_any(crowded: tuple[Stack, Path, str]) -> None:
    stack, file, few = crowded
    file.write_text("")
    stack.gateway.script("load_keys")
    assert stack.send().status == 401
    file.write_text(few)
    stack.gateway.script("load_keys")
    assert stack.send().status == 200


def test_one_among_many_is_added_narrowed_and_revoked_in_every_worker(crowded: tuple[Stack, Path, str]) -> None:
    stack, file, few = crowded
    file.write_text(few + entries(MANY, listed=False))
    response = held_stream(stack)
    stack.gateway.reload()
    sha256 = digest(KEYS["wrong"])

    def opens() -> list[list[str]]:
        """Check that each worker has all entries of keys.map, and return each worker's entries for this key."""
        map = file.with_name("keys.map")
        told = [shown(stack.gateway.ask(f"@!{pid} show map {map}", "master")) for pid in stack.gateway.workers]
        assert [len(set(one)) for one in told] == [len(one) for one in told] == [map.read_text().count("\n")] * 2
        return [sorted(name.removeprefix(sha256) for name in one if name.startswith(sha256)) for one in told]

    with stack.gateways() as gateways:
        gateways.put_key(Key(id="late", sha256=sha256, models=("assistant", "coder")), note="{}")
        assert opens() == [["", "/assistant", "/coder"]] * 2
        gateways.put_key(Key(id="late", sha256=sha256, models=("coder",)), note="{}")
        assert opens() == [["", "/coder"]] * 2
        gateways.remove_key(gone(Key(id="late", sha256=sha256)), note="{}")
        assert opens() == [[], []]
    assert ended_whole(stack, response)
    stack.gateway.forget_keys()
    file.write_text(few)
    stack.gateway.script("load_keys")
