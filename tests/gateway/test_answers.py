"""An unexpected answer from HAProxy is an error that names its source. A worker that ends meanwhile is no error."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.gateway import Gateways
from rackwright.roles.gateway.settings import Key
from tests.gateway.stack import KEYS, Stack, alive, digest, gone
from tests.gateway.test_runtime import ended_whole, held_stream

ASSISTANT = "gpu1/assistant@1"
KEY = Key(id="late", sha256=digest(KEYS["wrong"]))
ACTS: dict[str, Callable[[Gateways], object]] = {
    "drain": lambda told: told.drain(ASSISTANT, who="ada", reason="fan"),
    "ready": lambda told: told.undrain(ASSISTANT),
    "open downtime": lambda told: told.open_downtime("assistant", 60),
    "close downtime": lambda told: told.close_downtime("assistant"),
    "downtimes": lambda told: told.downtimes(),
    "give share": lambda told: told.set_canary(ASSISTANT, 5, digest="d", rollout="r"),
    "end share": lambda told: told.end_canary("assistant"),
    "check canaries": lambda told: told.check_canaries(),
    "put key": lambda told: told.put_key(KEY, note="{}"),
    "remove key": lambda told: told.remove_key(gone(KEY), note="{}"),
    "servers": lambda told: told.servers(),
    "dropped lines": lambda told: told.dropped_lines(),
    "fallbacks": lambda told: told.fallbacks(),
}
OF_WORKERS = [name for name in ACTS if name not in ("downtimes", "check canaries", "fallbacks")]
OF_ADMIN = [name for name in ACTS if name != "dropped lines"]


@pytest.fixture
def gateways(stack: Stack) -> Iterator[Gateways]:
    with stack.gateways() as gateways:
        yield gateways
        gateways.undrain(ASSISTANT)
        gateways.close_downtime("assistant")
        gateways.end_canary("assistant")
        stack.gateway.forget_keys()
        stack.gateway.wait_for_replaced()


@pytest.fixture
def old(stack: Stack, gateways: Gateways) -> Iterator[int]:
    """A replaced worker that is still sending an answer."""
    response = held_stream(stack)
    stack.gateway.reload()
    (pid,) = stack.gateway.workers[1:]
    yield pid
    if alive(pid):
        assert ended_whole(stack, response)
    else:
        with contextlib.suppress(OSError, HTTPException):
            response.read()


@contextlib.contextmanager
def answered(folder: Path, asked: str, answer: str) -> Iterator[None]:
    """Within the block, the shell code `answer` runs in HAProxy's place if the socket or the command contains
    `asked`; `sleep` does nothing."""
    programs = os.environ["PATH"]
    socat = f"""#!/bin/sh
