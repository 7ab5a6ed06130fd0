from __future__ import annotations

from collections.abc import Callable, Iterator

from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.facts.files import FileContents

from rackwright.remote import Completed
from rackwright.runner import Runner
from rackwright.runner.prefetch import Prefetch
from tests.runner.conftest import Hosts, Shell
from tests.runner.site import text

FILES = tuple(f"file{number}" for number in range(8))


def deploy() -> None:
    """Eight files in order."""
    disk = host.data.spec["disk"]
    for name in FILES:
        text(name=f"Write {name}", path=f"{disk}/{name}", content="right")


@operation()
def copied(*, source: str, target: str) -> Iterator[str]:
    """The target has the source's content."""
    if host.get_fact(FileContents, path=source) != host.get_fact(FileContents, path=target):
        yield f"cp {source} {target}"


def derived() -> None:
    """An operation writes the copy's source before it, which the plan can't know."""
    disk = host.data.spec["disk"]
    text(name="Write the source", path=f"{disk}/source", content=host.data.spec["content"])
    copied(name="Copy", source=f"{disk}/source", target=f"{disk}/target")
    copied(name="Copy the copy", source=f"{disk}/target", target=f"{disk}/last")


def executed(hosts: Hosts, deploy: Callable[[], None]) -> list[str]:
    """The commands that an apply runs on host a after its plan."""
    engine = Runner(hosts.remote)
    engine.plan(deploy, {"a": hosts.models["a"]})
    planned = hosts.commands("a")
    run = engine.apply(deploy, {"a": hosts.models["a"]})
    assert not run.failed_hosts
    return hosts.shells["a"].commands[planned:]


def test_between_two_changes_a_host_is_asked_once(hosts: Hosts) -> None:
    engine = Runner(hosts.remote)
    engine.apply(deploy, {"a": hosts.models["a"]})
    for name in ("file1", "file6"):
        (hosts.folder("a") / name).write_text("wrong")
    hosts.commands("a")
    # The first change repeats the earlier questions. The second comes after four files that are as they should be.
    assert ["asked" if "exec sh -s" in command else "changed" for command in executed(hosts, deploy)] == [
        *("asked", "changed"),
        *("asked", "changed"),
        "asked",
    ]
    assert {(hosts.folder("a") / name).read_text() for name in FILES} == {"right"}


def test_an_answer_that_a_change_made_stale_is_asked_for_again(hosts: Hosts) -> None:
    hosts.models["a"]["content"] = "one"
    engine = Runner(hosts.remote)
    engine.apply(derived, {"a": hosts.models["a"]})
    hosts.models["a"]["content"] = "two"
    run = engine.apply(derived, {"a": hosts.models["a"]})
    assert [str(step.outcome) for step in run.steps] == ["changed", "changed", "changed"]
    assert (hosts.folder("a") / "last").read_text() == "two"


def prefetch(shell: Shell) -> Prefetch:
    made = Prefetch(_Asked(shell), 60)
    for operation_, question in (("one", "echo a"), ("two", "echo b"), ("two", "echo a"), ("three", "echo c")):
        made.foresee(operation_, question)
    return made


class _Asked:
    """The shell as the connection that gets the questions."""

    def __init__(self, shell: Shell) -> None:
        self.name, self._shell = "a", shell

    def open(self) -> None: ...

    def run(
        self, command: str, *, stdin: str | bytes | None = None, timeout: float | None = 60, limit: int = 2**20
    ) -> Completed:
        given = [stdin.encode() if isinstance(stdin, str) else stdin or b""]
        return self._shell.execute(command, given, timeout=timeout, limit=limit)


def said(answer: Completed | None) -> str | None:
    return answer.stdout.strip() if answer else None


def test_operations_share_an_answer_and_one_that_asks_twice_asks_the_host() -> None:
    shell = Shell("a")
    made = prefetch(shell)
    made.begin("one", ["two"])
    assert said(made.answer("echo a")) == "a"
    made.begin("two", [])
    assert (said(made.answer("echo b")), said(made.answer("echo a"))) == ("b", "a")
    assert made.answer("echo unforeseen") is None
    assert len(shell.commands) == 1
    made.begin("three", [])
    assert said(made.answer("echo c")) == "c"
    assert len(shell.commands) == 2


def test_after_a_change_no_answer_is_left() -> None:
    made = prefetch(Shell("a"))
    made.begin("one", ["two"])
    made.forget()
    assert made.answer("echo a") is None
    made.begin("two", [])
    assert said(made.answer("echo a")) == "a"


def test_a_batch_that_fails_leaves_no_answer() -> None:
    shell = Shell("a")
    shell.lives = lambda command: not command.startswith("exec sh")
    made = prefetch(shell)
    made.begin("one", [])
    assert made.answer("echo a") is None
    # It isn't tried again before something has changed: a hanging question would delay each operation.
    made.begin("two", [])
    assert len(shell.commands) == 1
    made.forget()
    made.begin("two", [])
    assert len(shell.commands) == 2


def test_what_an_operation_waited_for_is_new_to_the_next_one() -> None:
    shell = Shell("a")
    made = prefetch(shell)
    made.begin("one", ["two"])
    assert said(made.answer("echo a")) == "a"
    assert made.answer("echo a") is None
    made.begin("two", [])
    assert len(shell.commands) == 2
