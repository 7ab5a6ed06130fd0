from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyinfra.api.deploy import deploy
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.facts.files import File
from pyinfra.operations import files, python, server

from rackwright.errors import RackwrightError
from rackwright.run import Outcome, Run
from rackwright.runner import Progress, QuestionMemory, Runner
from rackwright.stopping import stoppable
from tests.runner.conftest import Hosts
from tests.runner.site import site

Change = Callable[[Hosts], None]


def outcomes(run: Run, name: str) -> dict[str, str]:
    return {step.operation: str(step.outcome) for step in run.of(name)}


def test_a_plan_says_what_would_change_and_changes_nothing(hosts: Hosts) -> None:
    run = Runner(hosts.remote).plan(site, hosts.models)
    assert outcomes(run, "a") == {
        "Make the folder": "would change",
        "Write the configuration": "would change",
        "Write the page": "would change",
        "Restart": "would change",
        "Reload": "would change",
    }
    assert {step.role for step in run.steps} == {"web"}
    assert not list(hosts.folder("a").iterdir())


def test_a_second_apply_changes_nothing_and_executes_nothing(hosts: Hosts, tmp_path: Path) -> None:
    engine = Runner(hosts.remote, memory=QuestionMemory("t", tmp_path / "memory"))
    first = engine.apply(site, hosts.models)
    assert first.totals().changed == 15
    assert (hosts.folder("c") / "web/conf").read_text() == "one"
    assert (hosts.folder("c") / "web/conf").stat().st_mode & 0o777 == 0o640
    engine.plan(site, hosts.models)
    hosts.commands("a")
    second = engine.apply(site, hosts.models)
    assert (second.totals().changed, second.totals().unchanged) == (0, 15)
    assert hosts.commands("a") == 1
    assert (hosts.folder("a") / "restarts").read_text() == "x\n"


def test_a_restart_counts_only_where_its_condition_would_hold(hosts: Hosts) -> None:
    engine = Runner(hosts.remote)
    engine.apply(site, hosts.models)
    (hosts.folder("a") / "web/page").write_text("other")
    (hosts.folder("b") / "web/conf").write_text("other")
    run = engine.plan(site, hosts.models)
    assert [step.operation for step in run.of("a") if step.outcome is Outcome.WOULD_CHANGE] == ["Write the page"]
    assert [step.operation for step in run.of("b") if step.outcome is Outcome.WOULD_CHANGE] == [
        "Write the configuration",
        "Restart",
    ]


def test_a_condition_that_only_the_run_can_answer_counts_as_a_change(hosts: Hosts) -> None:
    @deploy("asks")
    def asks(*, disk: str) -> None:
        said = server.shell(name="Say", commands=["echo hello"])
        server.shell(name="Answer", commands=[f"touch {disk}/answered"], _if=lambda: said.stdout == "hello")

    def all_of_it() -> None:
        asks(disk=host.data.spec["disk"])

    run = Runner(hosts.remote).plan(all_of_it, hosts.models)
    assert outcomes(run, "a") == {"Say": "would change", "Answer": "would change"}
    Runner(hosts.remote).apply(all_of_it, hosts.models)
    assert (hosts.folder("a") / "answered").exists()


def _satisfied(_: Hosts) -> None:
    """Everything is as the first apply left it."""


def _changed(hosts: Hosts) -> None:
    for name in "abc":
        (hosts.folder(name) / "web/conf").unlink()
        (hosts.folder(name) / "web/page").write_text("other")


def _half_changed(hosts: Hosts) -> None:
    (hosts.folder("b") / "web/page").write_text("other")
    hosts.models["c"]["content"] = "new"


@pytest.mark.parametrize("change", [_satisfied, _changed, _half_changed])
def test_the_plan_is_the_same_with_and_without_the_batch(hosts: Hosts, tmp_path: Path, change: Change) -> None:
    engine = Runner(hosts.remote, memory=QuestionMemory("t", tmp_path / "memory"))
    engine.apply(site, hosts.models)
    engine.plan(site, hosts.models)
    change(hosts)
    hosts.commands("b")
    batched = engine.plan(site, hosts.models)
    assert hosts.commands("b") == 1
    singly = Runner(hosts.remote).plan(site, hosts.models)
    assert hosts.commands("b") > 1
    assert batched == singly
    assert (batched.changes == 0) is (change is _satisfied)


