"""Settings of all tests. Figures that tests note (`record_property`) stand at the end of a run, whoever ran them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# No limit of time: a busy machine would exceed it. What fails is printed so that it can be run again elsewhere.
settings.register_profile("tests", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
