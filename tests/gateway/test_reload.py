"""What the script that the unit runs as root does for a running proxy."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gateway.stack import Stack


def test_checking_a_configuration_leaves_no_keys_behind(stack: Stack) -> None:
    configuration = f"{stack.gateway.paths.configuration}/haproxy.cfg"
    stack.gateway.script("check", configuration)
    broken = stack.folder / "broken.cfg"
    broken.write_text(Path(configuration).read_text() + "no such word\n")
    with pytest.raises(subprocess.CalledProcessError):
        stack.gateway.script("check", str(broken))
    assert not list(Path("/run").glob(f"{stack.gateway.proxy.unit}-check.*"))


@contextmanager
def _mute(stack: Stack, said: bytes | None, name: str = "admin") -> Iterator[None]:
    """Within the block, nothing listens at the socket, or, if given, a server answers only `said`."""
    path = Path(stack.gateway.paths.sockets, f"{name}.sock")
    aside = path.rename(path.with_suffix(".aside"))
    with socket.socket(socket.AF_UNIX) as listener:
        if said is not None:
            listener.bind(str(path))
            listener.listen()
            threading.Thread(target=_answer_once, args=(listener, said), daemon=True).start()
        try:
            yield
        finally:
            aside.rename(path)


def _answer_once(listener: socket.socket, said: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(said)


def _broken_off(stack: Stack) -> bytes:
    return stack.gateway.ask("show servers state").encode()[:-2]


@pytest.mark.parametrize("told", [lambda _: None, lambda _: b"", _broken_off], ids=["nobody", "nothing", "a part"])
def test_a_reload_that_does_not_hear_how_servers_are_changes_nothing(
    stack: Stack, told: Callable[[Stack], bytes | None]
) -> None:
    """Without states, the new worker would send requests to every server, even to one that is down or drained."""
    stack.gateway.reload()
    states = Path(stack.gateway.paths.run, "servers.state")
    before, workers = states.read_text(), stack.gateway.workers
    assert "gpu1.assistant" in before
    with _mute(stack, told(stack)), pytest.raises(subprocess.CalledProcessError):
        stack.gateway.reload()
    assert states.read_text() == before
    assert set(stack.gateway.workers) <= set(workers)
    stack.gateway.reload()


@pytest.mark.parametrize("said", [None, b""], ids=["nobody", "nothing"])
def test_keys_that_no_worker_got_do_not_count_as_loaded(stack: Stack, said: bytes | None) -> None:
    loaded = Path(stack.gateway.paths.run, "keys.loaded")
    stack.gateway.script("load_keys")
    loaded.unlink()
    with _mute(stack, said, "master"), pytest.raises(subprocess.CalledProcessError):
        stack.gateway.script("load_keys")
    assert not loaded.exists()
    stack.gateway.script("load_keys")
    assert loaded.exists()


def test_only_root_writes_keys_and_states_and_only_its_proxy_reads_them(stack: Stack) -> None:
    stack.gateway.reload()
    run = Path(stack.gateway.paths.run)
    for path, mode in (
        (run, 0o750),
        *((run / name, 0o640) for name in ("gateway.pem", "gateway-client.pem", "servers.state")),
    ):
        assert (path.owner(), path.group(), path.stat().st_mode & 0o777) == ("root", "haproxy", mode)


def test_only_root_speaks_to_a_proxy_on_its_own_host(stack: Stack) -> None:
    for proxy, names in ((stack.gateway, ("admin", "master", "peers")), (stack.host_proxy, ("admin", "master"))):
        for name in names:
            assert Path(proxy.paths.sockets, f"{name}.sock").stat().st_mode & 0o7777 == 0o600, name


@pytest.mark.parametrize("verb", ["reload", "drains"])
def test_keys_count_as_loaded_that_are_as_old_as_their_file(stack: Stack, verb: str) -> None:
    keys, loaded = Path(stack.gateway.paths.configuration, "keys.map"), Path(stack.gateway.paths.run, "keys.loaded")
    written = keys.stat().st_mtime_ns
    loaded.unlink(missing_ok=True)
    stack.gateway.script(verb)
    assert (keys.stat().st_mtime_ns, loaded.stat().st_mtime_ns) == (written, written)


def test_a_reload_that_fails_says_so_and_the_old_worker_goes_on(stack: Stack) -> None:
    # An older worker may still be finishing requests of an earlier test.
    before = stack.gateway.workers[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = stack.settings
        stack.write(settings.model_copy(update={"port": taken.getsockname()[1]}))
        try:
            with pytest.raises(subprocess.CalledProcessError):
                stack.gateway.reload()
        finally:
            stack.write(settings)
    assert before in stack.gateway.workers
    assert stack.send().status == 200


def test_no_terminal_signal_stops_a_worker(stack: Stack) -> None:
    """A reload that fails sends such signals. The kernel drops them for processes that no shell could continue."""
    masters = [proxy.process.pid for proxy in (stack.gateway, stack.host_proxy)]
    assert [os.getsid(pid) for pid in masters] == masters
