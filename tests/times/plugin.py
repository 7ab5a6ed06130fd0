"""Each test case of a junit file says which worker ran it, when, and what the time was spent on.

A fixture's time counts for the test whose setup or teardown ran it.
"""

from __future__ import annotations

import os

import pytest

from tests.times.properties import PHASE, SPENT, WORKER
from tests.times.recorder import take


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    item.user_properties.append((f"{PHASE}{call.when}", f"{call.start:.6f} {call.stop:.6f}"))
    if call.when == "teardown":
        item.user_properties.append((WORKER, os.environ.get("PYTEST_XDIST_WORKER", "alone")))
        item.user_properties.extend((f"{SPENT}{kind}", f"{seconds:.3f}") for kind, seconds in take().items())
