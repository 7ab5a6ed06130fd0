"""TLS that waits as sockets do."""

from __future__ import annotations

import sys
import warnings


def cooperative_tls() -> None:
    """Afterwards TLS is cooperative where sockets are. Called before whatever speaks it is imported.

    Most commands that reach hosts speak none, and it takes 9 ms to import.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey and monkey.is_module_patched("socket") and not monkey.is_module_patched("ssl"):
        with warnings.catch_warnings():
            # Who imported it before, like asyncio, has no connection.
            warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)
            monkey.patch_ssl()
