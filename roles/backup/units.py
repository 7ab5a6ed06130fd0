"""The units of a host's backups: for each repository, a service and a timer for snapshots and for checks."""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.roles.backup.settings import FOLDER, STATE, Repository, Settings
from rackwright.roles.etcd.settings import EXPORT, MEMBER

_SANDBOX = """\
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
PrivateDevices=yes
PrivateTmp=yes
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
UMask=0077
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register
SystemCallErrorNumber=EPERM
"""


def service(repository: Repository, verb: str) -> str:
    """Return the service for one run; `verb` is run or check, like the script's name."""
    credentials = "".join(
        f"LoadCredentialEncrypted={name}:{repository.stem}.{name}.cred\n" for name in repository.credentials
    )
    return f"""\
# Made by rackwright: one {_WHAT[verb]} of this host's backups at {repository.name}.
[Unit]
Description=rackwright backup: {_WHAT[verb]} at {repository.name}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{_place(repository)}\
{_export(repository) if verb == "run" else ""}\
ExecStart=/bin/sh {FOLDER}/{verb}.sh {repository.name}
{credentials}\
{_RUNTIME}\
ReadWritePaths={STATE}
TimeoutStartSec=1d
# Engines have priority.
CPUWeight=20
IOWeight=20
{_network(repository)}\
{_SANDBOX}"""


def timer(settings: Settings, repository: Repository, verb: str) -> str:
    day, _, time = settings.check.partition(" ")
    when = f"*-*-* {settings.at}:00" if verb == "run" else f"{day} *-*-* {time}:00"
    return f"""\
# Made by rackwright: when the {_WHAT[verb]} of this host's backups at {repository.name} is made.
[Unit]
Description=rackwright backup: {_WHAT[verb]} at {repository.name}

[Timer]
OnCalendar={when} {settings.timezone}
# Hosts don't start at the same time, and a run that was missed while the host was off is made up for.
RandomizedDelaySec=15m
Persistent=yes

[Install]
WantedBy=timers.target
"""


def restore_properties(repository: Repository, folders: Iterable[str]) -> tuple[str, ...]:
    """Return the properties of the transient unit that restores into these folders; they must exist.

    It is sandboxed like a snapshot's unit, but may set the owners and modes that the snapshot has.
    """
    sandbox = _SANDBOX.replace("CAP_DAC_OVERRIDE", "CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER")
    sandbox = sandbox.replace("~@privileged @resources", "~@clock @module @raw-io @reboot @swap @resources @mount")
    secrets = (f"LoadCredentialEncrypted={name}:{repository.stem}.{name}.cred" for name in repository.credentials)
    return (
        "Type=exec",
        *secrets,
        *_RUNTIME.splitlines(),
        # restic locks the repository.
        *([f"ReadWritePaths=-{repository.mount or repository.url}"] if repository.kind == "path" else []),
        *(f"ReadWritePaths={folder}" for folder in folders),
        *_network(repository).splitlines(),
        *sandbox.splitlines(),
    )


_WHAT = {"run": "snapshot", "check": "check"}
_RUNTIME = """\
RuntimeDirectory=rackwright-backup
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
CacheDirectory=rackwright-backup
CacheDirectoryMode=0700
"""


def _place(repository: Repository) -> str:
    if repository.kind != "path":
        return ""
    if repository.mount:
        seen = f"/run/rackwright-backup/{repository.name}.mounted"
        # Checked in systemd's own namespace: in a unit's namespace, each path that it may write to is a mount.
        look = f"rm -f {seen}; ! nsenter -t 1 -m mountpoint -q {repository.mount} || touch {seen}"
        return f"ExecStartPre=+/bin/sh -c '{look}'\nReadWritePaths=-{repository.mount}\n"
    return f"ExecStartPre=+/bin/mkdir -p -m 0700 -- {repository.url}\nReadWritePaths=-{repository.url}\n"


def _export(repository: Repository) -> str:
    """Return how the files get what a control host has in etcd. run.sh reports a failure."""
    done = f"/run/rackwright-backup/{repository.name}.exported"
    # In a unit of its own: this one's limits on the network also hold for commands with +.
    export = f"systemd-run --quiet --pipe --wait --collect -p RuntimeMaxSec=10min {EXPORT}"
    run = f"rm -f {done}; [ ! -e {MEMBER} ] || ! {export} 2>{done}.said || touch {done}"
    return f"ExecStartPre=+/bin/sh -c '{run}'\n"


def _network(repository: Repository) -> str:
    if repository.kind == "path":
        return "PrivateNetwork=yes\nRestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\n"
    return "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n"
