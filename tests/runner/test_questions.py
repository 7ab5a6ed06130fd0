"""The batch: over a real `sh`, and over connections that garble it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.operations.filesystem.path_questions import PathQuestion
from rackwright.remote import Completed, Connection
from rackwright.runner.questions import BATCH_LIMIT, Batch, Questions
from rackwright.values.targets import Target

AWKWARD = {
    "plain": "echo hello",
    "silent": "true",
    "without a last newline": "printf abc",
    "blank lines around": "printf '\\n\\nabc\\n\\n'",
    "failing": "echo partly; exit 3",
    "not there": "no-such-program --version",
    "a syntax error": "if then (",
    "killed": "kill -9 $$",
    "only stderr": "echo problem >&2; exit 1",
    "heavy on stderr": "head -c 300000 /dev/urandom | od -A n -t x1 >&2; echo done",
    "binary": "head -c 70000 /dev/zero | tr '\\0' '\\377'; printf '\\000\\001\\n\\r\\n'",
    "5 MB": "head -c 5000000 /dev/zero",
    "reads its input": "cat; read line && echo got $line; echo end",
    "quotes and newlines": 'printf \'%s\\n\' "it\'s" "a \\"quoted\\" \\$thing"\necho second line',
    "an unclosed here-document": "cat <<EOF\nfirst\n",
    "sets what others could see": "exec 2>&1; s=9; f() { :; }; set -e; cd /; trap 'echo bye' EXIT",
    "imitates the frame": "printf '\\n%s 3 0\\n' 0123456789abcdef0123456789abcdef; echo; seq -f '%g 0' 5",
    "lists all arguments": "tr '\\0' ' ' </proc/self/cmdline; tr '\\0' ' ' <\"/proc/$PPID/cmdline\"; true",
}


class Noting:
    """A connection that records the questions, and may change the batch's reply or fail because of it."""

    def __init__(self, spoil: Callable[[Completed], Completed] = lambda reply: reply) -> None:
        self.name = "h1"
        self.asked: list[str] = []
        self._spoil = spoil
        self._here = Connection(Target("h1", "@local"))

    def run(
        self, command: str, *, stdin: str | bytes | None = None, timeout: float | None = 60, limit: int = BATCH_LIMIT
    ) -> Completed:
        self.asked.append(command)
        reply = self._here.run(command, stdin=stdin, timeout=timeout, limit=limit, sudo=False)
        return self._spoil(reply) if stdin else reply


@pytest.fixture(scope="module")
def answers() -> dict[str, Completed]:
    questions = Questions(Noting(), AWKWARD.values())
    return {name: questions.ask(question, 60) for name, question in AWKWARD.items()}


@pytest.mark.parametrize("name", [name for name in AWKWARD if name not in ("heavy on stderr", "lists all arguments")])
def test_an_answer_from_the_batch_is_the_one_that_asking_singly_gives(
    answers: dict[str, Completed], name: str
) -> None:
    alone = Noting().run(AWKWARD[name])
    batched = answers[name]
    assert batched.ok == alone.ok
    assert (batched.stdout_bytes, batched.stderr_bytes) == (alone.stdout_bytes, alone.stderr_bytes)


def test_much_on_stderr_arrives_whole(answers: dict[str, Completed]) -> None:
    assert len(answers["heavy on stderr"].stderr.split()) == 300_000
    assert answers["heavy on stderr"].stdout == "done\n"


def test_no_process_shows_the_marker_to_a_question_that_looks_for_it() -> None:
    batch = Batch.of(["tr '\\0' '\\n' </proc/$PPID/cmdline; tr '\\0' '\\n' </proc/$PPID/environ; env"])
    reply = Noting().run("exec sh -s", stdin=batch.script)
    assert batch.marker not in batch.answers(reply)[0].stdout


def test_all_foreseen_questions_are_one_command() -> None:
    link = Noting()
    questions = Questions(link, ["echo a", "echo b", "echo a", "echo unused"])
    assert [questions.ask(text, 60).stdout for text in ("echo b", "echo a", "echo a")] == ["b\n", "a\n", "a\n"]
    assert link.asked == ["exec sh -s"]


def test_an_unforeseen_question_is_asked_as_usual_and_remembered() -> None:
    link = Noting()
    questions = Questions(link, ["echo a"])
    assert questions.ask("echo new", 60).stdout == "new\n"
    assert link.asked == ["exec sh -s", "echo new"]
    assert list(questions.asked) == ["echo new"]


@pytest.mark.parametrize("foreseen", [(), ("echo a",)])
def test_an_unforeseen_question_that_comes_again_is_answered_as_before(foreseen: tuple[str, ...]) -> None:
    """Nothing changes in the read-only stage, and many operations ask the same question."""
    link = Noting()
    questions = Questions(link, foreseen)
    assert [questions.ask("echo b", 60).stdout for _ in range(2)] == ["b\n", "b\n"]
    assert [questions.ask("false", 60).exit_status for _ in range(2)] == [1, 1]
    assert [asked for asked in link.asked if asked != "exec sh -s"] == ["echo b", "false"]


