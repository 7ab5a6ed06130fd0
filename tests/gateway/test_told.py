"""If HAProxy doesn't carry out a command, that is an error. Only root and HAProxy can read a gateway's key files."""

from __future__ import annotations

import grp
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.gateway import Gateways
from rackwright.roles.gateway.settings import Key
from tests.gateway.stack import KEYS, Stack, digest, gone

ASSISTANT, UNKNOWN = "gpu1/assistant@1", "gpu9/assistant@1"
KEY = Key(id="late", sha256=digest(KEYS["wrong"]))


@pytest.fixture
def gateways(stack: Stack) -> Iterator[Gateways]:
    with stack.gateways() as gateways:
        yield gateways


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that puts a shell script in front of a program. In the script, $real is that program."""
    programs = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{tmp_path}:{programs}")

    def put(name: str, script: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\nreal={shutil.which(name, path=programs)}\n{script}\n")
        path.chmod(0o755)

    return put


def deaf_to(words: str) -> str:
    """Return a script: input with these words doesn't reach HAProxy, but gets an answer as if it had."""
    return f"""said=$(cat)\ncase $said in *'{words}'*) echo ;; *) printf '%s\\n' "$said" | "$real" "$@" ;; esac"""


@pytest.mark.parametrize(
    ("deaf", "act", "wrong"),
    [
        ("state drain", lambda told: told.drain(ASSISTANT, who="ada", reason="fan"), "HAProxy did not drain it"),
        ("state ready", lambda told: told.undrain(ASSISTANT), "HAProxy did not undrain it"),
        (
            "add map",
            lambda told: told.open_downtime("assistant", 60),
            "asked 'get map .*times.map assistant'.* found=no",
        ),
        ("del map", lambda told: told.close_downtime("assistant"), "closing the downtime of assistant .* found=yes"),
        ("add map", lambda told: told.lend_key(KEY, seconds=600), "lending key late failed: .* found=no"),
        ("del map", lambda told: told.take_back_key(KEY), "removing key late failed: .* found=yes"),
    ],
    ids=["drain", "ready", "open downtime", "close downtime", "put key", "remove key"],
)
def test_what_haproxy_did_not_do_is_an_error(
    gateways: Gateways,
    program: Callable[[str, str], None],
    deaf: str,
    act: Callable[[Gateways], None],
    wrong: str,
) -> None:
    if deaf == "state ready":
        gateways.drain(ASSISTANT, who="ada", reason="fan")
    if deaf == "del map":
        gateways.open_downtime("assistant", 60)
        gateways.lend_key(KEY, seconds=600)
    program("socat", deaf_to(deaf))
    with pytest.raises(HostError, match=wrong):
        act(gateways)
    program("socat", 'exec "$real" "$@"')
    gateways.undrain(ASSISTANT)
    gateways.close_downtime("assistant")
    gateways.take_back_key(KEY)


