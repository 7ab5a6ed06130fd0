"""The units that follow the clouds' addresses, and those that connect to a cloud through the proxy."""

from __future__ import annotations

from rackwright.operations import watch_units as look
from rackwright.operations.watch_units import ALSO_SETUID, SANDBOX
from rackwright.roles.cloud.settings import RUN, RUN_NAME, SCRIPT, USER, Settings
from rackwright.roles.gateway.settings import Cloud

_MOST_CONNECTIONS = 4096


def service() -> str:
    """Return the service that looks once.

    It runs as root, with the capabilities to load rules and to ask HAProxy as HAProxy's user. Its network isn't
    limited to addresses: it asks the host's own name servers, and may use any of glibc's ways to resolve a name.
    """
    return f"""\
# Made by rackwright: one look at the addresses of the clouds.
[Unit]
Description=rackwright clouds' addresses
Wants=network-online.target
After=network-online.target nss-lookup.target rackwright-firewall.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={SCRIPT}
RuntimeDirectory={RUN_NAME}
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
TimeoutStartSec=120
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SETUID CAP_SETGID
ProtectProc=invisible
PrivateIPC=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
UMask=0077
{SANDBOX}{ALSO_SETUID}"""


def timer(settings: Settings) -> str:
    why = "how often the names of the clouds are resolved"
    return look.timer(why, "rackwright clouds' addresses", settings.every_seconds)


def proxy_socket(cloud: Cloud) -> str:
    """Return the socket, in root's folder, that leads to a cloud. Only HAProxy's user may open it."""
    return f"""\
# Made by rackwright: where HAProxy connects to the cloud {cloud.name}, through the proxy.
[Unit]
Description=rackwright cloud {cloud.name}

[Socket]
ListenStream={RUN}/{cloud.name}.sock
DirectoryMode=0755
SocketUser=haproxy
SocketMode=0600
Accept=yes
MaxConnections={_MOST_CONNECTIONS}
TriggerLimitIntervalSec=0
PollLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"""


def connection(cloud: Cloud, proxy_port: int) -> str:
    """Return the template unit of one connection: TLS goes through the tunnel from HAProxy to the cloud."""
    return f"""\
# Made by rackwright: one connection to the cloud {cloud.name}, through the proxy.
[Unit]
Description=rackwright cloud {cloud.name}
CollectMode=inactive-or-failed

[Service]
User={USER}
EnvironmentFile={RUN}/proxy.env
ExecStart=/usr/bin/socat -t 60 - PROXY:${{ADDRESS}}:{cloud.host}:{cloud.port},proxyport={proxy_port},connect-timeout=5
StandardInput=socket
StandardOutput=socket
StandardError=journal
CapabilityBoundingSet=
ProtectProc=invisible
ProcSubset=pid
PrivateIPC=yes
PrivateTmp=yes
PrivateUsers=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
UMask=0077
{SANDBOX}"""
