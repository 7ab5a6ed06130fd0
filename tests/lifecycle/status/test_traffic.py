"""What is shown of the gateways that answer while others don't, or disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from rackwright.errors import HostError
from rackwright.gateway import CloudState, ServerState
from rackwright.gateway.fallback_counts import Counted, Fallback, GatewayFallbacks
from rackwright.lifecycle.session.survey import Survey
from rackwright.lifecycle.status.parts import CloudStatus, ReplicaStatus, TrafficState
from rackwright.lifecycle.status.traffic import Traffic, ask_gateways

ADDRESS = "gpu1/assistant@1"
UP = ServerState("gpu1", "assistant@1", drained=False, up=True, in_flight=2, record=None)
DOWN = replace(UP, up=False, in_flight=0)
SHOWN = ReplicaStatus(ADDRESS, "assistant", ("assistant",), "ready", None, TrafficState.YES, 0, "b1", None)


class Gateways:
    """Gateways that each know one server, or don't answer."""

    def __init__(self, servers: Mapping[str, ServerState | None], dropped: int = 0) -> None:
        self.servers_of, self.dropped, self.asked = servers, dropped, list[str]()

    def only(self, names: tuple[str, ...]) -> Any:
        (name,) = names
        self.asked.append(name)
        return SimpleNamespace(
            servers=lambda: self.servers(name),
            dropped_lines=lambda: {name: self.dropped},
            clouds=lambda: {name: {"openai": CloudState(up=int(name == "gate1"), known=2)}},
            fallbacks=lambda: {name: GatewayFallbacks(9, {"support": 4}, {("support", name, 9): Counted(3, 2)})},
        )

    def servers(self, name: str) -> dict[str, ServerState]:
        server = self.servers_of[name]
        if server is None:
            raise HostError("HAProxy doesn't answer", where=name)
        return {ADDRESS: server}


def asked(
    gateways: Gateways, unreachable: Mapping[str, str] | None = None, *, clouds: tuple[str, ...] = ()
) -> Traffic:
    session: Any = SimpleNamespace(
        gateways=gateways,
        fleet=SimpleNamespace(gateways=tuple(gateways.servers_of), file=SimpleNamespace(clouds=clouds)),
        remote=SimpleNamespace(each=lambda names, work: {name: work(name) for name in names}),
    )
    return ask_gateways(session, Survey({}, dict(unreachable or {})))


def shown(traffic: Traffic, state: TrafficState) -> str:
    return replace(SHOWN, traffic=state, gateways=traffic.by_gateway(ADDRESS)).traffic_text


def test_one_that_does_not_answer_blinds_no_other() -> None:
    traffic = asked(Gateways({"gate1": UP, "gate2": None}))
    assert traffic.server(ADDRESS) == UP
    assert traffic.silent == {"gate2": "HAProxy doesn't answer"}
    assert shown(traffic, TrafficState.YES) == "yes (gate1: yes, gate2: unknown)"


def test_each_gateway_says_whether_it_reaches_each_cloud() -> None:
    traffic = asked(Gateways({"gate1": UP, "gate2": UP}), clouds=("openai",))
    assert list(traffic.clouds()) == [
        CloudStatus("gate1", "openai", reached=True, found="1 of 2 addresses up"),
        CloudStatus("gate2", "openai", reached=False, found="0 of 2 addresses up"),
    ]
    assert not list(asked(Gateways({"gate1": UP})).clouds())


def test_what_fell_back_is_counted_over_all_gateways() -> None:
    traffic = asked(Gateways({"gate1": UP, "gate2": UP}), clouds=("openai",))
    assert traffic.fallbacks() == (Fallback("support", 4, sent=4, refused=2),)
    assert asked(Gateways({"gate1": UP})).fallbacks() == ()


def test_one_that_the_survey_could_not_reach_is_not_tried_again() -> None:
    gateways = Gateways({"gate1": UP, "gate2": UP})
    traffic = asked(gateways, {"gate2": "no route to host"})
    assert gateways.asked == ["gate1"]
    assert traffic.silent == {"gate2": "no route to host"}
    assert traffic.server(ADDRESS) == UP


def test_the_one_that_disagrees_is_named() -> None:
    traffic = asked(Gateways({"gate1": UP, "gate2": DOWN}))
    server = traffic.server(ADDRESS)
    assert server
    assert not server.up
    assert shown(traffic, TrafficState.NO) == "no (gate1: yes, gate2: no)"


def test_gateways_that_agree_need_no_names() -> None:
    assert shown(asked(Gateways({"gate1": UP, "gate2": UP})), TrafficState.YES) == "yes"


def test_without_any_answer_nothing_is_known() -> None:
    traffic = asked(Gateways({"gate1": None}))
    assert traffic.server(ADDRESS) is None
    assert traffic.by_gateway(ADDRESS) == {"gate1": TrafficState.UNKNOWN}


def test_dropped_log_lines_are_a_warning_of_their_gateway() -> None:
    assert list(asked(Gateways({"gate1": UP})).warnings()) == []
    assert list(asked(Gateways({"gate2": UP}, dropped=38)).warnings()) == [
        "gate2: HAProxy has dropped 38 log lines, because journald was too slow; requests may be missing in the "
        "access log; next: on gate2, journalctl -u systemd-journald"
    ]
