"""Where reports and signers are: next to the fleet file, or in the tool's own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.lifecycle.drill.evidence.folder import folder_of
from rackwright.lifecycle.drill.evidence.signers import signers_path

FLEET = Path("/tmp/applied/acme.yml")
STATE = "/var/lib/rackwright-tool"


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, "/tmp/applied"),
        ({"STATE_DIRECTORY": STATE}, "/tmp/applied"),
        ({"RACKWRIGHT_TOOL": "1"}, "/tmp/applied"),
        # The copy of the fleet file goes with the unit.
        ({"RACKWRIGHT_TOOL": "1", "STATE_DIRECTORY": STATE}, STATE),
    ],
)
def test_they_outlast_the_tool_s_unit(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], place: str
) -> None:
    for name in ("RACKWRIGHT_TOOL", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert folder_of(FLEET) == Path(place, "acme.drills")
    assert signers_path(FLEET) == Path(place, "acme.signers")
