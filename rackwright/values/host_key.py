"""The public SSH key of a server, as the fleet file names it."""

from __future__ import annotations

from typing import Annotated

from rackwright.values.text import Line, Shape

HostKey = Annotated[
    Line, Shape(r"(ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]{40,}={0,3}", "should be like ssh-ed25519 AAAA…")
]