def test_a_host_that_changes_between_two_plans_is_seen(hosts: Hosts, tmp_path: Path) -> None:
    engine = Runner(hosts.remote, memory=QuestionMemory("t", tmp_path / "memory"))
    engine.apply(site, hosts.models)
    assert engine.plan(site, hosts.models).changes == 0
    (hosts.folder("a") / "web/page").write_text("edited by hand")
    run = engine.plan(site, hosts.models)
    assert [(step.host, step.operation) for step in run.steps if step.outcome is Outcome.WOULD_CHANGE] == [
        ("a", "Write the page")
    ]


def test_a_new_host_is_planned_in_one_command_with_its_siblings_questions(hosts: Hosts, tmp_path: Path) -> None:
    engine = Runner(hosts.remote, memory=QuestionMemory("t", tmp_path / "memory"))
    shared = {name: {"disk": str(hosts.folder("a"))} for name in "ab"}
    engine.apply(site, {"a": shared["a"]})
    engine.plan(site, {"a": shared["a"]})
    run = engine.plan(site, {"b": shared["b"]})
    assert run.changes == 0
    assert hosts.commands("b") == 1


def test_a_batch_in_which_the_host_dies_ends_in_a_plain_failure_of_that_host(hosts: Hosts, tmp_path: Path) -> None:
    engine = Runner(hosts.remote, memory=QuestionMemory("t", tmp_path / "memory"))
    engine.apply(site, hosts.models)
    hosts.shells["b"].lives = lambda _command: False
    run = engine.plan(site, hosts.models)
    assert run.failed_hosts == ("b",)
    (step,) = run.of("b")
    assert (step.role, step.operation) == ("web", "Make the folder")
    assert step.output == ("the connection was lost while a command ran",)
    assert not [step for step in run.of("a") if step.outcome is Outcome.FAILED]


def test_a_branch_on_one_host_does_not_disturb_the_others(hosts: Hosts) -> None:
    hosts.models["b"]["extra"] = True
    hosts.models["c"]["content"] = "three"
    engine = Runner(hosts.remote)
    run = engine.apply(site, hosts.models)
    assert [step.operation for step in run.of("b")][:2] == ["Make the extra folder", "Make the folder"]
    assert run.of("a")[0].operation == "Make the folder"
    assert (hosts.folder("b") / "extra").is_dir()
    assert not (hosts.folder("a") / "extra").exists()
    assert (hosts.folder("c") / "web/page").read_text() == "three"


def test_the_difference_stands_beside_its_own_step(hosts: Hosts) -> None:
    engine = Runner(hosts.remote)
    for run in (engine.plan(site, hosts.models), engine.apply(site, hosts.models)):
        diffs = {step.operation: step.diff for step in run.of("a") if step.diff}
        assert diffs == {"Write the page": "-None\n+one"}
    assert not [step for step in engine.plan(site, hosts.models).steps if step.diff]


@operation()
def _breaks(*, live: bool) -> Iterator[str]:
    marker = f"{host.data.spec['disk']}/first"
    if (host.get_fact(File, path=marker) is not None) is live:
        raise KeyError("no such thing")
    yield "true"


@operation()
def _refuses() -> Iterator[str]:
    if host.get_fact(File, path=f"{host.data.spec['disk']}/first") is not None:
        raise RackwrightError("is not what it should be", where="gpu1", should="another one")
    yield "true"


