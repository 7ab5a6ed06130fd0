"""A minimal deploy: files, a gated restart, and what a test adds."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from pyinfra.api.deploy import deploy
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.facts.files import FileContents
from pyinfra.operations import files, server

from rackwright.operations.diff import show


@operation()
def text(*, path: str, content: str) -> Iterator[str]:
    """The file has the content; the difference is shown."""
    before = host.get_fact(FileContents, path=path)
    if before != content.splitlines():
        show(f"-{before}\n+{content}")
        yield f"printf '%s' '{content}' > {path}"


@deploy("web")
def web(*, disk: str, content: str, extra: bool) -> None:
    if extra:
        files.directory(name="Make the extra folder", path=f"{disk}/extra")
    files.directory(name="Make the folder", path=f"{disk}/web")
    config = files.put(name="Write the configuration", src=StringIO(content), dest=f"{disk}/web/conf", mode="640")
    page = text(name="Write the page", path=f"{disk}/web/page", content=content)
    server.shell(name="Restart", commands=[f"echo x >> {disk}/restarts"], _if=[config.did_change])
    server.shell(name="Reload", commands=[f"echo x >> {disk}/reloads"], _if=[page.did_change, config.did_change])


def site() -> None:
    model = host.data.spec
    web(disk=model["disk"], content=model.get("content", "one"), extra=model.get("extra", False))
