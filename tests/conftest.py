"""Settings of all tests, longest files first. The figures that tests record (`record_property`) are printed last."""

from __future__ import annotations

import gc

import pytest
from hypothesis import HealthCheck, settings

from tests.times import durations
from tests.times.properties import is_timing

pytest_plugins = ["tests.times.plugin"]

# No time limit: a busy machine would exceed it. A failing example is printed so that it can be rerun elsewhere.
settings.register_profile("tests", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = durations.longest_first(items, lambda item: item.nodeid.partition("::")[0], durations.load())


def pytest_collection_finish() -> None:
    # What thousands of tests are made of stays until the end: looking through it each time took 7 % of the run.
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if not is_timing(name):
                terminalreporter.write_line(f"{name}: {value}")
