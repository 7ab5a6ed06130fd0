"""The places inside from which program.py attacks, and what each of them may do."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from rackwright.lifecycle.p2p.unit import PROPERTIES
from tests.heavy.attacks.outside import Through
from tests.heavy.attacks.site import AUDITOR, MODELS, Site

PROGRAM = (Path(__file__).parent / "program.py").read_text()
_FOLDER = "/run/attack"
LAST = "memory: written and executed"
"""The program's last attempt."""
_INSTEAD = """\
Type=oneshot
RuntimeDirectoryPreserve=yes
StandardInput=file:{folder}/program.py
StandardOutput=file:{folder}/told
StandardError=file:{folder}/errors
ExecStart=/usr/bin/python3 - """
Told = dict[str, str]
"""Name of an attempt → what it got, "" if nothing."""


@dataclass(frozen=True)
class Place:
    """A position inside, and the attempts that are no attack there, because it needs that to work."""

    name: str
    told: Callable[[Site], Told]
    may: tuple[str, ...]
    """How the names of these attempts begin."""

    def through(self, told: Told) -> list[Through]:
        return [Through(self.name, name, got) for name, got in told.items() if got and not name.startswith(self.may)]

    def attempts(self, told: Collection[str]) -> int:
        """Return how many of the attempts are attacks here."""
        return sum(not name.startswith(self.may) for name in told)


def intruder(unit: str, folder: str, arguments: str) -> str:
    """Return the text of a unit with the sandbox of this one, that runs the program and leaves the real one alone."""
    joined = unit.replace("\\\n", " ")
    others = r"^(Exec\w*|Type|Restart\w*|StandardOutput|WantedBy|Condition\w*)=.*\n"
    ours = re.sub(others, "", joined, flags=re.MULTILINE)
    return ours.replace("[Service]\n", f"[Service]\n{_INSTEAD.format(folder=folder)}{arguments}\n", 1)


def in_the_unit(host: str, unit: str) -> Callable[[Site], Told]:
    """Return what the program gets as the user of this unit, in its sandbox."""

    def told(site: Site) -> Told:
        folder, name = f"{_FOLDER}/{unit}", f"attack-{unit.partition('@')[0]}"
        text = intruder(site.tell(host, f"cat /etc/systemd/system/{unit}.service"), folder, other(site, host))
        site.tell(host, f"cat >/run/systemd/system/{name}.service; systemctl daemon-reload", input=text)
        _put(site, host, folder)
        told = _ran(site, host, folder, f"systemctl start {name}")
        site.tell(host, f"rm /run/systemd/system/{name}.service; systemctl daemon-reload")
        return told

    return told


def in_a_transfer(site: Site) -> Told:
    """Return what the program gets as the user of peer-to-peer transfers, in their sandbox."""
    folder = f"{_FOLDER}/p2p"
    _put(site, "gpu1", folder)
    user = "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin --home-dir /nonexistent rw_p2p"
    streams = (f"StandardInput=file:{folder}/program.py", f"StandardOutput=file:{folder}/told")
    kept = [one for one in PROPERTIES if not one.startswith("Restart=")]
    properties = " ".join(f"-p {shlex.quote(one)}" for one in (*kept, *streams))
    program = f"/usr/bin/python3 - {other(site, 'gpu1')}"
    # Another role may reload units at any time; a transient unit must keep its sandbox.
    reload = "-p ExecStartPre=+/usr/bin/systemctl\\ daemon-reload"
    run = f"systemd-run -q --wait --collect {reload} {properties} {program}"
    return _ran(site, "gpu1", folder, f"id rw_p2p || {user}; {run}")


def as_auditor(host: str) -> Callable[[Site], Told]:
    """Return what the program gets in a login of an auditor."""

    def told(site: Site) -> Told:
        key = site.operator.path.with_name(f"id_{AUDITOR}")
        options = ("-o", f"UserKnownHostsFile={site.fleet.known_hosts}", "-o", "BatchMode=yes", "-i", str(key))
        words = ["ssh", *options, f"{AUDITOR}@{site.fleet.hosts[host]}", f"python3 - {other(site, host)}"]
        done = subprocess.run(words, input=PROGRAM, capture_output=True, text=True, timeout=120, check=True)
        return parsed(done.stdout)

    return told


