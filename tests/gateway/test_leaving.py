"""A gateway leaves and rejoins: real HAProxy, and stand-ins for keepalived and for what would change this machine."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.gateway import Addresses, Gateways, Leaving, leaving, leaving_scripts
from rackwright.gateway.scripts import helpers
from rackwright.remote import Remote
from rackwright.values.targets import Target
from tests.gateway.stack import KEYS, Stack

OWN, VIP = ip_address("10.9.0.2"), ip_address("10.9.0.9")
STAND_INS = {
    # keepalived: its check reads the file `left`. `stuck`: it doesn't.
    "ip": """case "$*" in
        "-o address show to $VIP") [ -e "$LEFT" ] && [ ! -e "$HERE/stuck" ] || echo "2: eth0    inet $VIP/32"
            [ ! -e "$HERE/taken" ] || echo "2: eth0    inet $VIP/32" ;;
        "-o address show dev lo to $VIP") grep -x "1: lo .*" "$HERE/lo" || true ;;
        "address replace $VIP/32 dev lo scope host") echo "1: lo    inet $VIP/32" >"$HERE/lo" ;;
        "address del $VIP/32 dev lo") rm "$HERE/lo" ;;
        *) exit 2 ;;
    esac""",
    "nft": """case "$*" in
        "-c -f $LEFT.nft") ;;
        "-f $LEFT.nft") cp "$LEFT.nft" "$HERE/inet"; cp "$LEFT.nft" "$HERE/arp" ;;
        "-f -") cat >"$HERE/ip" ;;
        "list table "*) [ -e "$HERE/$3" ] ;;
        "delete table "*) rm "$HERE/$3" ;;
        *) exit 2 ;;
    esac""",
    "ss": 'echo "$*" >"$HERE/asked"; cat "$HERE/open" 2>/dev/null || true',
    "systemctl": '[ "$*" = "is-active --quiet rackwright-vip.service" ] && [ ! -e "$HERE/dead" ]',
    "sleep": "",
}


@dataclass
class Place:
    stack: Stack
    leaving: Leaving
    folder: Path
    """What the stand-ins have done: `inet`, `arp` and `ip` are tables, `lo` is an address."""

    @property
    def left(self) -> Path:
        return Path(self.stack.gateway.paths.configuration, "left")

    def tables(self) -> set[str]:
        return {name for name in ("inet", "arp", "ip", "lo") if (self.folder / name).exists()}

    def open(self, count: int) -> None:
        (self.folder / "open").write_text("ESTAB 0 0 10.9.0.9:443 10.9.0.1:50001\n" * count)


@pytest.fixture
def place(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """gate1 and gate2 are the same HAProxy. gate2 has the address if the file `taken` is there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    paths = stack.gateway.paths
    head = f"#!/bin/sh\nHERE={tmp_path} LEFT={paths.configuration}/left VIP={VIP}\n"
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"{head}{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(leaving, "_CHECK", str(tmp_path / "check"))
    monkeypatch.setattr(leaving, "_TAKES_SECONDS", 0)
    (tmp_path / "check").write_text(f"[ ! -e {paths.configuration}/left ] || exit 1\n")
    with Remote([Target(name, "@local") for name in ("gate1", "gate2")]) as remote:
        gateways = Gateways(remote, ["gate1", "gate2"], paths=paths, drains=stack.gateway.proxy.drains or "")
        monkeypatch.setattr(leaving, "LEFT_COMMAND", f"cat {paths.configuration}/left 2>/dev/null || true")
        addresses = {"gate1": Addresses(OWN, VIP), "gate2": Addresses(ip_address("10.9.0.3"), VIP)}
        made = Place(stack, Leaving(gateways, addresses, longest_seconds=77), tmp_path)
        yield made
        made.open(0)
        made.leaving._rejoin("gate1", force=True)


def without_address(place: Place) -> Leaving:
    gateways = place.leaving._gateways.only(("gate1",))
    return Leaving(gateways, {"gate1": Addresses(OWN, None)}, longest_seconds=77)


def connection_header(stack: Stack, kept: object = None) -> str | None:
    with contextlib.closing(stack.connect()) as connection:
        connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {KEYS['good']}"})
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        return response.headers["connection"]


def test_it_closes_each_connection_after_its_answer_also_after_a_reload_until_it_rejoins(place: Place) -> None:
    seen = [connection_header(place.stack)]
    alone = without_address(place)
    alone.leave("gate1", who="ada", reason="it's a kernel\nof 'ours'", allow_outage=True)
    seen.append(connection_header(place.stack))
    place.stack.gateway.reload()
    seen.append(connection_header(place.stack))
    assert place.tables() == {"inet", "arp"}
    alone.rejoin("gate1")
    seen.append(connection_header(place.stack))
    assert seen == [None, "close", "close", None]
    assert (place.tables(), alone.records(), list(place.left.parent.glob("left*"))) == (set(), {}, [])


def test_one_that_has_left_refuses_connections_before_its_proxy_starts(place: Place) -> None:
    without_address(place).leave("gate1", who="ada", reason="kernel", allow_outage=True)
    for table in place.tables():
        (place.folder / table).unlink()
    place.stack.gateway.script("start")
    assert place.tables() == {"inet", "arp"}
    place.left.unlink()
    for table in place.tables():
        (place.folder / table).unlink()
    place.stack.gateway.script("start")
    assert place.tables() == set()


