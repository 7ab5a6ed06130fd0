"""Tries from inside what an attacker would try, and prints one line per attempt: its name, a tab, what it got or "".

Runs from standard input in each sandbox, and outside of them as a control. Arguments: a process of somebody else, and
how the names of the attempts begin (default: all).
"""

# A bare host has python3-minimal, without pathlib's friends and ctypes.
# ruff: noqa: PTH108, PTH207

from __future__ import annotations

import glob
import os
import socket
import subprocess
import sys
from collections.abc import Callable

OTHER = int(sys.argv[1])
ONLY = (*sys.argv[2:], "")[0]
REFUSED = ("EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT")
PERL = "@n = map { $_ + 0 } @ARGV; $r = syscall(shift @n, @n); printf '%s %s', $r, $r < 0 ? $! + 0 : 0"
NEW = {"mount": 0x20000, "user": 0x10000000, "pid": 0x20000000, "network": 0x40000000}
FAMILIES = {"IPv4": 2, "IPv6": 10, "netlink": 16, "packets": 17, "virtual machines": 40, "XDP": 44}
CALLS = {
    # x86-64: name → number and arguments, chosen so that the kernel refuses them itself where it can.
    "ptrace of PID 1": (101, 0x4206, 1, 0, 0),
    "ptrace of another's process": (101, 0x4206, OTHER, 0, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "unmount": (166, 0, 0),
    "a new mount API": (430, 0, 0),
    "move a mount": (429, -1, 0, -1, 0, 0),
    "pivot_root": (155, 0, 0),
    "chroot": (161, 0),
    "another mount namespace": (272, NEW["mount"]),
    "another user namespace": (272, NEW["user"]),
    "another network namespace": (272, NEW["network"]),
    "another PID namespace": (272, NEW["pid"]),
    "io_uring": (425, 8, 0),
    "bpf": (321, 0, 0, 0),
    "perf": (298, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 0),
    "reboot": (169, 0, 0, 0, 0),
    "swap on": (167, 0, 0),
    "set the clock": (164, 0, 0),
    "adjust the clock": (159, 0),
    "set the host's name": (170, 0, 1),
    "set the domain's name": (171, 0, 1),
    "accounting": (163, 1),
    "quotas": (179, 0, 0, 0, 0),
    "the kernel's log": (103, 10, 0, 0),
    "open by handle": (304, -1, 0, 0),
    "fanotify": (300, 0x200, 0),
    "become root": (105, 0),
    "become root's group": (106, 0),
    "become another user": (105, 65534),
    "other groups": (116, 0, 0),
    "another personality": (135, 0x0400000),
    "real time": (144, 0, 1, 0),
    "a process's files": (438, -1, 0, 0),
    "pages of another's process": (279, OTHER, 0, 0, 0, 0, 0),
    "set a namespace": (308, -1, 0),
}
READ = {
    "passwords": "/etc/shadow",
    "the key of credentials": "/var/lib/systemd/credential.secret",
    "credentials of certificates": "/etc/rackwright/certificates/*.cred",
    "the gateway's private key": "/run/rackwright-gateway/gateway.pem",
    "the gateway's client key": "/run/rackwright-gateway/gateway-client.pem",
    "the host proxy's private key": "/run/rackwright-host-proxy/host-proxy.pem",
    "sshd's private key": "/etc/ssh/ssh_host_*_key",
    "root's home": "/root/seen",
    "another's SSH keys": "/home/ops/.ssh/authorized_keys",
    "sudo's rules": "/etc/sudoers",
    "the journal": "/var/log/journal/*/*.journal",
    "environment of PID 1": "/proc/1/environ",
    "environment of another's process": f"/proc/{OTHER}/environ",
    "root of PID 1": "/proc/1/root/etc/shadow",
    "root of another's process": f"/proc/{OTHER}/root/etc/hostname",
    "files of another's process": f"/proc/{OTHER}/fd/0",
    "memory of another's process": f"/proc/{OTHER}/mem",
    "memory map of another's process": f"/proc/{OTHER}/maps",
    "command line of another's process": f"/proc/{OTHER}/cmdline",
    "another model": "/srv/models/other/*/*",
    "configuration of the gateway": "/etc/rackwright/gateway/*",
    "configuration of the host proxy": "/etc/rackwright/host-proxy/*",
    "the packet filter": "/etc/rackwright/firewall.nft",
    "a file in the host's /tmp": "/tmp/seen",
    "the audit log": "/var/lib/rackwright/audit.log",
    "what a patch run keeps": "/var/lib/rackwright/patch/seen",
    "states of replicas": "/run/rackwright-state/*",
    "the probes": "/etc/rackwright/*.probe",
}
WRITE = {
    "programs": "/usr/local/bin/attack",
    "units": "/etc/systemd/system/attack.service",
    "units in /run": "/run/systemd/system/attack.service",
    "apt": "/etc/apt/apt.conf.d/attack",
    "profile": "/etc/profile.d/attack.sh",
    "a library's path": "/etc/ld.so.preload",
    "the loader's folder": "/usr/lib/attack.so",
    "the runtime": "/opt/rackwright/runtimes/attack",
    "models": "/srv/models/attack",
    "states of replicas": "/run/rackwright-state/attack",
    "what was started": "/run/rackwright-started/attack",
    "the folder of sockets": "/run/rackwright/attack",
    "the gateway's folder": "/run/rackwright-gateway/attack",
    "the host proxy's folder": "/run/rackwright-host-proxy/attack",
    "our configuration": "/etc/rackwright/attack",
    "our records": "/var/lib/rackwright/attack",
    "a patch run's scripts": "/var/lib/rackwright/patch/attack",
    "apt's downloads": "/var/cache/apt/attack",
    "how it boots": "/etc/default/grub.d/attack.cfg",
    "root's home": "/root/attack",
    "another's home": "/home/ops/attack",
    "IP forwarding": "/proc/sys/net/ipv4/ip_forward",
    "control groups": "/sys/fs/cgroup/cgroup.procs",
    "the OOM score of another": f"/proc/{OTHER}/oom_score_adj",
}
CONNECT = {
    "another engine": "/run/rackwright/other@1/engine.sock",
    "the gateway's admin": "/run/rackwright-gateway/sockets/admin.sock",
    "the gateway's master": "/run/rackwright-gateway/sockets/master.sock",
    "the host proxy's admin": "/run/rackwright-host-proxy/sockets/admin.sock",
    "the host proxy's master": "/run/rackwright-host-proxy/sockets/master.sock",
    "systemd": "/run/systemd/private",
    "D-Bus": "/run/dbus/system_bus_socket",
    "journald's varlink": "/run/systemd/journal/io.systemd.journal",
}
RUN = {
    "sudo": "sudo -n id",
    "su": "su -c id root </dev/null",
    "restart a unit": "systemctl --no-ask-password restart systemd-tmpfiles-clean.timer",
    "start a unit of its own": "systemd-run --no-ask-password -q --wait true",
    "read the journal": "journalctl -q -n 1 | grep .",
    "decrypt a credential": "for one in /etc/rackwright/certificates/*.key.cred; do "
    "systemd-creds decrypt --name=$(basename $one .cred) $one - | grep . && exit; done; false",
    "change the packet filter": "nft add table inet attack && nft delete table inet attack",
    "change a user": "usermod -c attack$$ nobody",
    "become a user by setpriv": "setpriv --reuid=0 id",
    "signal another's process": f"kill -0 {OTHER}",
    "see other processes": f"ls -d /proc/{OTHER}",
    "a device": "mknod /tmp/attack-device c 1 1 && rm /tmp/attack-device",
    "a program with root's rights": "cp /bin/true /tmp/attack && chmod u+s /tmp/attack; test -u /tmp/attack",
    "a hard link to passwords": "ln /etc/shadow /var/tmp/attack-link && rm /var/tmp/attack-link",
}


def call(*numbers: int) -> str:
    words = [str(number) for number in numbers]
    done = subprocess.run(["/usr/bin/perl", "-e", PERL, *words], capture_output=True, text=True)
    if done.returncode:
        return f"was ended by {done.returncode}" if done.returncode > 0 else ""
    result, number = done.stdout.split()
    name = errno_name(int(number)) if int(number) else ""
    return "" if name in REFUSED else name or f"got {result}"


def errno_name(number: int) -> str:
    import errno

    return errno.errorcode.get(number, str(number))


def opened(pattern: str, mode: int) -> str:
    """Return what could be opened, "" if nothing."""
    for path in glob.glob(pattern) or [pattern]:
        try:
            os.close(os.open(path, mode | os.O_NONBLOCK, 0o600))
        except OSError:
            continue
        return f"opened {path}"
    return ""


def wrote(pattern: str) -> str:
    there = bool(glob.glob(pattern))
    got = opened(pattern, os.O_WRONLY if there else os.O_WRONLY | os.O_CREAT)
    if got and not there:
        os.unlink(pattern)
    return got


def reached(path: str) -> str:
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(5)
            asked.connect(path)
    except OSError as error:
        # The kind of socket is wrong, but it may be used.
        return "may connect" if errno_name(error.errno or 0) == "EPROTOTYPE" else ""
    return "connected"


def family(number: int) -> str:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(number, kind).close()
        except OSError:
            continue
        return f"got a socket of type {int(kind)}"
    return ""


def raw() -> str:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except OSError:
        return ""
    return "got a raw socket"


def ran(command: str) -> str:
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", f"({command}) >/dev/null 2>&1"], stdin=subprocess.DEVNULL, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else "done"


def executable_memory() -> str:
    # PROT_READ, PROT_WRITE and PROT_EXEC of private, anonymous memory.
    got = call(9, 0, 4096, 7, 0x22, -1, 0)
    return got if got.startswith("got") else ""


def attempts() -> dict[str, Callable[[], str]]:
    made: dict[str, Callable[[], str]] = {}
    for name, number in FAMILIES.items():
        made[f"socket: {name}"] = lambda number=number: family(number)  # type: ignore[misc]
    for name, numbers in CALLS.items():
        made[f"call: {name}"] = lambda numbers=numbers: call(*numbers)  # type: ignore[misc]
    for name, path in READ.items():
        made[f"read: {name}"] = lambda path=path: opened(path, os.O_RDONLY)  # type: ignore[misc]
    for name, path in WRITE.items():
        made[f"write: {name}"] = lambda path=path: wrote(path)  # type: ignore[misc]
    for name, path in CONNECT.items():
        made[f"connect: {name}"] = lambda path=path: reached(path)  # type: ignore[misc]
    for name, command in RUN.items():
        made[f"run: {name}"] = lambda command=command: ran(command)  # type: ignore[misc]
    return made | {"socket: raw": raw, "memory: written and executed": executable_memory}


for name, attempt in attempts().items():
    if name.startswith(ONLY):
        print(f"{name}\t{attempt()}", flush=True)
