from __future__ import annotations

from rackwright.lifecycle.logs import units_of
from tests.roles.serving import PROBE


def test_a_replicas_logs_are_its_engines_and_its_probes():
    assert units_of(PROBE.replica) == (PROBE.unit, PROBE.service)