def test_the_record_says_who_and_why_and_a_run_leaves_an_operators_as_it_is(place: Place) -> None:
    alone = without_address(place)
    for who, manual, known in (("run", False, "run"), ("ada", True, "ada"), ("run", False, "ada")):
        alone.leave("gate1", who=who, reason="it's\n$(a) 'kernel'", manual=manual, allow_outage=True)
        (record,) = alone.records().values()
        assert (record.who, record.manual, record.reason) == (known, known == "ada", "it's\n$(a) 'kernel'")
    assert place.left.stat().st_mode & 0o777 == 0o644
    assert place.left.read_text().count("\n") == 1


def test_a_gateway_with_the_address_keeps_it_at_the_loopback_interface_and_another_takes_it(place: Place) -> None:
    (place.folder / "taken").touch()
    # gate2 has the address: on the same machine, it looks as if gate1 kept it.
    with pytest.raises(HostError, match="keepalived did not give up the virtual address"):
        place.leaving.leave("gate1", who="ada", reason="kernel")
    (place.folder / "taken").unlink()
    with pytest.raises(HostError, match=r"no other gateway took 10\.9\.0\.9 within 0 s, so it has it again"):
        place.leaving.leave("gate1", who="ada", reason="kernel")
    assert (place.tables(), place.left.exists()) == (set(), False)
    place.leaving.leave("gate1", who="ada", reason="kernel", allow_outage=True)
    assert place.tables() == {"inet", "arp", "ip", "lo"}
    assert "dup to 10.9.0.2 drop" in (place.folder / "ip").read_text()
    assert "elements = { 10.9.0.9 timeout 77s }" in (place.folder / "ip").read_text()
    assert "arp saddr ip 10.9.0.9 arp saddr ip set 10.9.0.2" in (place.folder / "arp").read_text()


def test_keepalived_that_does_not_give_up_the_address_leaves_all_as_it_was(place: Place) -> None:
    (place.folder / "stuck").touch()
    with pytest.raises(HostError, match="gate1: leaving failed: keepalived did not give up the virtual address"):
        place.leaving.leave("gate1", who="ada", reason="kernel", allow_outage=True)
    assert (list(place.left.parent.glob("left*")), place.tables()) == ([], {"ip"})
    assert connection_header(place.stack) is None


def test_it_rejoins_only_when_no_connection_to_the_address_is_open(place: Place) -> None:
    place.leaving.leave("gate1", who="ada", reason="kernel", allow_outage=True)
    place.open(3)
    assert place.leaving.open_connections("gate1") == 3
    assert "( src 10.9.0.2 or src 10.9.0.9 ) and sport = :443" in (place.folder / "asked").read_text()
    with pytest.raises(HostError, match="3 connections to the virtual address are still open here"):
        place.leaving.rejoin("gate1")
    assert place.tables() == {"inet", "arp", "ip", "lo"}
    place.open(0)
    place.leaving.rejoin("gate1")
    place.leaving.rejoin("gate1")
    assert (place.tables(), place.left.exists(), place.leaving.open_connections("gate1")) == (set(), False, 0)


def test_an_interrupted_one_keeps_the_address_when_it_leaves_again_with_open_connections(place: Place) -> None:
    place.open(1)
    place.left.write_text("left {}\n")
    place.leaving.leave("gate1", who="ada", reason="kernel", allow_outage=True)
    assert "lo" in place.tables()


def test_connections_that_cannot_be_counted_are_not_taken_for_none(place: Place) -> None:
    (place.folder / "bin" / "ss").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(HostError, match="counting connections failed"):
        place.leaving.open_connections("gate1")


@pytest.mark.parametrize(
    ("file", "reason"), [("dead", "rackwright-vip.service does not run"), ("check", "an earlier version set it up")]
)
def test_one_that_no_other_could_replace_stays(place: Place, file: str, reason: str) -> None:
    (place.folder / file).write_text("")
    with pytest.raises(HostError, match=reason):
        place.leaving.leave("gate1", who="ada", reason="kernel")
    assert not place.left.exists()


def test_only_one_at_a_time_leaves_and_never_the_last_one(place: Place) -> None:
    place.left.write_text("left {}\n")
    with pytest.raises(HostError, match="gate2: asking whether it can take over failed: it has left itself"):
        place.leaving.leave("gate1", who="ada", reason="kernel")
    with pytest.raises(HostError, match=r"the fleet has no other gateway(.|\n)*--allow-outage"):
        without_address(place).leave("gate1", who="ada", reason="kernel")


def test_the_scripts_are_short_and_shellcheck_finds_nothing(place: Place) -> None:
    values = {
        "vip": str(VIP),
        "length": 32,
        "port": 443,
        "keep": "true",
        "check": "/c",
        "rules": "''",
        "record": "''",
    }
    values |= {"force": "false", "addresses": str(VIP)}
    own = helpers(replace(place.stack.gateway.paths), "/drains")
    for name in ("CAN_TAKE", "CAN_TAKE_ADDRESS", "FORWARD_NO_MORE", "LEAVE", "CONNECTIONS", "REJOIN"):
        text = getattr(leaving_scripts, name)
        text = text.format(**values) if "{{" in text else text
        assert len(text.splitlines()) < 60
        assert max(map(len, text.splitlines())) <= 120
        # Of the helpers, only what these scripts do with them is of interest.
        checked = subprocess.run(
            ["shellcheck", "-s", "sh", "-f", "gcc", "-e", "SC2034,SC2317,SC2329", "-"],
            input=own + text,
            capture_output=True,
            text=True,
        )
        lines = [line for line in checked.stdout.splitlines() if int(line.split(":")[1]) > len(own.splitlines())]
        assert lines == []
