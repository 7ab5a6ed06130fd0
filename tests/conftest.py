"""Figures that tests note (`record_property`) stand at the end of a run."""

from __future__ import annotations

import pytest

from tests.times.properties import is_timing

pytest_plugins = ["tests.times.plugin"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if not is_timing(name):
                terminalreporter.write_line(f"{name}: {value}")
