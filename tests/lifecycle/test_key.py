from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import pytest

from rackwright import remote
from rackwright.errors import HostError, UsageError
from rackwright.fleet.keys_file import ApiKey, RevokedKey, read_keys_file
from rackwright.lifecycle.key import Terms, add_key, edit_key, find_key, push_key, pushed_keys, revoke_key
from rackwright.remote.completed import Completed
from rackwright.state.api_keys.merge_keys import parse_kept_keys
from rackwright.state.api_keys.pushed_keys import PushedKey
from rackwright.values.targets import Target
from tests.fleet.fleets import make_fleet

KEY = ApiKey(id="anna", owner="Anna", sha256="a" * 64, created=datetime(2026, 11, 25, tzinfo=UTC))


class Hosts:
    """Transports that run nothing and keep their input."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str, str]] = []
        self.opened: list[str] = []
        self.fails = ""
        """A command whose text or input has this fails."""
        self.gone: set[str] = set()
        self.said: dict[str, str] = {}

    def reach(self, target):
        self.opened.append(target.name)
        if target.name in self.gone:
            raise HostError("no route to host", where=target.name)
        return Recorder(self, target.name)


@dataclass
class Recorder:
    hosts: Hosts
    name: str
    is_root: bool = True
    login_key: str | None = None

    def alive(self):
        return True

    def execute(self, command, stdin, **_):
        text = b"".join(stdin).decode()
        self.hosts.ran.append((self.name, command, text))
        if self.hosts.fails and self.hosts.fails in command + text:
            return Completed(1, b"", b"no space left", host=self.name)
        return Completed(0, self.hosts.said.get(self.name, "").encode(), host=self.name)

    def close(self):
        return


@pytest.fixture
def fleet(tmp_path):
    hosts = {"gate1": {"address": "10.0.0.9"}, "gate2": {"address": "10.0.0.8"}, "gpu1": {"address": "10.0.0.10"}}
    made = make_fleet(
        tmp_path / "site.yml", hosts=hosts, gateway={"on": ["gate1", "gate2"], "domain": "llm.acme.internal"}
    )
    return replace(made, recorded=("gate1", "gpu1"))


@pytest.fixture
def hosts(monkeypatch):
    hosts = Hosts()
    monkeypatch.setattr(remote, "Remote", partial(remote.Remote, transport=hosts.reach))
    return hosts


def test_every_gateway_and_control_host_is_told_and_notes_it_in_its_audit_log(fleet, hosts):
    pushed = push_key(fleet, KEY, "add")
    assert (pushed.gateways, pushed.control_hosts) == ({"gate1": None, "gate2": None}, {"gate1": None, "gpu1": None})
    assert pushed.complete
    assert set(hosts.opened) == {"gate1", "gate2", "gpu1"}
    assert len(hosts.opened) == 3
    for name, roles in {"gate1": 2, "gate2": 1, "gpu1": 1}.items():
        *works, noted = [stdin for host, _, stdin in hosts.ran if host == name]
        assert len(works) == roles
        assert '"command":"key add"' in noted
    for name in ("gate1", "gpu1"):
        (kept,) = [stdin for host, _, stdin in hosts.ran if host == name and stdin.startswith("a" * 64)]
        assert parse_kept_keys(kept, name)[0].key == KEY
    for name in ("gate1", "gate2"):
        told, *_, noted = [stdin for host, _, stdin in hosts.ran if host == name]
        assert f"{'a' * 64} anna|0|all|0|default" in told
        assert '"command":"key add"' in noted
        assert "added API key anna of Anna: all models" in noted


def test_a_revoked_key_is_taken_out_of_every_gateway(fleet, hosts):
    gone = RevokedKey(id=KEY.id, owner=KEY.owner, sha256=KEY.sha256, revoked=KEY.created)
    push_key(fleet, KEY, "revoke", gone)
    told = [stdin for _, command, stdin in hosts.ran if "sh -s" in command]
    assert len(told) == 2
    assert all(f"sha={'a' * 64} lines=''" in script for script in told)


def test_a_gateway_out_of_reach_is_named_and_stops_no_other(fleet, hosts):
    hosts.gone.add("gate1")
    told = push_key(fleet, KEY, "add").gateways
    assert told["gate2"] is None
    assert "no route to host" in told["gate1"]


def test_a_control_host_out_of_reach_is_named_and_stops_no_other(fleet, hosts):
    hosts.gone.add("gpu1")
    pushed = push_key(fleet, KEY, "add")
    assert pushed.gateways == {"gate1": None, "gate2": None}
    assert pushed.control_hosts["gate1"] is None
    assert "no route to host" in pushed.control_hosts["gpu1"]
    assert not pushed.complete


@pytest.mark.parametrize(
    ("fails", "gateway", "control"),
    [("tell_key", True, False), ("keys.lock", False, True), ("audit.log", True, True)],
    ids="gateway control-host audit-log".split(),
)
def test_what_fails_in_one_role_of_a_host_does_not_stop_the_other(fleet, hosts, fails, gateway, control):
    hosts.fails = fails
    pushed = push_key(fleet, KEY, "add")
    assert ["no space left" in (found["gate1"] or "") for found in (pushed.gateways, pushed.control_hosts)] == [
        gateway,
        control,
    ]
    ran = [command + stdin for host, command, stdin in hosts.ran if host == "gate1"]
    assert [any(text in one for one in ran) for text in ("tell_key", "keys.lock", "audit.log")] == [True] * 3


def test_a_host_that_got_nothing_notes_nothing_in_its_audit_log(fleet, hosts):
    hosts.fails = "tell_key"
    push_key(fleet, KEY, "add")
    assert not [command for host, command, _ in hosts.ran if host == "gate2" and "audit.log" in command]


def test_a_key_is_written_found_and_revoked(fleet):
    key, text = add_key(fleet, "anna", Terms(owner="Anna", models=("assistant",), expires="12h"))
    assert text.reveal().startswith("rw-anna-")
    assert (key.expires - key.created).total_seconds() == 12 * 3600
    assert find_key(fleet, "anna") == key
    edited = edit_key(fleet, "anna", Terms(concurrency=3, expires="never"))
    assert edited == find_key(fleet, "anna")
    assert edited.changed > key.created
    assert edited.model_copy(update={"changed": None}) == key.model_copy(update={"concurrency": 3, "expires": None})
    revoke_key(fleet, "anna")
    file = read_keys_file(fleet.sibling("keys.yml"))
    assert file.keys == ()
    assert [(gone.id, gone.owner, gone.sha256) for gone in file.revoked] == [("anna", "Anna", key.sha256)]
    add_key(fleet, "anna", Terms(owner="Anna"))
    assert read_keys_file(fleet.sibling("keys.yml")).revoked == file.revoked


def test_of_several_unknown_models_the_first_is_named(fleet):
    with pytest.raises(UsageError) as caught:
        add_key(fleet, "anna", Terms(owner="Anna", models=("first", "second")))
    assert caught.value.problems[0].where == "first"


PUSHED = PushedKey(key=KEY, who="ben@desk", when=KEY.created, revoked=False).line


@pytest.mark.parametrize("garbage", ["?", '{"format": "told-key/1"}', PUSHED.replace("2026", "9999")])
def test_pushed_keys_that_cannot_be_read_are_an_error(hosts, garbage):
    hosts.said = {"gate1": f"{PUSHED}\n", "gate2": garbage}
    gateways = ("gate1", "gate2")
    with (
        remote.Remote([Target(name, "10.0.0.9") for name in gateways]) as reached,
        pytest.raises(HostError, match=r"gate2: .*reading the pushed API keys"),
    ):
        pushed_keys(reached, gateways)


def test_pushed_keys_are_those_of_the_gateways_in_reach(hosts):
    hosts.gone.add("gate1")
    hosts.said = {"gate2": f"{PUSHED}\n"}
    with remote.Remote([Target(name, "10.0.0.9") for name in ("gate1", "gate2")]) as reached:
        assert [one.key for one in pushed_keys(reached, ("gate1", "gate2"))] == [KEY]


def test_keys_that_a_newer_rackwright_pushed_are_an_error(hosts):
    hosts.said = {"gate1": PUSHED.replace("told-key/1", "told-key/2")}
    with remote.Remote([Target("gate1", "10.0.0.9")]) as reached, pytest.raises(HostError, match="newer rackwright"):
        pushed_keys(reached, ("gate1",))
