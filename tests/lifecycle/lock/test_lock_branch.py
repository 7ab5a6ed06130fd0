"""The promoted lock goes to a branch: real git and ssh against a stand-in for sshd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock_file import read_lock, write_lock
from rackwright.fleet.sections.unattended import LockRepository, Unattended
from rackwright.lifecycle.lock import git_server, lock_branch
from rackwright.lifecycle.lock.lock_branch import publish_lock, publish_promoted
from rackwright.resolve.lock import resolve_lock
from rackwright.state.applied import About, applied_from, write_applied
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from tests.cli.test_lock_applied import FLEET
from tests.shells import FolderHosts, FolderShell
from tests.stand_in_sshd import GitSshd, git_sshd

BRANCH = "rackwright-lock"


class Place:
    """A repository on a git server, with the fleet in a folder, and a checkout of it."""

    def __init__(self, folder: Path, sshd: GitSshd, keys: Path) -> None:
        self.served, self.sshd, self.keys = folder / "ops.git", sshd, keys
        self.path = folder / "checkout/inventory/acme.yml"
        self.path.parent.mkdir(parents=True)
        self.path.write_text(FLEET)
        (self.path.parent / "llama.tar.gz").write_bytes(b"x")
        (self.path.parent / "m.gguf").write_bytes(b"GGUF")
        write_lock(self.lock, resolve_lock(load_fleet(self.path), None))
        _git(folder, "init", "-q", "--bare", "-b", "main", str(self.served))
        _git(self.here, "init", "-q", "-b", "main")
        _git(self.here, "add", ".")
        _git(self.here, "commit", "-q", "-m", "the fleet")
        self.push("main")
        self.first = _git(self.here, "rev-parse", "HEAD")

    @property
    def here(self) -> Path:
        return self.path.parents[1]

    @property
    def lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def push(self, branch: str) -> None:
        _git(self.here, "push", "-q", str(self.served), f"HEAD:{branch}")

    @property
    def fleet(self) -> Fleet:
        fleet = load_fleet(self.path)
        repository = LockRepository(
            url=self.sshd.url("ops.git"), key=f"file:{self.keys / 'deploy'}", host_key=self.sshd.host_key
        )
        unattended = Unattended.model_construct(person="nightly", repository=repository)
        return replace(fleet, file=fleet.file.model_copy(update={"unattended": unattended}))

    @property
    def about(self) -> About:
        return applied_from(checkout(self.fleet), who="rw_tool@ctl1", run="r2", when=utc_now()).about

    def promoted(self, digit: str = "1") -> bytes:
        """Return a lock that a run has promoted."""
        lock = read_lock(self.lock)
        ports = {**lock.ports, "gpu1": {"assistant@1": 8100 + int(digit)}}
        write_lock(self.lock, lock.model_copy(update={"ports": ports}))
        content = self.lock.read_bytes()
        _git(self.here, "checkout", "-q", ".")
        return content

    def show(self, *words: str) -> str:
        return _git(self.served, *words)

    def publish(self, content: bytes, **about: Any) -> str | None:
        return publish_lock(self.fleet, self.about.model_copy(update=about), content, "patch run --unattended")


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=anna", "-c", "user.email=anna@example.org"]
    done = subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def make_key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with git_sshd(tmp_path, make_key(tmp_path / "deploy")) as sshd:
        yield Place(tmp_path, sshd, tmp_path)


@pytest.mark.parametrize("protocol", [True, False], ids=["as git hosts do", "as Debian's sshd does"])
def test_the_first_push_makes_the_branch_after_the_applied_commit_if_the_server_gives_it(
    place: Place, protocol: bool
) -> None:
    place.sshd.protocol = protocol
    (place.here / "later").write_text("")
    _git(place.here, "add", ".")
    about = place.about
    _git(place.here, "commit", "-q", "-m", "not applied yet")
    place.push("main")
    content = place.promoted()
    made = publish_lock(place.fleet, about, content, "patch run --unattended")
    assert made == place.show("rev-parse", BRANCH)
    parent = place.first if protocol else place.show("rev-parse", "main")
    assert place.show("rev-parse", f"{BRANCH}^") == parent
    assert place.show("diff", "--name-only", parent, BRANCH) == "inventory/acme.lock"
    assert place.show("show", f"{BRANCH}:inventory/acme.lock") == content.decode().strip()


def test_the_commit_names_run_what_changed_and_who(place: Place) -> None:
    place.publish(place.promoted())
    assert place.show("log", "-1", "--format=%an|%cn|%B", BRANCH).splitlines() == [
        "rackwright (nightly)|rackwright (nightly)|Lock promoted by patch run --unattended (run r2)",
        "",
        "- ports of gpu1",
    ]


def test_the_next_push_adds_a_commit_to_the_branch(place: Place) -> None:
    first = place.publish(place.promoted("1"))
    second = place.publish(place.promoted("2"))
    assert place.show("log", "--format=%H", BRANCH).splitlines() == [second, first, place.first]


def test_a_lock_that_the_branch_has_already_is_not_pushed_again(place: Place) -> None:
    first = place.publish(place.promoted())
    assert place.publish(place.promoted()) is None
    assert place.show("rev-parse", BRANCH) == first


def test_a_commit_that_the_server_lacks_is_no_obstacle(place: Place) -> None:
    place.publish(place.promoted(), commit="f" * 40)
    assert place.show("rev-parse", f"{BRANCH}^") == place.first


def test_a_push_that_somebody_overtakes_is_repeated_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish(place.promoted("1"))
    push, overtaken = git_server.GitServer.push, []

    def overtake(server: git_server.GitServer, commit: str, branch: str, over: str | None) -> None:
        if not overtaken:
            tree = place.show("rev-parse", f"{BRANCH}^{{tree}}")
            other = _git(place.served, "commit-tree", tree, "-p", BRANCH, "-m", "faster")
            place.show("update-ref", f"refs/heads/{BRANCH}", other)
            overtaken.append(other)
        push(server, commit, branch, over)

    monkeypatch.setattr(git_server.GitServer, "push", overtake)
    made = place.publish(place.promoted("2"))
    assert place.show("log", "-2", "--format=%H", BRANCH).splitlines() == [made, *overtaken]


def test_a_branch_that_others_push_to_all_the_time_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def rejected(*words: object) -> None:
        tries.append(words)
        raise git_server.Rejected("has got another commit")

    monkeypatch.setattr(git_server.GitServer, "push", rejected)
    with pytest.raises(RackwrightError, match="another commit"):
        place.publish(place.promoted())
    assert len(tries) == 2


def test_only_the_deploy_key_is_offered(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/.ssh").mkdir(parents=True)
    make_key(tmp_path / "home/.ssh/id_ed25519")
    place.publish(place.promoted())
    assert set(place.sshd.offered) == {place.sshd.allowed}


def test_another_host_key_is_refused(place: Place) -> None:
    place.sshd.key = type(place.sshd.key).generate(2048)
    fleet = place.fleet
    place.sshd.key = type(place.sshd.key).generate(2048)
    with pytest.raises(RackwrightError, match="Host key verification failed"):
        publish_lock(fleet, place.about, place.promoted(), "patch run")
    assert place.sshd.commands == []


def test_another_key_is_refused_without_a_question(place: Place) -> None:
    (place.keys / "deploy").unlink()
    make_key(place.keys / "deploy")
    with pytest.raises(RackwrightError, match="Permission denied"):
        place.publish(place.promoted())


def test_a_server_that_does_not_answer_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_server, "SECONDS", 2)
    place.sshd.hangs = True
    with pytest.raises(RackwrightError, match="no answer within 2 s"):
        place.publish(place.promoted())


def test_settings_hooks_and_variables_of_the_user_do_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hooks/pre-push"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    config = tmp_path / "home/.gitconfig"
    config.parent.mkdir()
    config.write_text(f'[core]\nhooksPath = {hook.parent}\n[url "file:///nowhere/"]\ninsteadOf = ssh://\n')
    content, about, fleet = place.promoted(), place.about, place.fleet
    for name, value in {
        "HOME": str(config.parent),
        "GIT_DIR": str(tmp_path / "elsewhere"),
        "GIT_SSH_COMMAND": f"touch {tmp_path}/ran",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(hook.parent),
    }.items():
        monkeypatch.setenv(name, value)
    made = publish_lock(fleet, about, content, "patch run")
    monkeypatch.undo()
    assert place.show("rev-parse", BRANCH) == made
    assert not (tmp_path / "ran").exists()


def test_a_link_in_place_of_the_lock_is_replaced_and_leads_nowhere(place: Place, tmp_path: Path) -> None:
    content = place.promoted()
    about = place.about
    place.lock.unlink()
    place.lock.symlink_to(tmp_path / "victim")
    _git(place.here, "add", ".")
    _git(place.here, "commit", "-q", "-m", "a link")
    place.push(BRANCH)
    publish_lock(place.fleet, about, content, "patch run")
    assert not (tmp_path / "victim").exists()
    assert place.show("ls-tree", BRANCH, "inventory/acme.lock").startswith("100644 blob")
    assert "The branch had no lock that can be compared." in place.show("log", "-1", "--format=%B", BRANCH)


def test_the_key_is_in_no_argument_and_no_variable_and_is_gone_afterwards(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = (place.keys / "deploy").read_text().splitlines()[2]
    monkeypatch.setenv("TMPDIR", str(tmp_path / "it's % $(touch ran)"))
    Path(os.environ["TMPDIR"]).mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    ran: list[tuple[list[str], dict[str, str]]] = []
    modes: list[int] = []
    popen = subprocess.Popen

    def seen(command: Any, *words: Any, **more: Any) -> Any:
        if "env" in more and more["env"] and "GIT_SSH_COMMAND" in more["env"]:
            ran.append((list(map(str, command)), more["env"]))
            modes.append((Path(more["env"]["HOME"]) / "key").stat().st_mode & 0o777)
        return popen(command, *words, **more)

    content, about = place.promoted(), place.about
    monkeypatch.setattr(subprocess, "Popen", seen)
    assert publish_lock(place.fleet, about, content, "patch run")
    assert ran
    assert set(modes) == {0o600}
    assert not [words for words, _ in ran if secret in " ".join(words)]
    assert not [env for _, env in ran if any(secret in value for value in env.values())]
    assert list(Path(os.environ["TMPDIR"]).iterdir()) == []


def test_where_the_lock_is_must_be_known(place: Place) -> None:
    with pytest.raises(RackwrightError, match="it isn't known where the lock is") as caught:
        place.publish(place.promoted(), inside=None)
    assert "lock --applied" in str(caught.value)
    assert place.sshd.commands == []


def test_an_empty_repository_is_refused(place: Place) -> None:
    _git(place.served, "update-ref", "-d", "refs/heads/main")
    with pytest.raises(RackwrightError, match="the repository is empty"):
        place.publish(place.promoted(), commit=None)


def test_without_git_the_next_command_installs_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    content, about = place.promoted(), place.about
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RackwrightError, match="git can't be run") as caught:
        publish_lock(place.fleet, about, content, "patch run")
    assert caught.value.problems[0].next == "apt install git"


def test_what_the_server_says_is_shortened_and_can_not_steer_a_terminal(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = place.served / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nprintf '\\033[31mno%05000d\\n' 0 >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RackwrightError, match="pushing failed") as caught:
        place.publish(place.promoted())
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


# As a run does it.


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def session(place: Place, tmp_path: Path, content: bytes) -> Any:
    hosts = {}
    for name in ("gate1", "gpu1", "gpu2"):
        (tmp_path / name).mkdir()
        hosts[name] = FolderShell(name=name, var=str(tmp_path / name))
    made = applied_from(checkout(place.fleet), who="rw_tool@ctl1", run="r2", when=utc_now())
    applied = replace(made, files={**made.files, "acme.lock": content})
    for shell in hosts.values():
        write_applied(shell, applied)
    return SimpleNamespace(fleet=place.fleet, remote=FolderHosts(hosts))


def test_a_run_pushes_what_the_control_hosts_have(place: Place, tmp_path: Path) -> None:
    console, content = Said(), place.promoted()
    assert publish_promoted(session(place, tmp_path, content), console, "patch run --unattended") is None  # type: ignore[arg-type]
    (line,) = console.lines
    assert line.startswith(f"pushed the lock to branch {BRANCH} of ssh://git@127.0.0.1:")
    assert place.show("show", f"{BRANCH}:inventory/acme.lock") == content.decode().strip()
    again = Said()
    publish_promoted(session_again(place, tmp_path), again, "patch run")  # type: ignore[arg-type]
    assert again.lines[0].endswith("has the lock already")


def session_again(place: Place, tmp_path: Path) -> Any:
    hosts = {name: FolderShell(name=name, var=str(tmp_path / name)) for name in ("gate1", "gpu1", "gpu2")}
    return SimpleNamespace(fleet=place.fleet, remote=FolderHosts(hosts))


def test_a_push_that_fails_is_reported_and_undoes_nothing(place: Place, tmp_path: Path) -> None:
    console = Said()
    place.sshd.allowed = "none"
    error = publish_promoted(session(place, tmp_path, place.promoted()), console, "patch run")  # type: ignore[arg-type]
    assert error is not None
    (problem,) = error.problems
    assert problem.what.startswith(f"the promoted lock isn't on branch {BRANCH} of ssh://git@127.0.0.1:")
    assert "Permission denied" in problem.what
    assert problem.should == "everything else is done, and the control hosts have the lock"
    assert problem.next == "rackwright lock --applied, then commit the lock"
    assert console.lines == [problem.line()]


def test_a_secret_that_is_not_there_is_reported(place: Place, tmp_path: Path) -> None:
    ready = session(place, tmp_path, place.promoted())
    (place.keys / "deploy").unlink()
    error = publish_promoted(ready, Said(), "patch run")  # type: ignore[arg-type]
    assert error is not None
    assert "can't be read" in str(error)


def test_without_a_repository_nothing_is_pushed(place: Place) -> None:
    fleet = load_fleet(place.path)
    assert publish_promoted(SimpleNamespace(fleet=fleet), Said(), "patch run") is None  # type: ignore[arg-type]
    assert lock_branch.publish_lock(fleet, place.about, b"", "patch run") is None
