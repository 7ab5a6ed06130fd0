from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rackwright.errors import HostError
from rackwright.gateway import Gateways, ServerState, merged, parse_states
from rackwright.gateway.server_states import parse_drains, parse_dropped
from rackwright.remote import Completed, Remote

ROW = "4 model.assistant 1 {server} 127.0.0.1 {up} {admin} 1 1 0 6 3 4 6 0 0 0 - 8100 - 1 0 - - 0"
STAT = "# pxname,svname,qcur,qmax,scur,smax\nmodel.assistant,gpu1.assistant.1.8100,0,0,{scur},4\n"
RECORD = '{"format":"drain/1","who":"ada","reason":"fan","manual":true,"time":"2026-11-25T04:00:00Z"}'


def printed(up: int = 2, admin: int = 0, scur: tuple[int, ...] = (0,), record: str = "") -> str:
    row = ROW.format(server="gpu1.assistant.1.8100", up=up, admin=admin)
    text = f"== servers\n1\n# be_id be_name srv_id srv_name srv_addr\n{row}\n\n"
    text += "".join(f"== stat\n{STAT.format(scur=count)}\n" for count in scur)
    return text + (f"== drain gpu1.assistant.1.8100\n{record}\n" if record else "")


def state(up: int = 2, admin: int = 0, scur: tuple[int, ...] = (0,), record: str = "") -> ServerState:
    return parse_states(printed(up, admin, scur, record))["gpu1/assistant@1"]


def test_a_servers_requests_are_those_of_all_workers() -> None:
    assert state(scur=(1, 4, 2)).in_flight == 7


def test_a_worker_that_left_in_between_counts_nothing() -> None:
    text = printed(scur=(2,)) + "== stat\nCan't find the target PID matching the prefix '@!123'.\n"
    assert parse_states(text)["gpu1/assistant@1"].in_flight == 2


def test_dropped_lines_are_those_of_all_workers() -> None:
    assert parse_dropped("3\n0\n4294967295\n") == 4294967298
    with pytest.raises(ValueError, match="not a count: -1"):
        parse_dropped("-1\n")


def test_a_server_takes_requests_only_up_and_undrained() -> None:
    assert state().takes_requests
    assert not state(up=0).takes_requests
    assert not state(admin=1).takes_requests
    assert (state(admin=8).up, state(admin=8).takes_requests) == (True, False)


def test_a_drain_is_manual_unless_its_record_says_that_it_is_not() -> None:
    assert state(admin=8).drained_manually
    assert state(admin=8, record=RECORD).drained_manually
    assert not state(admin=8, record=RECORD.replace("true", "false")).drained_manually
    assert not state(record=RECORD).drained_manually


def test_a_record_that_cannot_be_read_is_none() -> None:
    assert state(admin=8, record="{").record is None


def test_over_several_gateways_up_means_at_all_and_drained_at_one() -> None:
    up = state(scur=(2,))
    drained = replace(up, drained=True, in_flight=3)
    both = merged({"gate1": {up.address: up}, "gate2": {up.address: drained}})[up.address]
    assert (both.drained, both.in_flight, both.takes_requests) == (True, 5, False)
    missing = merged({"gate1": {up.address: up}, "gate2": {}})[up.address]
    assert not missing.takes_requests


@dataclass
class Telling:
    """Gateways that answer every command with `answers`."""

    answers: dict[str, Completed]

    def run_on(self, hosts: tuple[str, ...], command: str, *, stdin: str) -> dict[str, Completed]:
        return self.answers


def gateways_that_say(**answers: Completed) -> Gateways:
    return Gateways(cast(Remote, Telling(answers)), list(answers))


def test_a_downtime_ends_when_the_last_gateway_says_so() -> None:
    gateways = gateways_that_say(
        gate1=Completed(0, stdout_bytes=b"assistant 1795684381\n"),
        gate2=Completed(0, stdout_bytes=b"assistant 1795684380\ncoder 60\n"),
    )
    assert gateways.downtimes() == {
        "assistant": datetime.fromtimestamp(1795684381, UTC),
        "coder": datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
    }


def test_a_gateway_that_does_not_take_a_downtime_is_named() -> None:
    gateways = gateways_that_say(gate1=Completed(0), gate2=Completed(1, stderr_bytes=b"HAProxy knows no downtimes"))
    with pytest.raises(HostError, match=r"^gate2: opening the downtime of assistant failed: HAProxy knows no down"):
        gateways.open_downtime("assistant", 60)


@dataclass
class Interrupted:
    """Gateways whose first command is interrupted by `by`."""

    by: BaseException | None
    scripts: list[str] = field(default_factory=list)

    def run_on(self, hosts: tuple[str, ...], command: str, *, stdin: str) -> dict[str, Any]:
        self.scripts.append(stdin)
        if len(self.scripts) > 1:
            return {name: Completed(0) for name in hosts}
        if self.by:
            raise self.by
        return {"gate1": Completed(0), "gate2": Completed(1, stderr_bytes=b"no socket")}


@pytest.mark.parametrize(
    ("by", "error", "words"),
    [
        (KeyboardInterrupt("halfway"), KeyboardInterrupt, "halfway"),
        (None, HostError, "gate2: lending key verify failed: no socket"),
    ],
)
def test_a_temporary_key_that_only_some_gateways_got_is_removed(
    by: BaseException | None, error: type[BaseException], words: str
) -> None:
    remote = Interrupted(by)
    with (
        pytest.raises(error, match=words),
        Gateways(cast(Remote, remote), ["gate1", "gate2"]).temporary_key("a" * 64),
    ):
        raise AssertionError("nobody may use it")
    assert remote.scripts[1].endswith('\nknows_no "$keys" "$sha"\n')


def test_drains_are_those_whose_records_can_be_read() -> None:
    text = f"== drain gpu1.assistant.1.8100\n{RECORD}\n== drain gpu2.assistant.2.8101\n{{\n"
    found = parse_drains(text)
    assert list(found) == ["gpu1/assistant@1"]
    assert found["gpu1/assistant@1"].who == "ada"
    assert parse_drains("") == {}
