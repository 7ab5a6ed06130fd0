"""The replica group's scripts, run for real: the members' systemd and network are stand-ins in a folder."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rackwright.roles.replica_group import scripts, units
from rackwright.roles.replica_group.role import replica_group
from rackwright.roles.replica_group.settings import GROUP_STATES, Peer, Settings
from tests.fakes import play

_PEERS = {
    name: Peer(name=name, address=ip_address(address), port=28100)
    for name, address in {"a": "10.0.0.1", "b": "10.0.0.2", "ab": "fd00::3"}.items()
}
FIRST, *OTHERS = _PEERS


def of(name: str) -> Settings:
    """Return the settings of one member; the first member leads."""
    looks_at = [_PEERS[other] for other in OTHERS] if name == FIRST else [_PEERS[FIRST]]
    return Settings(
        replica="assistant@1",
        unit="rackwright-assistant@1.service",
        own=_PEERS[name],
        first=name == FIRST,
        peers=tuple(looks_at),
    )


@pytest.mark.parametrize("script", [scripts.watch, scripts.member])
def test_scripts_stay_under_sixty_lines_and_shellcheck_finds_nothing(script: Callable[[Settings], str]) -> None:
    text = script(of(FIRST))
    assert len(text.splitlines()) < 60
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_look_every_two_seconds_meets_no_start_limit_and_reaches_its_peers_alone() -> None:
    unit = units.service(of("b"))
    assert "StartLimitIntervalSec=0" in unit
    assert "IPAddressDeny=any\nIPAddressAllow=10.0.0.1\n" in unit
    assert "ListenStream=[fd00::3]:28100\n" in units.member_socket(of("ab"))


@pytest.mark.parametrize("script", [scripts.watch, scripts.member])
def test_scripts_read_of_proc_what_their_sandbox_shows(script: Callable[[Settings], str]) -> None:
    assert "ProcSubset=pid" in units.service(of(FIRST))
    assert set(re.findall(r"/proc/[a-z]+", script(of(FIRST)))) <= {"/proc/self"}


def test_the_role_writes_scripts_and_starts_timer_and_socket() -> None:
    played = play(replica_group, settings=of(FIRST))
    assert [name for name in played.operations if name.startswith("Start")] == [
        "Start the replica group's timer of assistant@1",
        "Start the member's socket of assistant@1",
    ]


class Members:
    """Three hosts. An engine's start is a number; a look is one run of a member's script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.starts = count(1)
        (folder / "bin").mkdir()
        self.at(100)
        # A stand-in for systemctl: it reports this member's engine as the test sets it, and records the requests.
        self._program(
            "systemctl",
            'cd "$MEMBER"; case "$*" in *InvocationID*) read -r value <engine; echo "$value" ;;\n'
            '*ActiveState*) read -r value <active; echo "$value" ;;\n'
            "kill*) echo killed >>acts ;; restart*) echo restart >>acts ;; esac",
        )
        # A stand-in for the network: a request to an address runs its owner's member script, unless a cable is cut.
        cases = "\n".join(f"*//'{peer.url}') to={name} ;;" for name, peer in _PEERS.items())
        self._program(
            "curl",
            f"for word; do case $word in\n{cases}\nesac; done; cd {folder}\n"
            '[ -e "$MEMBER/cut" ] || [ -e "$to/cut" ] || MEMBER=$PWD/$to exec sh "$to/member"',
        )
        self._program("systemd-cat", f"cat >>{folder}/log")
        for name in _PEERS:
            (folder / name).mkdir()
            for kind, script in (("watch", scripts.watch), ("member", scripts.member)):
                text = script(of(name)).replace("/proc/self/stat", f"{folder}/stat")
                (folder / name / kind).write_text(text.replace(GROUP_STATES, str(folder / name)))
            self.start(name)

    def _program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def start(self, name: str) -> None:
        (self.folder / name / "engine").write_text(f"{next(self.starts):04}\n")
        (self.folder / name / "active").write_text("active\n")

    def stop(self, name: str) -> None:
        (self.folder / name / "active").write_text("inactive\n")

    def cut(self, name: str) -> None:
        (self.folder / name / "cut").touch()

    def mend(self, name: str) -> None:
        (self.folder / name / "cut").unlink(missing_ok=True)

    def at(self, seconds: int) -> None:
        """Set the seconds since all three hosts booted."""
        (self.folder / "stat").write_text(f"7 (cut) {'x ' * 19}{seconds}00 x\n")

    def look(self, *names: str) -> str:
        """Run one look of these members in turn, or of all if none is named; return why the replica can't serve."""
        for name in names or _PEERS:
            environment = os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
            environment["MEMBER"] = str(self.folder / name)
            subprocess.run(["sh", str(self.folder / name / "watch")], check=True, env=environment)
            if self.acts(name):
                (self.folder / name / "acts").unlink()
                self.start(name)
        return self.told(FIRST, "reason")

    def acts(self, name: str) -> list[str]:
        path = self.folder / name / "acts"
        return path.read_text().split() if path.exists() else []

    def told(self, name: str, key: str) -> str:
        path = self.folder / name / "assistant@1"
        lines = path.read_text().splitlines() if path.exists() else []
        return dict(line.split("=", 1) for line in lines).get(key, "")

    def engine(self, name: str) -> str:
        return (self.folder / name / "engine").read_text().strip()

    def engines(self) -> list[str]:
        return [self.engine(name) for name in _PEERS]

    def whole(self) -> bool:
        """Whether all engines run, and each joined the current start of the first one."""
        joined = all(self.told(name, "first") == self.engine(FIRST) for name in OTHERS)
        known = self.told(FIRST, "joined").split() == [f"{name}={self.engine(name)}" for name in OTHERS]
        return joined and known and self.told(FIRST, "reason") == ""