@deploy("trouble")
def _trouble(*, kind: str) -> None:
    disk = host.data.spec["disk"]
    files.file(name="First", path=f"{disk}/first")
    if kind == "command":
        server.shell(name="Bad", commands=["echo working; echo why >&2; exit 3"])
    elif kind == "ours":
        _refuses(name="Bad")
    elif kind == "live":
        _breaks(name="Bad", live=True)
    elif kind == "prepare":
        _breaks(name="Bad", live=False)
    elif kind == "slow":
        server.shell(name="Bad", commands=["sleep 60"])
    elif kind == "ignored":
        server.shell(name="Bad", commands=["exit 3"], _ignore_errors=True)
    server.shell(name="Last", commands=[f"touch {disk}/last"])


def trouble() -> None:
    _trouble(kind=host.data.spec.get("kind", "none"))


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        ("command", ("working", "why")),
        ("live", ("KeyError: 'no such thing'",)),
        ("ours", ("gpu1: is not what it should be; another one",)),
        ("slow", ("a command didn't finish within 0.3 s",)),
    ],
)
def test_a_failed_operation_ends_its_own_host_only(hosts: Hosts, kind: str, output: tuple[str, ...]) -> None:
    hosts.models["b"]["kind"] = kind
    run = Runner(hosts.remote, operation_seconds=0.3).apply(trouble, hosts.models)
    assert outcomes(run, "b") == {"First": "changed", "Bad": "failed", "Last": "not run"}
    failed = next(step for step in run.of("b") if step.outcome is Outcome.FAILED)
    assert [line.partition(" (/")[0] for line in failed.output] == list(output)
    assert run.failed_hosts == ("b",)
    assert (hosts.folder("a") / "last").exists()
    assert not (hosts.folder("b") / "last").exists()


def test_a_host_whose_deploy_cannot_be_read_is_left_alone(hosts: Hosts) -> None:
    hosts.models["b"]["kind"] = "prepare"
    run = Runner(hosts.remote).apply(trouble, hosts.models)
    assert outcomes(run, "b") == {"First": "not run", "Bad": "failed"}
    assert run.of("b")[-1].output[0].startswith("KeyError: 'no such thing' (")
    assert run.of("b")[-1].role == "trouble"
    assert not list(hosts.folder("b").iterdir())
    assert (hosts.folder("a") / "last").exists()


def test_an_ignored_error_is_skipped_and_the_host_goes_on(hosts: Hosts) -> None:
    hosts.models["b"]["kind"] = "ignored"
    run = Runner(hosts.remote).apply(trouble, hosts.models)
    assert outcomes(run, "b") == {"First": "changed", "Bad": "skipped", "Last": "changed"}


def test_an_unreachable_host_is_named_with_the_reason(hosts: Hosts) -> None:
    hosts.away.add("b")
    run = Runner(hosts.remote).apply(trouble, hosts.models)
    assert run.unreachable == {"b": "unreachable at 10.0.0.1 port 22: no answer"}
    assert run.of("b") == ()
    assert run.totals("b").failed == 1
    assert (hosts.folder("a") / "last").exists()


def test_a_host_that_vanishes_in_the_middle_fails_at_that_step(hosts: Hosts) -> None:
    hosts.shells["b"].lives = lambda command: "touch" not in command or "/last" not in command
    run = Runner(hosts.remote).apply(trouble, hosts.models)
    assert outcomes(run, "b") == {"First": "changed", "Last": "failed"}
    assert run.of("b")[-1].output == ("the connection was lost while a command ran",)
    assert (hosts.folder("c") / "last").exists()


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_after_the_running_operation(hosts: Hosts, told: signal.Signals) -> None:
    before = signal.getsignal(told)

    def interrupt(news: Progress) -> None:
        if (news.host, news.operation, news.step) == ("a", "First", None):
            os.kill(os.getpid(), told)

    heard: list[bool] = []
    with stoppable(lambda: heard.append(True)) as stopping:
        run = Runner(hosts.remote, on_step=interrupt).apply(trouble, {"a": hosts.models["a"]}, stopping=stopping)
    assert heard == [True]
    assert outcomes(run, "a") == {"First": "changed", "Last": "not run"}
    assert run.interrupted
    assert signal.getsignal(told) is before


