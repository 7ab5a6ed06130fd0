"""Weights from host to host, before any traffic moves: who takes part, in which order, and how it is followed."""

from rackwright.lifecycle.p2p.ahead import Ahead, put_ahead
from rackwright.lifecycle.p2p.procedure import Staged

__all__ = ["Ahead", "Staged", "put_ahead"]
