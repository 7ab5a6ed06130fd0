"""Weights from host to host, before any traffic moves: who takes part, in which order, and how it is followed."""

from rackwright.lifecycle.staging.ahead import Ahead, put_ahead
from rackwright.lifecycle.staging.stage import Staged

__all__ = ["Ahead", "Staged", "put_ahead"]
