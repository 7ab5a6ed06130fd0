"""The gateways' runtime API: ask and change running gateways over HAProxy's sockets."""

from rackwright.gateway.api import Gateways
from rackwright.gateway.canaries import CANARY_SECONDS, CanaryShare, parts_of
from rackwright.gateway.scripts import DRAINS_COMMAND
from rackwright.gateway.server_states import DrainRecord, ServerState, merged, parse_drains, parse_states

__all__ = [
    "CANARY_SECONDS",
    "DRAINS_COMMAND",
    "CanaryShare",
    "DrainRecord",
    "Gateways",
    "ServerState",
    "merged",
    "parse_drains",
    "parse_states",
    "parts_of",
]
