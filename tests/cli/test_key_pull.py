"""Two operators, each with a copy of the keys file, and the keys that the gateways have. Hosts are folders here."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from rackwright.errors import LeasedError
from rackwright.fleet.keys_file import ApiKey, as_gateway_keys, read_keys, read_keys_file, write_keys
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle import key as keys
from rackwright.lifecycle.key import Terms, add_key, edit_key, revoke_key
from rackwright.lifecycle.session.remember import Compared, compared
from rackwright.roles.gateway.configuration import key_lines, revoked_line
from rackwright.roles.gateway.settings import RevokedKey
from rackwright.state.api_keys.control_keys import keep_keys
from rackwright.state.api_keys.pushed_keys import PushedKey
from rackwright.state.formats import utc_now
from tests.cli.command_line import rackwright
from tests.cli.test_lease_move import AS_IT_WAS, FLEET
from tests.shells import FolderHosts, FolderShell

GATEWAYS = ("gate1", "gate2")


class Desks:
    """Anna's and Ben's copies of the fleet's files, and two gateways that have the state with which both started."""

    def __init__(self, folder: Path) -> None:
        self.hosts = {}
        for name in (*GATEWAYS, "gpu1"):
            (folder / name / "gateway").mkdir(parents=True)
            self.hosts[name] = FolderShell(name=name, var=str(folder / name))
        self.anna, self.ben = folder / "anna" / "site.yml", folder / "ben" / "site.yml"
        self.anna.parent.mkdir()
        self.anna.write_text(FLEET.format(**AS_IT_WAS))
        add_key(load_fleet(self.anna), "leaked", Terms(owner="ci"))
        shutil.copytree(self.anna.parent, self.ben.parent)
        for name in GATEWAYS:
            self.gateway(name).joinpath("keys.applied").write_text("".join(map(lines, self.keys(self.anna))))

    def gateway(self, name: str) -> Path:
        return Path(self.hosts[name].var) / "gateway"

    def keys(self, path: Path) -> tuple[ApiKey, ...]:
        return read_keys(load_fleet(path).sibling("keys.yml"))

    def tell(self, key: ApiKey, *, revoked: bool = False, gateways: tuple[str, ...] = GATEWAYS) -> None:
        """Write the lines that the gateways keep after Ben's command has pushed the key."""
        self.note(key, PushedKey(key=key, who="ben@desk", when=utc_now(), revoked=revoked).line, revoked, gateways)

    def note(self, key: ApiKey, note: str, revoked: bool, gateways: tuple[str, ...] = GATEWAYS) -> None:
        (entry,) = as_gateway_keys((key,), {})
        said = revoked_line(RevokedKey(sha256=entry.sha256, about=entry.about)) if revoked else key_lines(entry)
        for name in gateways:
            with self.gateway(name).joinpath("keys.pushed").open("a") as file:
                file.write(f"{said}{key.sha256} {'revoked' if revoked else key.version} @ {note}\n")

    def keep(self, key: ApiKey, *, revoked: bool) -> None:
        """Let the control host keep the change that Ben's command has made."""
        pushed = PushedKey(key=key, who="ben@desk", when=utc_now(), revoked=revoked)
        keep_keys(self.hosts["gpu1"], (pushed,))

    def apply(self, path: Path) -> Compared:
        """Run the part of an apply that checks whether these files may be applied."""
        fleet = load_fleet(path)
        return compared(SimpleNamespace(fleet=fleet, remote=FolderHosts(self.hosts)))

    def refused(self, path: Path) -> str:
        with pytest.raises(LeasedError) as caught:
            self.apply(path)
        return str(caught.value)


def lines(key: ApiKey) -> str:
    return "".join(map(key_lines, as_gateway_keys((key,), {})))


@pytest.fixture
def desks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desks:
    desks = Desks(tmp_path)
    monkeypatch.setattr("rackwright.remote.Remote", FolderHosts(desks.hosts))
    monkeypatch.setattr("rackwright.remote.Background", lambda work: SimpleNamespace(result=work))
    return desks


def test_an_older_copy_that_brings_a_revoked_key_back_is_refused(desks: Desks) -> None:
    (leaked,) = desks.keys(desks.ben)
    revoke_key(load_fleet(desks.ben), "leaked")
    desks.tell(leaked, revoked=True)
    said = desks.refused(desks.anna)
    assert "leaked of ci was revoked by ben@desk" in said
    assert "rackwright key pull" in said
    desks.apply(desks.ben)


def test_an_older_copy_that_drops_a_new_key_is_refused(desks: Desks) -> None:
    added, _ = add_key(load_fleet(desks.ben), "fresh", Terms(owner="batch"))
    desks.tell(added)
    assert "fresh of batch was added by ben@desk" in desks.refused(desks.anna)
    desks.apply(desks.ben)


def test_an_older_copy_that_takes_a_change_back_is_refused(desks: Desks) -> None:
    desks.tell(edit_key(load_fleet(desks.ben), "leaked", Terms(concurrency=4)))
    assert "leaked of ci was changed by ben@desk" in desks.refused(desks.anna)
    desks.apply(desks.ben)