def as_root(host: str) -> Callable[[Site], Told]:
    """Return what the program gets outside of any sandbox, for comparison."""

    def told(site: Site) -> Told:
        return parsed(site.tell(host, f"python3 - {other(site, host)}", input=PROGRAM))

    return told


def on_this_machine() -> Told:
    """Return what the system calls get that no lab host may make, because it shares this machine's kernel."""
    words = [sys.executable, "-", "1", "call:"]
    return parsed(
        subprocess.run(words, input=PROGRAM, capture_output=True, text=True, timeout=120, check=True).stdout
    )


def parsed(out: str) -> Told:
    return dict(line.split("\t") for line in out.splitlines())


def other(site: Site, host: str) -> str:
    """Return the process of another user on this host."""
    unit = {"gpu1": "rackwright-other@1", "gate1": "ssh"}[host]
    return site.tell(host, f"systemctl show -p MainPID --value {unit}").strip()


def plant(site: Site, host: str) -> None:
    """Put files on a host that nobody inside should read."""
    site.tell(host, "echo seen >/tmp/seen; chmod 644 /tmp/seen; echo seen >/root/seen")
    site.tell(host, "mkdir -p /etc/default/grub.d; mkdir -pm 700 /var/lib/rackwright/patch")
    site.tell(host, "echo seen >/var/lib/rackwright/patch/seen")


def _put(site: Site, host: str, folder: str) -> None:
    site.tell(host, f"umask 077; mkdir -p {folder}; rm -f {folder}/told; cat >{folder}/program.py", input=PROGRAM)


def _ran(site: Site, host: str, folder: str, command: str) -> Told:
    site.lab.exec(host, command, check=False)
    told = parsed(site.tell(host, f"cat {folder}/told"))
    assert LAST in told, site.tell(host, f"cat {folder}/errors; journalctl -n 30")
    return told


_SEEN_BY_ALL = (
    *("read: the packet filter", "read: states of replicas", "read: the probes", "read: configuration of"),
    "connect: D-Bus",
)
"""No secret is in them."""
SERVICE = (*_SEEN_BY_ALL, "socket: IP")
_PROXY = (*SERVICE, "memory: written and executed")
_LOGIN = (
    *(*_SEEN_BY_ALL, "socket: IP", "socket: netlink", "socket: virtual machines", "memory: written and executed"),
    *("read: the journal", "read: the audit log", "read: command line of another's process"),
    *("read: a file in the host's /tmp", "run: read the journal", "run: see other processes"),
    "run: a program with root's rights",
    # The kernel looks at the arguments first, or lets everybody do this to themselves.
    *(
        f"call: {name}"
        for name in ("mount", "unmount", "chroot", "another user namespace", "io_uring", "bpf", "perf")
    ),
    *(
        "call: adjust the clock",
        "call: quotas",
        "call: open by handle",
        "call: fanotify",
        "call: another personality",
    ),
    *("call: real time", "call: a process's files", "call: set a namespace"),
)
PLACES = (
    Place("an engine", in_the_unit("gpu1", f"rackwright-{MODELS[0]}@1"), ()),
    Place(
        "the gateway",
        in_the_unit("gate1", "rackwright-gateway"),
        (*_PROXY, "read: the gateway's", "connect: the gateway's"),
    ),
    Place(
        "a host proxy",
        in_the_unit("gpu1", "rackwright-host-proxy"),
        (*_PROXY, "read: the host proxy's", "connect: the host proxy's", "connect: another engine"),
    ),
    Place("a peer-to-peer transfer", in_a_transfer, (*_SEEN_BY_ALL, "socket: IP", "socket: netlink")),
    Place("an auditor on a serving host", as_auditor("gpu1"), _LOGIN),
    Place("an auditor on a gateway", as_auditor("gate1"), _LOGIN),
)
CONTROLS = (Place("root on a serving host", as_root("gpu1"), ()), Place("root on a gateway", as_root("gate1"), ()))
