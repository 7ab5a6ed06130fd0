"""What a name on the command line means for `drain` and `undrain`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import UsageError
from rackwright.fleet.naming import drainable
from tests.fleet.fleets import make_fleet

FLEET = make_fleet(
    Path("site.yml"),
    hosts={name: {"address": f"10.0.0.{number}"} for number, name in enumerate(("gate1", "both", "gpu1"), 1)},
    gateway={"on": ["gate1", "both"], "domain": "llm.acme.internal"},
    replicas={"both": ["chat@1"], "gpu1": ["chat@1"]},
)


@pytest.mark.parametrize(
    ("name", "addresses", "gateway", "text"),
    [
        ("gate1", [], "gate1", "gateway gate1"),
        ("both", ["both/chat@1"], "both", "both/chat@1, gateway both"),
        ("gpu1", ["gpu1/chat@1"], None, "gpu1/chat@1"),
        ("chat", ["both/chat@1", "gpu1/chat@1"], None, "both/chat@1, gpu1/chat@1"),
        ("both/chat@1", ["both/chat@1"], None, "both/chat@1"),
    ],
)
def test_a_gateways_name_means_the_gateway_and_the_replicas_there(
    name: str, addresses: list[str], gateway: str | None, text: str
) -> None:
    found = drainable(FLEET, name)
    assert (found.addresses, found.gateway, found.text) == (addresses, gateway, text)


def test_another_name_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean gpu1"):
        drainable(FLEET, "gpu")
