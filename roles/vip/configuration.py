"""keepalived's files as text. No host, no pyinfra."""

from __future__ import annotations

from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.roles.gateway.settings import FOLDER as GATEWAY
from rackwright.roles.gateway.settings import LEFT
from rackwright.roles.vip.settings import FOLDER, Settings

_TEMPLATES = Path(__file__).parent / "templates"


def keepalived_conf(settings: Settings, interface: str) -> str:
    """Return keepalived.conf(5) for a gateway whose own address is on this interface."""
    return render(_TEMPLATES, "keepalived.conf.j2", settings=settings, interface=interface, check=f"{FOLDER}/check")


def check_text() -> str:
    """Return the script that checks whether this gateway takes connections and answers."""
    return render(_TEMPLATES, "check.sh.j2", left=f"{GATEWAY}/{LEFT}")


def unit_text() -> str:
    return render(_TEMPLATES, "unit.service.j2", configuration=f"{FOLDER}/keepalived.conf")
