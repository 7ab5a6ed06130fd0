"""Sixty random histories of a fleet; benchmarks/rollout_machine.py runs ten thousand."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.lifecycle.world.machine import RolloutMachine

TestRollouts = RolloutMachine.TestCase
TestRollouts.settings = settings(
    max_examples=60,
    stateful_step_count=10,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
