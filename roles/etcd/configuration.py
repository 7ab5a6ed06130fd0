"""etcd's files as text. No host, no pyinfra."""

from __future__ import annotations

from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.roles.certificate.settings import FOLDER as CERTIFICATES
from rackwright.roles.etcd import settings as names
from rackwright.roles.etcd.settings import Settings
from rackwright.roles.etcd.state import record_command

_TEMPLATES = Path(__file__).parent / "templates"


def etcd_env(settings: Settings) -> str:
    """Return etcd's settings as an environment file of systemd.exec(5)."""
    return render(_TEMPLATES, "etcd.env.j2", settings=settings, names=names)


def ctl_text() -> str:
    """Return the script with which root asks this host's own member."""
    return render(_TEMPLATES, "ctl.sh.j2", names=names)


def export_text() -> str:
    """Return the program that writes what etcd holds to files. It needs only python3-minimal."""
    return (_TEMPLATES / "export.py").read_text(encoding="utf-8")


def unit_text() -> str:
    return render(
        _TEMPLATES,
        "unit.service.j2",
        names=names,
        certificate=f"{CERTIFICATES}/{names.CERTIFICATE}",
        record=record_command(),
    )