said=$(cat; echo .)
case "$* $said" in *{asked}*) {answer} ;; *) printf %s "${{said%?}}" | {shutil.which("socat")} "$@" ;; esac
"""
    for name, text in (("socat", socat), ("sleep", "#!/bin/sh\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}:{programs}")
        yield


def errors(gateways: Gateways, acts: Iterable[str] = OF_WORKERS) -> Iterator[tuple[str, str]]:
    """Yield each act and its error. Fail if it has none."""
    for act in acts:
        try:
            ACTS[act](gateways)
        except HostError as error:
            yield act, str(error)
        else:
            pytest.fail(f"{act}: no error")


def test_another_answer_of_an_old_worker_is_an_error_that_names_it(
    gateways: Gateways, old: int, tmp_path: Path
) -> None:
    odd = rf"printf 'Something\033[31m odd\n{'x' * 1000}\n\n'"
    with answered(tmp_path, f"'@!{old} '", odd):
        for act, error in errors(gateways):
            assert f"HAProxy's worker {old}, asked '" in error, act
            assert "answered: Something [31m odd xxx" in error, act
            assert len(error) < 500, act


def test_another_answer_of_the_admin_socket_is_an_error(gateways: Gateways, tmp_path: Path) -> None:
    with answered(tmp_path, "/admin.sock", "echo 'Something odd'; echo"):
        for act, error in errors(gateways, OF_ADMIN):
            assert re.search(r"failed: HAProxy, asked '.*Something odd", error), f"{act}: {error}"


def test_an_answer_of_the_admin_socket_that_never_ends_is_an_error(gateways: Gateways, tmp_path: Path) -> None:
    with answered(tmp_path, "/admin.sock", "exec yes"), pytest.raises(HostError, match="failed: HAProxy, asked '"):
        gateways.servers()


@pytest.mark.parametrize("answer", ["", "printf 'half of an'"], ids=["none", "half"])
def test_no_whole_answer_is_an_error(gateways: Gateways, old: int, tmp_path: Path, answer: str) -> None:
    with answered(tmp_path, f"'@!{old} '", answer):
        for act, error in errors(gateways):
            assert f"HAProxy's worker {old}, asked '" in error, act


@pytest.mark.parametrize("act", OF_WORKERS)
def test_a_worker_that_ends_meanwhile_is_no_error(gateways: Gateways, old: int, tmp_path: Path, act: str) -> None:
    """Twice it gives no answer, then it ends."""
    asked = tmp_path / "asked"
    ends = (
        f"echo >>{asked}; [ $(wc -l <{asked}) -gt 2 ] || exit 0\n"
        f"kill -9 {old}; while [ -e /proc/{old}/exe ]; do :; done; exit 1"
    )
    with answered(tmp_path, f"'@!{old} '", ends):
        ACTS[act](gateways)
    assert not alive(old)


@pytest.mark.parametrize("answer", ["exit 1", "exit 0", "echo '# workers'; echo"], ids=["fails", "none", "nobody"])
def test_a_master_that_names_no_worker_is_an_error(gateways: Gateways, tmp_path: Path, answer: str) -> None:
    with answered(tmp_path, "'show proc'", answer):
        for act, error in errors(gateways):
            assert "HAProxy's master lists no worker" in error, act


def test_a_worker_that_an_earlier_version_started_is_left_to_end(
    stack: Stack, gateways: Gateways, tmp_path: Path
) -> None:
    """It has neither the map nor the command that it needs to pass requests on."""
    folder = Path(stack.gateway.paths.configuration)
    now = {name: (folder / name).read_text() for name in ("haproxy.cfg", "downtime.lua")}
    (folder / "haproxy.cfg").write_text(
        now["haproxy.cfg"].replace("replaced.map", "ends.map").replace("/downtimes.map", "/other.map")
    )
    (folder / "downtime.lua").write_text(now["downtime.lua"].replace('{ "replaced" }', '{ "other" }'))
    stack.gateway.reload()
    stack.gateway.wait_for_replaced()
    response = held_stream(stack)
    for name, text in now.items():
        (folder / name).write_text(text)
    stack.gateway.reload()
    assert len(stack.gateway.workers) == 2
    for act in ACTS.values():
        act(gateways)
    assert ended_whole(stack, response)


def test_a_gateway_that_runs_on_an_earlier_versions_files_knows_no_downtime_and_says_so_when_told(
    stack: Stack, gateways: Gateways
) -> None:
    file = Path(stack.gateway.paths.configuration, "haproxy.cfg")
    now = file.read_text()
    file.write_text(now.replace("/downtimes.map", "/other.map"))
    stack.gateway.reload()
    try:
        assert gateways.downtimes() == {}
        with pytest.raises(HostError, match=r"Unknown map identifier.*\(it runs with other files: apply first\)"):
            gateways.open_downtime("assistant", 60)
    finally:
        file.write_text(now)
        stack.gateway.reload()


def test_what_waits_for_a_reload_is_told_afterwards(stack: Stack, gateways: Gateways, tmp_path: Path) -> None:
    """Each act takes the lock that a reload uses, and gives up if it doesn't get it."""
    (tmp_path / "flock").write_text(f"#!/bin/sh\nreadlink /proc/$$/fd/9 >>{tmp_path}/locked\nexec false\n")
    (tmp_path / "flock").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        for act in OF_WORKERS:
            if act not in ("servers", "dropped lines"):
                with pytest.raises(HostError, match="another command is changing HAProxy; try again later"):
                    ACTS[act](gateways)
        with pytest.raises(Exception, match="exit status 1"):
            stack.gateway.reload()
        with pytest.raises(Exception, match="exit status 1"):
            stack.gateway.script("load_keys")
    locked = (tmp_path / "locked").read_text().split()
    assert locked == [stack.gateway.paths.configuration] * len(OF_WORKERS)
