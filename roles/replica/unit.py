"""The unit of one engine. Its text depends only on the settings."""

from __future__ import annotations

from hashlib import sha256

from rackwright.launch import Reach
from rackwright.roles.layout.settings import SOCKETS
from rackwright.roles.replica.log_lines import log_lines
from rackwright.roles.replica.settings import Settings

DRAIN_MARGIN = 30
"""Seconds that systemd waits after the longest drain before it kills an engine."""

_NETWORK = {
    Reach.NOTHING: """\
# No network: an empty network namespace, unix sockets only, and none of the host's sockets visible.
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
""",
    Reach.LOOPBACK: """\
# No network: its own network namespace with only a loopback interface, over which its processes communicate.
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
IPAddressDeny=any
IPAddressAllow=localhost
""",
    Reach.MEMBERS: """\
# It reaches only the replica's other members; the packet filter enforces this for its user, too.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
IPAddressDeny=any
IPAddressAllow=localhost {members}
""",
}

_SANDBOX = """\
TemporaryFileSystem=/run:ro /var:ro /opt:ro /srv:ro {mount}:ro
BindPaths={writable}
BindReadOnlyPaths={readable}
InaccessiblePaths=-/etc/rackwright -/boot -/root

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
PrivateTmp=yes
PrivateIPC=yes
KeyringMode=private
LockPersonality=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
# The kernel checks neither RestrictAddressFamilies nor any other filter for what io_uring does.
SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register
SystemCallErrorNumber=EPERM
"""

# As root in the host's own mount namespace: in the engine's, even root can write only to the engine's folder, where
# the engine could replace what is recorded at its start.
_AS_ROOT = "+/usr/bin/nsenter -t 1 -m "

_NO_GPU = """\
PrivateDevices=yes
DevicePolicy=closed
"""

# The engine's processes share memory in their own /dev/shm, which disappears with the last of them, however they end.
_SHARED_MEMORY = """\
TemporaryFileSystem=/dev/shm:mode=1777
"""

# An engine that compiles reads the processor's features in /proc, and executes memory that it has written.
_NO_COMPILER = """\
ProcSubset=pid
MemoryDenyWriteExecute=yes
"""

# The driver's user-space libraries compile for the GPU at run time, read /proc/driver and open these devices.
_GPU = """\
DevicePolicy=closed
DeviceAllow=char-nvidia-frontend rw
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvidiactl rw
DeviceAllow=char-nvidia-uvm rw
DeviceAllow=char-nvidia-caps rw
"""

# GPUs of several hosts communicate over InfiniBand or RoCE, if the hosts have it.
_RDMA = """\
DeviceAllow=char-infiniband_verbs rw
DeviceAllow=/dev/infiniband/rdma_cm rw
"""


def render(settings: Settings) -> str:
    """Return the unit file of this replica. A running engine whose unit had another text is outdated."""
    name, sandbox = settings.name, _sandbox(settings)
    environment = "".join(
        f"Environment={_word(f'{key}={value}')}\n" for key, value in sorted(settings.environment.items())
    )
    command = " \\\n  ".join(_word(word) for word in settings.command)
    return f"""\
# Made by rackwright: the engine of replica {name}.
[Unit]
Description=rackwright engine {name}
RequiresMountsFor={SOCKETS} {settings.mount}
{_condition(settings)}StartLimitIntervalSec=0

[Service]
Type=exec
User={settings.user}
Group=rackwright
UMask=0007
RuntimeDirectory={settings.runtime_directory}
RuntimeDirectoryMode=0750
{_cache(settings)}ExecStartPre={_AS_ROOT}/bin/sh -c '{_record(settings)}'
{_interface(settings)}ExecStart={command}
ExecStopPost=-{_AS_ROOT}/bin/sh {settings.ended}
ExecStopPost={_AS_ROOT}/bin/rm -rf -- {settings.started}
{environment}Restart=always
RestartSec=2s
RestartSteps=5
RestartMaxDelaySec=60s
TimeoutStopSec={settings.stop_seconds + DRAIN_MARGIN}
KillMode=mixed

LimitNOFILE=65536
LimitMEMLOCK=infinity
LimitCORE=0
TasksMax=4096
# Engines read JSON and grammars with recursive functions; each thread gets a stack of this size.
LimitSTACK=64M
# One engine that grows without end must leave something to the host.
MemoryMax=90%
LogRateLimitIntervalSec=30s
LogRateLimitBurst=1000
{_log_filter(settings)}
{sandbox}
[Install]
WantedBy=multi-user.target
"""


def unit_digest(settings: Settings) -> str:
    """Return the sha256 of the unit file, which an engine that was started with it records."""
    return sha256(render(settings).encode()).hexdigest()


def _condition(settings: Settings) -> str:
    waits = f"Requires={settings.after}\nAfter={settings.after}\n" if settings.after else ""
    # Without its drop-in an engine would take every GPU of the host.
    return waits + (f"ConditionPathExists={settings.gpus_file}\n" if settings.gpus else "")


def _memory(settings: Settings) -> str:
    if settings.reach is not Reach.NOTHING:
        return _SHARED_MEMORY
    return "" if settings.gpus else _NO_COMPILER


def _interface(settings: Settings) -> str:
    if settings.fabric is None:
        return ""
    # By default, gloo and NCCL use the interface of the host's name, or the first one. With a given interface, they
    # use its first address. systemd turns $$ into one $.
    address, family = settings.fabric, "-6" if settings.fabric.version == 6 else "-4"
    steps = (
        f"set -- $$(ip -o address show to {address})",
        f'[ -n "$$2" ] || {{ echo no interface has {address} >&2; exit 1; }}',
        f"first=$$(ip -o {family} address show dev $$2 scope global | head -n 1)",
        f'case $$first in *" {address}/"*) ;; *) echo $$2 has another address before {address} >&2; exit 1 ;; esac',
        f"{{ echo GLOO_SOCKET_IFNAME=$$2; echo NCCL_SOCKET_IFNAME=$$2; }} >{settings.interface_file}",
    )
    return f"ExecStartPre={_AS_ROOT}/bin/sh -c '{'; '.join(steps)}'\nEnvironmentFile=-{settings.interface_file}\n"


def _cache(settings: Settings) -> str:
    return f"CacheDirectory={settings.runtime_directory}\nCacheDirectoryMode=0700\n" if settings.compiles else ""


def _record(settings: Settings) -> str:
    unit = f"umask 022; mkdir -p {settings.started} && sha256sum <{settings.unit_file} >{settings.started_digest}"
    return f"{unit} && cat <{settings.gpus_file} >{settings.started_gpus}" if settings.gpus else unit


def _log_filter(settings: Settings) -> str:
    # With at least one expression, journald drops each line that none of them matches.
    lines = (*log_lines(settings.unit), *settings.log_lines)
    return "".join(f"LogFilterPatterns=^(?:{line})\\s*$\n" for line in lines)


def _sandbox(settings: Settings) -> str:
    readable = list(settings.readable)
    if settings.gpus:
        readable.append("-/run/nvidia-persistenced")
    writable = [f"/run/{settings.runtime_directory}", *([settings.cache] if settings.compiles else [])]
    common = _SANDBOX.format(mount=settings.mount, writable=" ".join(writable), readable=" ".join(readable))
    devices = _GPU + (_RDMA if settings.members else "") if settings.gpus else _NO_GPU
    network = _NETWORK[settings.reach].format(members=" ".join(map(str, settings.members)))
    return network + common + devices + _memory(settings)


def _word(text: str) -> str:
    """Return one argument in the syntax of systemd.service(5): quoted, without expansion."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"'
