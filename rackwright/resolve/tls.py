"""TLS that lets other greenlets run while it waits."""

from __future__ import annotations

import sys
import warnings


def cooperative_tls() -> None:
    """Afterwards TLS is cooperative where sockets are. To be called before a library that uses TLS is imported.

    It isn't patched with the sockets: most commands that reach hosts use no TLS, and importing it takes time.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey and monkey.is_module_patched("socket") and not monkey.is_module_patched("ssl"):
        with warnings.catch_warnings():
            # Who imported it before, like asyncio, has no connection.
            warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)
            monkey.patch_ssl()
