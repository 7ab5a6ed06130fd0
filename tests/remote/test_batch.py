"""What is read from a batch whose output broke off."""

from __future__ import annotations

import subprocess

import pytest

from rackwright.remote.batch import Batch

COMMANDS = ("echo one", "printf two; exit 3", "cat", "echo 'four\nlines'")


def output(batch: Batch) -> bytes:
    return subprocess.run(["sh", "-s"], input=batch.script.encode(), capture_output=True, check=True).stdout


def test_each_answer_comes_with_its_exit_status():
    batch = Batch.of(COMMANDS)
    assert [(part.stdout, part.exit_status) for part in batch.whole(output(batch))] == [
        ("one\n", 0),
        ("two", 3),
        ("", 0),
        ("four\nlines\n", 0),
    ]


@pytest.mark.parametrize("whole", range(len(COMMANDS)))
def test_of_output_that_broke_off_the_whole_answers_are_read(whole: int) -> None:
    batch = Batch.of(COMMANDS)
    text = output(batch)
    ends = [text.index(f"\n{batch.marker} {number} ".encode()) for number in range(len(COMMANDS))]
    assert len(batch.whole(text[: ends[whole]])) == whole


def test_an_answer_out_of_its_turn_ends_what_is_read():
    batch = Batch.of(COMMANDS)
    assert len(batch.whole(output(batch).replace(f"{batch.marker} 1 ".encode(), f"{batch.marker} 7 ".encode()))) == 1


def test_setup_runs_in_the_scripts_own_shell_before_the_commands():
    batch = Batch.of(("echo $x",), setup="x=5")
    assert [part.stdout for part in batch.whole(output(batch))] == ["5\n"]
