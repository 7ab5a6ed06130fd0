"""What HAProxy was told and didn't do is an error; what a gateway keeps of keys is for HAProxy alone."""

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
from tests.gateway.stack import KEYS, Stack, digest

ASSISTANT = "gpu1/assistant@1"
KEY = Key(id="late", sha256=digest(KEYS["wrong"]))


@pytest.fixture
def gateways(stack: Stack) -> Iterator[Gateways]:
    with stack.gateways() as gateways:
        yield gateways


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a shell script in front of a program; in it $real is that program."""
    programs = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{tmp_path}:{programs}")

    def put(name: str, script: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\nreal={shutil.which(name, path=programs)}\n{script}\n")
        path.chmod(0o755)

    return put


def deaf_to(words: str) -> str:
    """HAProxy answers, but what has these words doesn't reach it."""
    return f"""said=$(cat)\ncase $said in *'{words}'*) ;; *) printf '%s\\n' "$said" | "$real" "$@" ;; esac"""


@pytest.mark.parametrize(
    ("deaf", "act", "wrong"),
    [
        ("state drain", lambda told: told.drain(ASSISTANT, who="ada", reason="fan"), "HAProxy did not drain it"),
        ("state ready", lambda told: told.ready(ASSISTANT), "HAProxy did not take it back"),
        ("add map", lambda told: told.open_gap("assistant", 60), "HAProxy knows no gaps"),
        ("del map", lambda told: told.close_gap("assistant"), "closing the gap of assistant failed"),
        ("add map", lambda told: told.put_key(KEY, in_memory=True), "telling key late failed"),
        ("del map", lambda told: told.remove_key(KEY), "removing key late failed"),
    ],
    ids=["drain", "ready", "open gap", "close gap", "put key", "remove key"],
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
        gateways.open_gap("assistant", 60)
        gateways.put_key(KEY, in_memory=True)
    program("socat", deaf_to(deaf))
    with pytest.raises(HostError, match=wrong):
        act(gateways)
    program("socat", 'exec "$real" "$@"')
    gateways.ready(ASSISTANT)
    gateways.close_gap("assistant")
    gateways.remove_key(KEY)


def test_keys_are_for_haproxy_alone_at_every_moment(
    stack: Stack, gateways: Gateways, program: Callable[[str, str], None], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    for name in ("chown", "chmod", "mv"):
        program(name, f"""for last; do :; done\nstat -c %a -- "$last" >>{seen}\nexec "$real" "$@\"""")
    gateways.put_key(KEY)
    file = Path(stack.gateway.paths.configuration, "keys.map").stat()
    gateways.remove_key(KEY)
    assert file.st_mode & 0o777 == 0o640
    assert (file.st_uid, grp.getgrgid(file.st_gid).gr_name) == (0, "haproxy")
    assert not [mode for mode in seen.read_text().split() if mode[-1] != "0"]
