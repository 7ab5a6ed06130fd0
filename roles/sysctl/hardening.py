"""The kernel's settings and their file. No pyinfra."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from rackwright.operations.facts.kernel import path_of
from rackwright.roles.sysctl.settings import Settings

# For redirects, the kernel joins `all` and the interface's own setting by "or", so both must be set. For rp_filter,
# the larger one applies (Documentation/networking/ip-sysctl.rst). Loose mode, because hosts have several networks,
# and answers may take another route.
_NETWORK = {
    "net.ipv4.conf.all.rp_filter": "2",
    "net.ipv4.conf.default.rp_filter": "2",
    "net.ipv4.conf.*.accept_redirects": "0",
    "net.ipv4.conf.*.secure_redirects": "0",
    "net.ipv4.conf.*.send_redirects": "0",
    "net.ipv4.conf.*.accept_source_route": "0",
    "net.ipv6.conf.*.accept_ra": "0",
    "net.ipv6.conf.*.accept_redirects": "0",
    "net.ipv6.conf.*.accept_source_route": "0",
    "net.ipv4.conf.*.log_martians": "1",
    "net.ipv4.icmp_echo_ignore_broadcasts": "1",
    "net.ipv4.icmp_ignore_bogus_error_responses": "1",
    "net.ipv4.tcp_syncookies": "1",
}
_KERNEL = {
    "dev.tty.ldisc_autoload": "0",
    "fs.protected_fifos": "2",
    "fs.protected_hardlinks": "1",
    "fs.protected_regular": "2",
    "fs.protected_symlinks": "1",
    "fs.suid_dumpable": "0",
    "kernel.dmesg_restrict": "1",
    # Not 2: root's profilers need the addresses.
    "kernel.kptr_restrict": "1",
    "kernel.randomize_va_space": "2",
}


def wanted(settings: Settings, advertised: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return each setting, in the syntax of sysctl.d(5), with its value; `*` means every network interface.

    `advertised` are the interfaces that need router advertisements, with their `accept_ra`: they keep it until
    the fleet file has a value for them.
    """
    own = {key: str(value) for key, value in settings.values.items()}
    kept = {_accept_ra(name): value for name, value in needed(settings, advertised or {}).items()}
    return {**_NETWORK, **(_KERNEL if settings.kernel == "yes" else {}), **kept, **own}


def needed(settings: Settings, advertised: Mapping[str, str]) -> Mapping[str, str]:
    """Return the interfaces among these for whose `accept_ra` the fleet file has no value of its own."""
    own = [path_of(key) for key in settings.values]
    return {
        name: value
        for name, value in advertised.items()
        if not any(fnmatchcase(_accept_ra(name), key) for key in own)
    }


def notes(settings: Settings, advertised: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each interface that goes on accepting router advertisements."""
    return tuple(
        f"{name} has or had addresses or routes from IPv6 router advertisements, so its accept_ra stays {value}; "
        f"to accept that, set baseline.sysctl.values: {{{_accept_ra(name)}: {value}}}; to refuse them, 0"
        for name, value in needed(settings, advertised).items()
    )


def _accept_ra(interface: str) -> str:
    # With slashes, a name may contain a dot.
    return f"net/ipv6/conf/{interface}/accept_ra"


def drop_in(values: Mapping[str, str]) -> str:
    """Return the file that applies these settings at boot and to interfaces that appear later."""
    lines = "".join(f"{key} = {value}\n" for key, value in values.items())
    return f"# Written by rackwright: baseline.sysctl of the fleet file.\n{lines}"
