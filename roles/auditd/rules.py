"""The audit rules in the syntax of auditctl(8). No pyinfra."""

from __future__ import annotations

import hashlib

from rackwright.roles.auditd.settings import Settings

_WATCHED = (
    "/etc/rackwright",
    "/var/lib/rackwright",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d",
    "/etc/systemd/system",
    "/etc/apt/sources.list.d",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
)
_MODULES = ("b64", "b32")


def rules(settings: Settings) -> tuple[str, ...]:
    """Return the rules. Their key distinguishes them from other rules, and from those of an earlier fleet file."""
    watches = [f"-w {path} -p wa" for path in dict.fromkeys((*_WATCHED, *settings.watch))]
    modules = [f"-a always,exit -F arch={arch} -S init_module,finit_module,delete_module" for arch in _MODULES]
    bare = (*watches, *modules)
    key = f"rackwright-{hashlib.sha256(chr(10).join(bare).encode()).hexdigest()[:8]}"
    return tuple(f"{rule} -k {key}" for rule in bare)
