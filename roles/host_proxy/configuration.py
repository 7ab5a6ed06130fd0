"""The host proxy's files as text. No host, no pyinfra."""

from __future__ import annotations

from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.paths import Paths, endpoint
from rackwright.roles.host_proxy.settings import FOLDER, KEY_HEADER, Settings

PATHS = Paths(configuration=FOLDER, run="/run/rackwright-host-proxy")
TEMPLATES = Path(__file__).parent / "templates"
QUEUE_SECONDS = 60
"""How long a request waits for a slot of its engine, if several gateways send more than it has."""
PAUSE_SECONDS = 600
"""How long a key whose requests ended an engine is paused at that replica."""
REMEMBERED_SECONDS = 3600
"""For so long, a replica's host remembers which keys asked it, and whose requests ended its engine. A large engine
needs many minutes for each start."""


def haproxy_cfg(settings: Settings, paths: Paths = PATHS) -> str:
    """Return HAProxy's configuration, which 2.8 (Ubuntu 24.04) accepts, too."""
    # More connections than slots: gateways' checks and queued requests need some.
    maxconn = 64 + 4 * sum(replica.slots for replica in settings.replicas)
    return render(
        TEMPLATES,
        "haproxy.cfg.j2",
        settings=settings,
        paths=paths,
        endpoint=endpoint,
        maxconn=maxconn,
        key_header=KEY_HEADER,
        queue=QUEUE_SECONDS,
        pause=PAUSE_SECONDS,
        remembered=REMEMBERED_SECONDS,
        tls="modern",
    )
