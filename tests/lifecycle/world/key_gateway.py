"""A host's key files in a folder, changed by the real scripts. A program replaces socat and HAProxy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import HostError
from rackwright.gateway import Gateways
from rackwright.operations.haproxy.paths import Paths
from rackwright.operations.haproxy.proxy import Proxy
from rackwright.remote.completed import Completed
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.state.api_keys.merge_keys import parse_kept_keys
from rackwright.state.api_keys.pushed_keys import PushedKey
from rackwright.state.shell import FOLDER

# There is no worker to update; the program answers from the file.
_SOCAT = """#!/bin/sh
read -r verb what map name
case "$verb $what" in
    'get map') if grep -q "^$name " "$map"; then echo found=yes; else echo found=no; fi ;;
esac
"""


@dataclass
class KeyGateway:
    name: str
    folder: Path
    gone: bool = False

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        for name, text in {"bin/socat": _SOCAT, "api-keys": self.proxy.keys_text()}.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        (self.folder / "keys.applied").touch()

    @property
    def paths(self) -> Paths:
        return Paths(configuration=str(self.folder), run=str(self.folder))

    @property
    def proxy(self) -> Proxy:
        return Proxy("gateway", "test", self.paths, ())

    @property
    def kept(self) -> str:
        """The folder in which a control host keeps its state."""
        return str(self.folder / "kept")

    @property
    def pushed(self) -> tuple[PushedKey, ...]:
        """All that it keeps of key commands, even while it is unreachable."""
        files = (self.folder / "keys.pushed", Path(self.kept, "keys.pushed"))
        texts = (file.read_text() for file in files if file.exists())
        return tuple(one for text in texts for one in parse_kept_keys(text, self.name))

    def run(
        self, command: str, *, stdin: str | bytes | None = None, sudo: bool = True, timeout: float | None = 60
    ) -> Completed:
        if self.gone:
            raise HostError("unreachable", where=self.name)
        environment = os.environ | {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        words = ["sh", "-c", command.replace(GATEWAY, str(self.folder)).replace(FOLDER, self.kept)]
        content = stdin if isinstance(stdin, bytes) else (stdin or "").encode()
        done = subprocess.run(words, input=content, capture_output=True, env=environment, check=False)
        return Completed(done.returncode, done.stdout, done.stderr, self.name)

    def apply(self, content: str) -> None:
        """Do what the role does."""
        (self.folder / "keys.applied").write_text(content)
        self.run(f"{self.proxy.keys_script} alone merge").check("merging keys")

    @property
    def lets_in(self) -> dict[str, str]:
        """Name → value of keys.map."""
        file = self.folder / "keys.map"
        return dict(line.split(" ", 1) for line in file.read_text().splitlines()) if file.exists() else {}


@dataclass(frozen=True)
class KeyGateways:
    """A stand-in for rackwright.remote.Remote."""

    gateways: dict[str, KeyGateway]

    def run_on(self, names: Iterable[str], command: str, *, stdin: str = "") -> dict[str, Completed | HostError]:
        answers: dict[str, Completed | HostError] = {}
        for name in names:
            try:
                answers[name] = self.gateways[name].run(command, stdin=stdin)
            except HostError as error:
                answers[name] = error
        return answers

    def told(self, name: str) -> Gateways:
        return Gateways(self, (name,), paths=self.gateways[name].paths)  # type: ignore[arg-type]
