"""sshd's settings: keys only, modern algorithms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from rackwright.values.base import Frozen
from rackwright.values.text import Manage


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
