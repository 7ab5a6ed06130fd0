"""Roles given with `--only`: checked before any host is asked."""

from __future__ import annotations

import pytest

from rackwright.cli import rackwright
from rackwright.errors import FleetError, UsageError


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_role_that_there_is_not_is_refused_with_the_nearest(command: str) -> None:
    words = ["-f", "nowhere.yml", command, "--only", "gateway", "--only", "replicas"]
    with pytest.raises(UsageError, match="replicas: no role of that name; did you mean replica\\?"):
        rackwright.main(words, standalone_mode=False)
    with pytest.raises(FleetError, match=r"nowhere\.yml"):
        rackwright.main([*words[:-1], "firewall"], standalone_mode=False)
