"""sshd's settings: keys only, modern algorithms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from rackwright.values.base import Frozen
from rackwright.values.text import Manage, one_line


def _banner(text: str) -> str:
    lines = text.splitlines()
    if not text.strip() or len(lines) > 40 or any(len(line) > 200 for line in lines):
        raise ValueError("should be a text of at most 40 lines with at most 200 characters each")
    if "\\" in text:
        # agetty(8) replaces them with the name of the system, of its users and more.
        raise ValueError("has a backslash, which has a meaning of its own in /etc/issue; leave it out")
    return "".join(f"{one_line(line)}\n" for line in lines)


class Settings(Frozen):
    manage: Manage = "yes"
    """`no` leaves sshd as it is."""
    # YAML 1.1 reads no as a boolean.
    root_login: Annotated[Literal["keys", "no"], BeforeValidator(lambda value: "no" if value is False else value)] = (
        "keys"
    )
    """Whether root may log in with a key. If the host is stricter, it stays so."""
    existing: Literal["replace", "keep"] = "replace"
    """What to do if another file has other values: `replace` overrides them, `keep` adopts them."""
    agent_forwarding: Manage = "no"
    """Whether people may forward their SSH agent to the host; auditors never may."""
    banner: Annotated[str, AfterValidator(_banner)] | None = None
    """A text that everyone sees before they log in, over SSH and at the console; nothing is shown when absent."""
