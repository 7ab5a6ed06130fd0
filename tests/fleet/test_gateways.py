"""Several gateways of one fleet: which gateways share their counters, and which may reach the port for that."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.gateway import Keys, gateway_of
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.sections.gateway import Gateway
from rackwright.ports import PEERS_PORT
from rackwright.roles.gateway.settings import Key, Peer
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet

HOSTS = {
    "gate1": {"address": "10.0.0.9", "service": "10.1.0.9"},
    "gate2": {"address": "10.0.0.8", "service": "10.1.0.8"},
    "gate3": {"address": "10.0.0.7", "disabled": "RMA"},
    "gpu1": {"address": "10.0.0.10"},
}
FILE = File(path="a.gguf", url="https://models.example/a.gguf", size=1, sha256="0" * 64)
LOCK = Lock(
    fleet="acme",
    models={"assistant": ModelLock(source="hf:acme/tiny", digest=model_digest([FILE]), files=(FILE,))},
    runtimes={"llama_cpp-b1": RuntimeLock(kind="llama_cpp", version="b1", files=(FILE,))},
    ports={"gpu1": {"assistant@1": 8100}},
)


def models(*gateways: str, tls: str = "intermediate", **sections: object) -> dict[str, HostSpec]:
    gateway = {"on": gateways, "domain": "llm.acme.internal", "tls": tls}
    fleet = make_fleet(Path("site.yml"), hosts=HOSTS, gateway=gateway, **sections)
    key = Key(id="ci", sha256="a" * 64, expires=datetime(2030, 1, 1, tzinfo=UTC), requests_per_minute=5)
    return host_specs(fleet, LOCK, Keys((key,)))


@pytest.mark.parametrize(("kind", "salts"), [("llama_cpp", False), ("vllm", True)])
def test_the_prompts_of_keys_are_kept_apart_where_the_engine_can(kind: str, salts: bool) -> None:
    fleet = make_fleet(Path("site.yml"), runtime={"kind": kind, "version": "1"})
    gateway = gateway_of(fleet, LOCK, "gate1", Keys())
    assert gateway is not None
    assert [model.salts for model in gateway.models] == [salts]


def admitted(model: HostSpec) -> list[object]:
    return [source for opening in model.firewall.openings if opening.port == PEERS_PORT for source in opening.sources]


def test_each_gateway_in_service_shares_with_the_others_at_their_service_addresses() -> None:
    found = models("gate1", "gate2", "gate3")
    assert found["gate1"].gateway is not None
    assert found["gate1"].gateway.name == "gate1"
    assert found["gate1"].gateway.peers == (Peer(name="gate2", address=ip_address("10.1.0.8")),)
    assert found["gate1"].gateway.keys[0].requests_per_minute == 5


@pytest.mark.parametrize(
    ("asked", "limit"), [({}, 100), ({"key_concurrency": 7}, 7), ({"key_concurrency": "unlimited"}, 0)]
)
def test_keys_have_a_limit_by_default(asked: dict[str, object], limit: int) -> None:
    gateway = {"on": ("gate1",), "domain": "llm.acme.internal"} | asked
    found = host_specs(make_fleet(Path("site.yml"), hosts=HOSTS, gateway=gateway), LOCK, Keys())
    assert found["gate1"].gateway is not None
    assert found["gate1"].gateway.key_concurrency == limit


@pytest.mark.parametrize("wrong", [0, -1, True, 2.5, "7", "any", 1_000_001])
def test_a_limit_that_is_no_limit_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="should be a number from 1 to 1000000, or unlimited"):
        Gateway.model_validate({"on": ["gate1"], "domain": "llm.acme.internal", "key_concurrency": wrong})


def test_only_the_other_gateways_reach_that_port() -> None:
    found = models("gate1", "gate2", "gate3")
    assert admitted(found["gate1"]) == [ip_network("10.1.0.8")]
    assert admitted(found["gate2"]) == [ip_network("10.1.0.9")]
    assert admitted(found["gpu1"]) == []


def test_a_gateway_alone_opens_nothing_for_it() -> None:
    found = models("gate1")["gate1"]
    assert found.gateway is not None
    assert (found.gateway.peers, admitted(found)) == ((), [])


def test_a_gateway_does_in_a_planned_downtime_what_the_rollout_says() -> None:
    held, refused = models("gate1")["gate1"].gateway, models("gate1", rollout={"downtime": "reject"})["gate1"].gateway
    assert held is not None
    assert refused is not None
    assert (held.downtime, refused.downtime) == ("queue", "reject")


def test_modern_tls_is_the_clients_and_comes_with_a_certificate_for_90_days() -> None:
    for tls, days in (("intermediate", 365), ("modern", 90)):
        found = models("gate1", tls=tls)["gate1"]
        assert found.gateway is not None
        assert found.gateway.tls == tls
        assert {issued.name: issued.days for issued in found.certificates} == {"gateway-client": 365, "gateway": days}
