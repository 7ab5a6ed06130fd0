"""TLS that lets other greenlets run while it waits for the network."""

from __future__ import annotations

import sys
import warnings


def cooperative_tls() -> None:
    """Make TLS cooperative if sockets are. Call this before you import a library that uses TLS.

    TLS isn't patched together with the sockets, because most commands that connect to hosts don't use TLS, and
    importing it takes time.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey and monkey.is_module_patched("socket") and not monkey.is_module_patched("ssl"):
        with warnings.catch_warnings():
            # Modules that have imported it before, like asyncio, have no open connections.
            warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)
            monkey.patch_ssl()