def test_a_revocation_that_is_pulled_is_the_one_that_was_written_down(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the second: otherwise the two copies would always differ, and each apply would ask which one is newer."""
    (leaked,) = desks.keys(desks.ben)
    gone = revoke_key(load_fleet(desks.ben), "leaked")
    monkeypatch.setattr(keys, "utc_now", lambda: gone.revoked + timedelta(seconds=90))
    desks.note(leaked, keys.note_of(leaked, gone, "ben@desk").line, revoked=True)
    assert rackwright("-f", desks.anna, "key", "pull").exit_code == 0
    files = [read_keys_file(path.with_name("site.keys.yml")) for path in (desks.anna, desks.ben)]
    assert files[0].revoked == files[1].revoked


def test_one_gateway_that_knows_is_enough(desks: Desks) -> None:
    (leaked,) = desks.keys(desks.ben)
    desks.tell(leaked, revoked=True, gateways=("gate2",))
    desks.hosts["gpu1"].gone = True
    assert "leaked" in desks.refused(desks.anna)


def control_on_gpu1(desks: Desks) -> None:
    for path in (desks.anna, desks.ben):
        path.write_text(path.read_text().replace("fleet: acme\n", "fleet: acme\ncontrol: [gpu1]\n"))
        assert load_fleet(path).control == ("gpu1",)


def test_a_revocation_that_only_a_control_host_knows_is_refused_and_pulled(desks: Desks) -> None:
    control_on_gpu1(desks)
    (leaked,) = desks.keys(desks.ben)
    revoke_key(load_fleet(desks.ben), "leaked")
    desks.keep(leaked, revoked=True)
    for name in GATEWAYS:
        desks.hosts[name].gone = True
    assert "leaked of ci was revoked by ben@desk" in desks.refused(desks.anna)
    for name in GATEWAYS:
        desks.hosts[name].gone = False
    ran = rackwright("-f", desks.anna, "key", "pull")
    assert ran.stdout.startswith("leaked of ci was revoked by ben@desk at ")
    assert desks.keys(desks.anna) == ()
    desks.apply(desks.anna)


def test_nothing_is_pulled_while_a_control_host_can_not_be_asked(desks: Desks) -> None:
    control_on_gpu1(desks)
    desks.hosts["gpu1"].gone = True
    ran = rackwright("-f", desks.anna, "key", "pull")
    assert (ran.exit_code, "gpu1" in ran.stderr) == (3, True)


def test_a_host_in_both_roles_is_asked_once(desks: Desks) -> None:
    (leaked,) = desks.keys(desks.ben)
    revoke_key(load_fleet(desks.ben), "leaked")
    desks.tell(leaked, revoked=True)
    keep_keys(desks.hosts["gate1"], (PushedKey(key=leaked, who="ben@desk", when=utc_now(), revoked=True),))
    desks.hosts["gate1"].commands.clear()
    assert desks.refused(desks.anna).count("leaked of ci") == 1
    assert len([one for one in desks.hosts["gate1"].commands if "keys.pushed" in one]) == 1


def test_what_waits_to_be_applied_is_no_older_copy(desks: Desks) -> None:
    for act in (
        lambda fleet: edit_key(fleet, "leaked", Terms(concurrency=2)),
        lambda fleet: add_key(fleet, "late", Terms(owner="batch")),
        lambda fleet: revoke_key(fleet, "leaked"),
    ):
        act(load_fleet(desks.anna))
        assert desks.apply(desks.anna).difference is None


def test_pulled_the_copy_is_as_the_other_and_may_be_applied(desks: Desks) -> None:
    (leaked,) = desks.keys(desks.ben)
    added, _ = add_key(load_fleet(desks.ben), "fresh", Terms(owner="batch"))
    revoke_key(load_fleet(desks.ben), "leaked")
    desks.tell(added)
    desks.tell(leaked, revoked=True)
    ran = rackwright("-f", desks.anna, "key", "pull")
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.splitlines()[0].startswith("fresh of batch was added by ben@desk at ")
    assert ran.stdout.splitlines()[1].startswith("leaked of ci was revoked by ben@desk at ")
    files = [read_keys_file(load_fleet(path).sibling("keys.yml")) for path in (desks.anna, desks.ben)]
    assert [[key.id for key in file.keys] for file in files] == [["fresh"], ["fresh"]]
    assert [[key.sha256 for key in file.revoked] for file in files] == [[leaked.sha256]] * 2
    desks.apply(desks.anna)
    again = rackwright("-f", desks.anna, "key", "pull", "--json")
    assert again.document == {"pulled": []}


def test_nothing_is_pulled_while_a_gateway_can_not_be_asked(desks: Desks) -> None:
    (leaked,) = desks.keys(desks.ben)
    desks.tell(leaked, revoked=True)
    desks.hosts["gate2"].gone = True
    ran = rackwright("-f", desks.anna, "key", "pull")
    assert (ran.exit_code, "gate2" in ran.stderr) == (3, True)
    assert [key.id for key in desks.keys(desks.anna)] == ["leaked"]


def test_an_id_that_two_operators_gave_to_two_keys_is_refused(desks: Desks) -> None:
    write_keys(load_fleet(desks.ben).sibling("keys.yml"), ())
    other, _ = add_key(load_fleet(desks.ben), "leaked", Terms(owner="ben"))
    desks.tell(other)
    ran = rackwright("-f", desks.anna, "key", "pull")
    assert (ran.exit_code, "another operator has given this id to another key" in ran.stderr) == (2, True)
