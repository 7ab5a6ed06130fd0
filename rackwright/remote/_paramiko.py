"""paramiko, imported without the parts that we don't use. Every module that needs paramiko imports it from here."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

from rackwright._fast_imports import stubbed

# paramiko needs it only for `Match exec` in ssh_config, which we don't read.
sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]

# paramiko sends its version to every server. To find it, it would read all installed packages, with email and zip.
with stubbed(importlib__metadata={"version": lambda _: "rackwright"}):
    import_module("paramiko")
import paramiko  # noqa: E402

# Errors are raised, so logging them would report them twice, with a traceback for each host that is still booting.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

__all__ = ["paramiko"]