def test_a_second_ctrl_c_ends_at_once(hosts: Hosts) -> None:
    def interrupt(news: Progress) -> None:
        if news.step is None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stoppable() as stopping:
        Runner(hosts.remote, on_step=interrupt).apply(trouble, {"a": hosts.models["a"]}, stopping=stopping)
    assert signal.getsignal(signal.SIGINT) is before
    assert not (hosts.folder("a") / "last").exists()


def test_progress_tells_each_operations_begin_and_end(hosts: Hosts) -> None:
    news: list[Progress] = []
    Runner(hosts.remote, on_step=news.append).apply(site, {"a": hosts.models["a"]})
    ended = [(item.number, item.total, item.operation) for item in news if item.step]
    assert ended[0] == (1, 5, "Make the folder")
    assert len(ended) == 5
    assert [item.bytes_sent for item in news if item.bytes_total] == [3]


@deploy("nested")
def _nested() -> None:
    def inside() -> None:
        files.file(name="Inner", path=f"{host.data.spec['disk']}/{host.name}")

    python.call(name="Outer", function=inside)


def nested() -> None:
    _nested()


def test_an_operation_inside_an_operation_runs_on_its_own_host(hosts: Hosts) -> None:
    run = Runner(hosts.remote).apply(nested, hosts.models)
    assert {step.operation: step.outcome for step in run.steps} == {"Outer": Outcome.CHANGED}
    assert [(hosts.folder(name) / name).exists() for name in "abc"] == [True, True, True]


@deploy("secretive")
def _secretive() -> None:
    from pyinfra.api.hiddenvalue import HiddenValue

    host.get_fact(File, path="/etc/passwd", _env={"TOKEN": HiddenValue("hunter2")})


def test_a_secret_in_a_question_reaches_no_disk(hosts: Hosts, tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    Runner(hosts.remote, memory=QuestionMemory("t", memory)).plan(_secretive, hosts.models)
    assert "hunter2" in " ".join(hosts.shells["a"].commands)
    assert "hunter2" not in "".join(file.read_text() for file in memory.rglob("*.json"))


def test_only_the_roles_that_were_asked_for_are_run(hosts: Hosts) -> None:
    engine = Runner(hosts.remote)
    run = engine.apply(trouble, hosts.models, only=("web",))
    assert {step.outcome for step in run.steps} == {Outcome.SKIPPED}
    assert not list(hosts.folder("a").iterdir())
    assert engine.apply(trouble, hosts.models, only=("trouble",)).totals().changed == 6


def test_what_stands_satisfied_before_the_first_change_is_not_asked_again(hosts: Hosts, tmp_path: Path) -> None:
    engine = Runner(hosts.remote, memory=QuestionMemory("t", tmp_path / "memory"))
    engine.apply(site, hosts.models)
    engine.plan(site, hosts.models)
    (hosts.folder("a") / "web/page").write_text("other")
    hosts.commands("a")
    run = engine.apply(site, {"a": hosts.models["a"]})
    assert outcomes(run, "a")["Write the page"] == "changed"
    assert outcomes(run, "a")["Write the configuration"] == "unchanged"
    assert not [command for command in hosts.shells["a"].commands if "web/conf" in command]


class Number(FactBase[int]):
    def command(self, path: str) -> str:
        return f"cat {path}"

    def process(self, output: list[str]) -> int:
        return int(output[0])


@deploy("numbers")
def numbers() -> None:
    host.get_fact(Number, f"{host.data.spec['disk']}/number")
    server.shell(name="Note it", commands=["true"])


def test_a_host_whose_answer_cannot_be_read_fails_alone(hosts: Hosts) -> None:
    for name in "abc":
        (hosts.folder(name) / "number").write_text("motd: be good\n" if name == "b" else "7\n")
    run = Runner(hosts.remote).apply(numbers, hosts.models)
    assert (run.failed_hosts, run.totals("a").changed, run.totals("c").changed) == (("b",), 1, 1)
    (step,) = run.of("b")
    said = "answered something that rackwright can't read: the fact Number (ValueError at test_runner.py:"
    assert step.output[0].startswith(said)