def test_keys_are_for_haproxy_alone_at_every_moment(
    stack: Stack, gateways: Gateways, program: Callable[[str, str], None], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    for name in ("chown", "chmod", "mv"):
        program(name, f"""for last; do :; done\nstat -c %a -- "$last" >>{seen}\nexec "$real" "$@\"""")
    gateways.put_key(KEY, note="{}")
    file, told = (Path(stack.gateway.paths.configuration, name).stat() for name in ("keys.map", "keys.pushed"))
    gateways.remove_key(gone(KEY), note="{}")
    stack.gateway.forget_keys()
    assert (file.st_mode & 0o777, told.st_mode & 0o777) == (0o640, 0o600)
    assert (file.st_uid, grp.getgrgid(file.st_gid).gr_name) == (0, "haproxy")
    assert not [mode for mode in seen.read_text().split() if mode[-1] != "0"]


def test_a_replica_that_no_gateway_has_is_neither_drained_nor_undrained(stack: Stack, gateways: Gateways) -> None:
    for act in (lambda: gateways.drain(UNKNOWN, who="ada", reason="x"), lambda: gateways.undrain(UNKNOWN)):
        with pytest.raises(HostError, match=r"failed: this gateway has no such server\n"):
            act()
    assert not [path for path in (stack.folder / "drains").iterdir() if not path.name.startswith("gpu1.")]


def test_what_is_kept_is_on_disk_before_it_takes_the_old_ones_place(
    stack: Stack, gateways: Gateways, program: Callable[[str, str], None], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    for name in ("sync", "mv"):
        program(name, f"""for last; do :; done\necho "{name} ${{last##*/}}" >>{seen}\nexec "$real" "$@\"""")

    def noted(act: Callable[[], None]) -> list[str]:
        seen.write_text("")
        act()
        return seen.read_text().splitlines()

    server = stack.servers["assistant"]
    assert noted(lambda: gateways.drain(ASSISTANT, who="ada", reason="x")) == ["sync .new", f"mv {server}"]
    assert noted(lambda: gateways.open_downtime("assistant", 60)) == ["sync downtimes.map.new", "mv downtimes.map"]
    written = ["sync keys.pushed.new", "mv keys.pushed", "sync keys.map.new", "mv keys.map"]
    assert noted(lambda: gateways.put_key(KEY, note="{}")) == written
    gateways.undrain(ASSISTANT)
    gateways.close_downtime("assistant")
    stack.gateway.forget_keys()


def test_one_key_at_a_time_is_written(
    stack: Stack, gateways: Gateways, program: Callable[[str, str], None], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    program("flock", f"""echo "$@ $(readlink /proc/$$/fd/9)" >>{seen}\nexec "$real" "$@\"""")
    gateways.put_key(KEY, note="{}")
    gateways.remove_key(gone(KEY), note="{}")
    stack.gateway.forget_keys()
    assert seen.read_text().splitlines() == [f"-w 45 9 {stack.gateway.paths.configuration}"] * 3


@pytest.mark.parametrize("loaded", [True, False])
def test_keys_that_an_apply_has_not_loaded_yet_are_still_to_be_loaded(
    stack: Stack, gateways: Gateways, loaded: bool
) -> None:
    file, stamp = Path(stack.gateway.paths.configuration, "keys.map"), Path(stack.gateway.paths.run, "keys.loaded")
    stamp.touch()
    written = file.stat()
    os.utime(stamp, ns=(written.st_atime_ns, written.st_mtime_ns - (0 if loaded else 10**9)))
    gateways.put_key(KEY, note="{}")
    assert (stamp.stat().st_mtime_ns == file.stat().st_mtime_ns) is loaded
    stack.gateway.forget_keys()


def test_before_the_first_apply_a_gateway_takes_no_key(stack: Stack, gateways: Gateways) -> None:
    """Otherwise its map would contain this key alone."""
    folder = Path(stack.gateway.paths.configuration)
    before = (folder / "keys.map").read_text()
    (folder / "keys.applied").rename(folder / "aside")
    try:
        with pytest.raises(HostError, match="this gateway keeps no keys yet; apply first"):
            gateways.put_key(KEY, note="{}")
    finally:
        (folder / "aside").rename(folder / "keys.applied")
    assert (folder / "keys.map").read_text() == before
    assert "late" not in (folder / "keys.pushed").read_text()


def test_why_a_drain_is_there_root_alone_reads(stack: Stack, gateways: Gateways) -> None:
    gateways.drain(ASSISTANT, who="ada", reason="fan")
    (record,) = (stack.folder / "drains").glob("gpu1.assistant.*")
    assert record.stat().st_mode & 0o777 == 0o600
    gateways.undrain(ASSISTANT)


def test_the_last_words_of_a_gateway_that_fails_are_told(
    gateways: Gateways, program: Callable[[str, str], None]
) -> None:
    program("flock", "printf 'one\\ntwo\\n' >&2; exit 1")
    with pytest.raises(HostError, match="failed: two another command is changing HAProxy; try again later\n"):
        gateways.open_downtime("assistant", 60)


def test_a_share_of_nothing_only_ends_the_canarys(gateways: Gateways, program: Callable[[str, str], None]) -> None:
    gateways.drain(ASSISTANT, who="rollout", reason="update", manual=False)
    gateways.set_canary(ASSISTANT, 5, digest="d", rollout="r")
    assert gateways.servers()[ASSISTANT].canary is not None
    program("socat", deaf_to("add map"))
    gateways.set_canary(ASSISTANT, 0, digest="d", rollout="r")
    assert gateways.servers()[ASSISTANT].canary is None
    gateways.undrain(ASSISTANT)
