"""Random histories of API keys, with the real scripts; benchmarks/fixes_taken_out.py runs more."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.lifecycle.world.key_machine import KeyMachine

TestKeys = KeyMachine.TestCase
TestKeys.settings = settings(
    max_examples=15,
    stateful_step_count=12,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
