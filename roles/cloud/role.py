"""Keep the keys and addresses of a gateway's clouds, and limit which connections its HAProxy may open."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyinfra.api.deploy import deploy

from rackwright.operations.credential import Credential, credentials
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.packages import installed
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.operations.user import system_user
from rackwright.roles.cloud import units
from rackwright.roles.cloud.configuration import egress_rules, follow_script
from rackwright.roles.cloud.settings import (
    FOLDER,
    RULES,
    SCRIPT,
    SERVICE,
    TIMER,
    USER,
    Access,
    Proxy,
    Settings,
    ca_of,
    connection_of,
    credential_of,
    socket_of,
)
from rackwright.roles.gateway.settings import Cloud


@deploy("cloud")
def cloud(*, settings: Settings, access: Callable[[], Mapping[str, Access]]) -> None:
    """Ensure that a gateway's HAProxy gets its clouds' keys and addresses, and can open connections to nothing but
    clouds, host proxies and the other gateways. Run this before the role `gateway`, whose unit starts this one's.

    `access` resolves the secrets.
    """
    installed(
        name="Install HAProxy, nftables, CAs and socat",
        packages=("haproxy", "nftables", "ca-certificates", "socat"),
        unstarted=("haproxy.service",),
    )
    folder(name="Make the folder for clouds", path=FOLDER)
    _access(settings, access())
    if settings.proxy:
        # nft looks up users when it loads the rules.
        system_user(name=f"Make the user {USER}", user=USER)
    rules = checked_file(name=f"Write {RULES}", path=RULES, content=egress_rules(settings), check="nft -c -f {path}")
    script = checked_file(
        name=f"Write {SCRIPT}", path=SCRIPT, content=follow_script(settings), mode="0755", check="sh -n {path}"
    )
    if settings.proxy:
        for one in settings.proxied:
            _through(settings.proxy, one)
    service = systemd_unit(name=f"Write {SERVICE}", unit=SERVICE, content=units.service(), enabled=None, verify=True)
    timer = systemd_unit(name=f"Write {TIMER}", unit=TIMER, content=units.timer(settings))
    # A timer that starts looks at once.
    running(
        name="Follow the addresses of clouds",
        unit=TIMER,
        restart_if=[rules, script, service, timer],
        restart_files=(RULES, SCRIPT, f"{UNITS}/{SERVICE}", f"{UNITS}/{TIMER}"),
    )


def _access(settings: Settings, found: Mapping[str, Access]) -> None:
    given = [one for one in settings.clouds if one.name in found]
    credentials(
        name="Keep the keys of clouds",
        wanted=tuple(Credential(credential_of(one), f"{one.name}.key", found[one.name].key) for one in given),
    )
    for one in given:
        if one.own_ca:
            path = ca_of(one)
            checked_file(name=f"Write {path}", path=path, content=found[one.name].ca or "")


def _through(proxy: Proxy, one: Cloud) -> None:
    template, listens = connection_of(one), socket_of(one)
    content = units.connection(one, proxy.port)
    systemd_unit(name=f"Write {template}", unit=template, content=content, enabled=None)
    written = systemd_unit(name=f"Write {listens}", unit=listens, content=units.proxy_socket(one))
    running(name=f"Listen for {one.name}", unit=listens, restart_if=[written], restart_files=(f"{UNITS}/{listens}",))