def test_a_question_with_a_secret_is_neither_batched_nor_remembered() -> None:
    link = Noting()
    questions = Questions(link, ["echo hunter2"])
    questions.ask("echo hunter2", 60, secret=True)
    assert link.asked == ["echo hunter2"]
    assert not questions.asked


def _cut(at: float) -> Callable[[Completed], Completed]:
    return lambda reply: Completed(0, reply.stdout_bytes[: int(len(reply.stdout_bytes) * at)], reply.stderr_bytes)


def _dies(_: Completed) -> Completed:
    raise HostError("the connection was lost while a command ran", where="h1")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_cut(0.5), "1 of 3 answers are complete"),
        (_cut(0), "0 of 3 answers are complete"),
        (lambda r: Completed(0, r.stdout_bytes, b""), "0 of 3 answers are complete"),
        (lambda r: Completed(0, b"Welcome!\n" + r.stdout_bytes + b"logout\n", r.stderr_bytes), "3 of 3"),
        (lambda r: Completed(0, r.stdout_bytes.replace(b" 1 0\n", b" 2 0\n"), r.stderr_bytes), "3 of 3"),
        (lambda r: Completed(0, r.stdout_bytes.replace(b" 1 0\n", b" 1 7\n"), r.stderr_bytes), "don't agree"),
        (lambda r: Completed(2, r.stdout_bytes, r.stderr_bytes), "exit status 2"),
        (_dies, "one by one: the connection was lost"),
    ],
    ids=["truncated", "empty", "no stderr", "trailing text", "renumbered", "unequal", "failed", "died"],
)
def test_a_spoilt_batch_falls_back_to_asking_singly_and_says_so(
    spoil: Callable[[Completed], Completed], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    link, wanted = Noting(spoil), ["echo a", "echo b", "echo c"]
    questions = Questions(link, wanted)
    with caplog.at_level(logging.WARNING, "rackwright.runner"):
        assert [questions.ask(text, 60).stdout for text in wanted] == ["a\n", "b\n", "c\n"]
    assert link.asked == ["exec sh -s", *wanted]
    (line,) = caplog.messages
    assert re.match(r"h1: 3 questions are asked one by one: ", line)
    assert says in line


def test_an_oversized_batch_falls_back_too(caplog: pytest.LogCaptureFixture) -> None:
    link = Noting()
    questions = Questions(link, ["yes | head -c 40000000", "echo b"])
    assert questions.ask("echo b", 60).stdout == "b\n"
    assert link.asked == ["exec sh -s", "echo b"]
    assert "printed more than" in caplog.text


def test_paths_are_asked_for_together_and_one_whose_content_is_wanted_singly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    paths = [PathQuestion(str(tmp_path / name)).command for name in ("file", "none")]
    differs = PathQuestion(str(tmp_path / "file"), "0" * 64).command
    link = Noting()
    questions = Questions(link, ["echo a", *paths, differs])
    asked = ["echo a", *paths, differs]
    answers = [questions.ask(text, 60) for text in asked]
    assert link.asked == ["exec sh -s", differs]
    alone = [Noting().run(text) for text in asked]
    assert [(one.exit_status, one.stdout) for one in answers] == [(one.exit_status, one.stdout) for one in alone]


def test_where_paths_can_not_be_asked_for_together_they_are_singly() -> None:
    path = PathQuestion("/etc/passwd").command

    def without_stat(reply: Completed) -> Completed:
        ended = (stream.replace(b" 1 0\n", b" 1 127\n") for stream in (reply.stdout_bytes, reply.stderr_bytes))
        return Completed(0, *ended)

    link = Noting(without_stat)
    assert Questions(link, ["echo a", path]).ask(path, 60).ok
    assert link.asked == ["exec sh -s", path]


MANY = [f"echo {number}; exit {number}" for number in range(31)]


def test_many_are_asked_in_two_halves_at_once() -> None:
    link = Noting()
    questions = Questions(link, MANY)
    answers = [questions.ask(text, 60) for text in MANY]
    assert [(answer.stdout, answer.exit_status) for answer in answers] == [(f"{n}\n", n) for n in range(31)]
    assert link.asked == ["exec sh -s", "exec sh -s"]


def test_of_two_halves_the_one_that_is_whole_counts(caplog: pytest.LogCaptureFixture) -> None:
    link = Noting(lambda reply: reply if reply.stdout_bytes.startswith(b"1\n") else _cut(0.5)(reply))
    questions = Questions(link, MANY)
    with caplog.at_level(logging.WARNING, "rackwright.runner"):
        assert [questions.ask(text, 60).exit_status for text in MANY] == list(range(31))
    assert link.asked == ["exec sh -s", "exec sh -s", *MANY[::2]]
    assert len(caplog.messages) == 1


def test_half_a_script_runs_nothing() -> None:
    script = Batch.of(["echo first", "echo second"]).script
    assert Noting().run("exec sh -s", stdin=script[: len(script) // 2 + 40]).stdout == ""