@pytest.fixture
def members(tmp_path: Path) -> Members:
    members = Members(tmp_path)
    members.look()
    members.look()
    assert members.whole()
    return members


@pytest.mark.parametrize("order", [("a", "b", "ab"), ("ab", "b", "a")])
def test_members_join_whichever_starts_first_and_nothing_is_started_twice(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    members = Members(tmp_path)
    before = members.engines()
    members.look(*order)
    members.look(*order)
    assert members.whole()
    assert members.engines() == before


def test_a_whole_replica_is_left_alone(members: Members) -> None:
    before = members.engines()
    for _ in range(3):
        assert members.look() == ""
    assert members.engines() == before


def test_a_member_whose_engine_was_started_anew_makes_all_start_anew(members: Members) -> None:
    before = members.engines()
    members.start("b")
    assert members.look("b", "a") == "the engine on b was restarted"
    assert members.engine("a") != before[0]
    for _ in range(3):
        members.look()
    assert members.whole()
    assert not set(members.engines()) & set(before)


def test_a_first_engine_that_was_started_anew_is_followed(members: Members) -> None:
    before = members.engines()
    members.start("a")
    assert members.look("a") in ("b hasn't joined the current start", "ab hasn't joined the current start")
    for _ in range(3):
        members.look()
    assert members.whole()
    assert not set(members.engines()) & set(before)


def test_a_member_that_was_started_before_the_first_one_joins_it(members: Members) -> None:
    members.stop("a")
    members.start("b")
    members.start("ab")
    members.look()
    before = members.engines()[1:]
    members.start("a")
    for _ in range(2):
        members.look()
    assert members.whole()
    assert members.engines()[1:] == before


def test_a_stopped_member_takes_the_replica_out_and_no_engine_is_killed_for_it(members: Members) -> None:
    before = members.engines()
    members.stop("ab")
    assert members.look() == "the engine on ab is not running"
    assert members.engines() == before


def test_a_hole_in_the_network_takes_it_out_and_costs_no_engine(members: Members) -> None:
    before = members.engines()
    members.cut("b")
    assert members.look() == "b doesn't answer"
    members.mend("b")
    assert members.look() == ""
    assert members.engines() == before
    assert "b doesn't answer" in (members.folder / "log").read_text()


@pytest.mark.parametrize(("lasted", "spared"), [(0, 15), (40, 55), (600, 135)])
def test_after_a_hole_an_engine_is_spared_for_as_long_as_tcp_may_wait(
    members: Members, lasted: int, spared: int
) -> None:
    assert members.told("a", "spare") == "0"
    members.cut("b")
    members.look()
    members.at(100 + lasted)
    members.look()
    members.mend("b")
    members.at(200 + lasted)
    members.look()
    assert int(members.told("a", "spare")) - (100 + lasted) == spared
    members.cut("b")
    members.look()
    assert int(members.told("a", "spare")) - (200 + lasted) == 15


def test_an_engine_that_was_started_anew_has_lost_nothing_in_an_older_hole(members: Members) -> None:
    members.cut("b")
    members.look()
    members.mend("b")
    members.start("a")
    members.look()
    assert members.told("a", "spare") == "0"


def test_a_member_that_comes_back_from_a_reboot_makes_all_start_anew(members: Members) -> None:
    members.cut("ab")
    members.look()
    (members.folder / "ab" / "assistant@1").unlink()
    members.start("ab")
    members.mend("ab")
    for _ in range(4):
        members.look()
    assert members.whole()


def test_what_a_stranger_answers_starts_nothing_and_writes_nothing_of_its_own(members: Members) -> None:
    members.start("b")
    before = members.engines()
    (members.folder / "a" / "member").write_text(
        "printf 'rackwright engine=$(reboot) first=x\\nreason=\\nseen=x\\n'; yes\n"
    )
    members.look("b")
    assert members.engines() == before
    assert members.told("b", "seen") == before[1]
    assert "$" not in members.told("b", "first")


EVENTS = st.lists(
    st.tuples(st.sampled_from(["start", "stop", "cut", "mend", "look"]), st.sampled_from(list(_PEERS))), max_size=8
)


@settings(max_examples=8)
@given(events=EVENTS)
def test_whatever_happened_it_comes_back_whole_by_itself(
    events: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    members = Members(tmp_path_factory.mktemp("members"))
    for event, name in events:
        getattr(members, event)(name)
    for name in _PEERS:
        members.mend(name)
        if (members.folder / name / "active").read_text() != "active\n":
            members.start(name)
    for _ in range(5):
        members.look()
    assert members.whole(), events
    assert members.look() == ""
