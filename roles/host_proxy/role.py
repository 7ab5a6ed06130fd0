"""Put HAProxy in front of this host's engines."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.haproxy.proxy import Proxy, proxy_running
from rackwright.roles.host_proxy.configuration import PATHS, haproxy_cfg
from rackwright.roles.host_proxy.settings import Settings
from rackwright.roles.layout.settings import SOCKETS


@deploy("host_proxy")
def host_proxy(*, settings: Settings) -> None:
    """Ensure that the fleet's gateways, and only they, reach each replica on its port."""
    # Members of the group may open the engines' sockets.
    proxy = Proxy(
        unit="rackwright-host-proxy",
        description="rackwright: TLS in front of this host's engines",
        paths=PATHS,
        certificates=(settings.certificate,),
        groups=("rackwright",),
        mounts=(SOCKETS,),
    )
    proxy_running(proxy, haproxy_cfg=haproxy_cfg(settings), files={})
