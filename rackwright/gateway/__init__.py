"""The gateways' runtime API: ask and change running gateways over HAProxy's sockets."""

from rackwright.gateway.api import Gateways
from rackwright.gateway.canaries import CANARY_SECONDS, CanaryShare, parts_of
from rackwright.gateway.clouds import CloudState
from rackwright.gateway.filters import Addresses
from rackwright.gateway.leaving import Leaving
from rackwright.gateway.left import LEFT_COMMAND, LeftRecord, parse_left
from rackwright.gateway.scripts import DRAINS_COMMAND
from rackwright.gateway.server_states import DrainRecord, ServerState, merged, parse_drains, parse_states

__all__ = [
    "CANARY_SECONDS",
    "DRAINS_COMMAND",
    "LEFT_COMMAND",
    "Addresses",
    "CanaryShare",
    "CloudState",
    "DrainRecord",
    "Gateways",
    "Leaving",
    "LeftRecord",
    "ServerState",
    "merged",
    "parse_drains",
    "parse_left",
    "parse_states",
    "parts_of",
]
