"""The longest files begin first. Figures that tests note (`record_property`) stand at the end of a run."""

from __future__ import annotations

import pytest

from tests.times import durations
from tests.times.properties import is_timing

pytest_plugins = ["tests.times.plugin"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = durations.longest_first(items, lambda item: item.nodeid.partition("::")[0], durations.load())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if not is_timing(name):
                terminalreporter.write_line(f"{name}: {value}")
