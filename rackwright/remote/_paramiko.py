"""paramiko, imported without what we don't use of it. Every module that needs paramiko takes it from here."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

from rackwright._fast_imports import stubbed

# It serves `Match exec` in ssh_config alone, which we don't read.
sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]

# To find its own version, which it tells every server, it would read what is installed, with e-mail and zip.
with stubbed(importlib__metadata={"version": lambda _: "rackwright"}):
    import_module("paramiko")
import paramiko  # noqa: E402

# What goes wrong is raised, and told once: a host that boots answers without a banner, and that is no traceback.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

__all__ = ["paramiko"]
