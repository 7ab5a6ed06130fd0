"""The scripts on a host: a real shell in a test's folders, with stand-ins for systemd and the user's name."""

from __future__ import annotations

import io
import os
import pwd
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.p2p import scripts, transfer, unit
from rackwright.lifecycle.p2p.transfer import Has, Transfer, parse
from rackwright.lifecycle.p2p.unit import Part, Status
from rackwright.remote.completed import Completed
from rackwright.roles.model_store.settings import StoredModel
from rackwright.roles.p2p.settings import RUN, UNIT, USER
from rackwright.state.shell import command
from rackwright.values.certificate import Issued
from rackwright.values.file import File
from rackwright.values.secrets import Secret
from tests.lifecycle.p2p.hosts import settings_of

CONTENT = {"m.gguf": b"weights", "config/same.json": b"{}", "config/other.json": b"{}", "empty.txt": b""}
DIGEST = "d" * 64


@dataclass
class Host:
    """A shell on this machine; its systemd records the calls, and reports the unit state that the test sets."""

    folder: Path
    name: str = "gpu1"
    user: str = USER

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir()
        said = f'echo "$0 $*" >>{self.folder}/asked'
        for name, text in {
            "systemctl": f'{said}\ncase "$1" in is-active) [ -e {self.folder}/active ] ;;\n'
            f"show) [ ! -e {self.folder}/active ] || echo active ;; esac",
            "systemd-run": f"{said}\n[ ! -e {self.folder}/broken ]",
            "journalctl": "echo 'assistant: disk full'",
            "chown": said,
            "setpriv": 'while [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"',
        }.items():
            self.bin(name).write_text(f"#!/bin/sh\n{text}\n")
            self.bin(name).chmod(0o755)

    def bin(self, name: str) -> Path:
        return self.folder / "bin" / name

    @property
    def asked(self) -> str:
        path = self.folder / "asked"
        return path.read_text() if path.exists() else ""

    def run(self, text: str, *, stdin: str | bytes | None = None, **_: Any) -> Completed:
        content = stdin.encode() if isinstance(stdin, str) else stdin or b""
        moved = text.replace(RUN, str(self.folder / "run")).replace(USER, self.user)
        environment = os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", moved], input=content, capture_output=True, env=environment)
        return Completed(done.returncode, done.stdout, done.stderr, self.name)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def shell(host: Host) -> Any:
    return cast("Any", host)


def transfer_of(host: Host) -> Transfer:
    files = tuple(
        File(path=path, size=len(content), sha256=sha256(content).hexdigest(), url=f"https://x.example/{path}")
        for path, content in CONTENT.items()
    )
    return Transfer(
        StoredModel(name="assistant", digest=DIGEST, files=files), {host.name: str(host.folder / "models")}
    )


def part_of(host: Host, *, first: bool) -> Part:
    return Part(
        host=host.name,
        settings=settings_of(0),
        transfer=transfer_of(host),
        first=first,
        torrent_name="p2p-d-1",
        issued=Issued("certificate", Secret("the private key")),
        ca_pem="ca",
        peers=(settings_of(1),),
        torrent=b"" if first else b"torrent",
    )


def arrive(host: Host) -> None:
    arriving = Path(transfer_of(host).arriving(host.name))
    arriving.mkdir(parents=True)
    for content in CONTENT.values():
        if content:
            (arriving / sha256(content).hexdigest()).write_bytes(content)
    (arriving / "resume").write_text("resume data")


SCRIPTS = {
    "look": transfer.LOOK,
    "start": scripts.START,
    "status": scripts.LOOK,
    "torrent": scripts.TORRENT,
    "peers": scripts.PEERS,
    "finish": scripts.FINISH,
    "clean": scripts.CLEAN,
    "give up": scripts.GIVE_UP,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_stay_under_sixty_lines_and_shellcheck_finds_nothing(name: str) -> None:
    assert len(SCRIPTS[name].splitlines()) < 60
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=SCRIPTS[name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_key_is_in_no_argument_and_its_file_is_for_its_owner_alone(host: Host) -> None:
    part = part_of(host, first=False)
    unit.start(shell(host), part)
    assert "the private key" not in host.asked
    assert "the private key" not in repr(part)
    key = host.folder / "run" / "key.pem"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("the private key", 0o600)
    assert (host.folder / "run").stat().st_mode & 0o777 == 0o700
    with tarfile.open(fileobj=io.BytesIO(unit._packed(part))) as packed:
        assert {member.mode for member in packed} == {0o600}
        assert {"torrent", "ca.pem", "certificate.pem", "plan.json", "peers.json"} < set(packed.getnames())


def test_the_unit_reaches_its_peers_alone_and_writes_where_files_arrive_alone(host: Host) -> None:
    unit.start(shell(host), part_of(host, first=False))
    (line,) = (line for line in host.asked.splitlines() if "systemd-run" in line)
    arriving = transfer_of(host).arriving(host.name)
    for word in (
        f"--unit={UNIT}",
        "--collect",
        f"--property=User={USER}",
        "--property=IPAddressDeny=any",
        "--property=IPAddressAllow=10.0.0.1",
        "--property=ProtectSystem=strict",
        f"--property=ReadWritePaths={arriving}",
        "--property=RuntimeDirectory=rackwright-p2p",
    ):
        assert word in line.split()
    assert Path(arriving).stat().st_mode & 0o777 == 0o700


def test_no_key_stays_where_the_unit_does_not_start(host: Host) -> None:
    (host.folder / "broken").touch()
    with pytest.raises(HostError, match="starting the peer-to-peer transfer of assistant dddddddddddddddd failed"):
        unit.start(shell(host), part_of(host, first=False))
    assert not (host.folder / "run").exists()


def test_the_first_host_passes_on_what_it_serves_by_links(host: Host) -> None:
    of = transfer_of(host)
    folder = Path(of.folder(host.name))
    for path, content in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    arriving = Path(of.arriving(host.name))
    arriving.mkdir(parents=True)
    (arriving / sha256(b"weights").hexdigest()).write_bytes(b"some other time's")
    unit.start(shell(host), part_of(host, first=True))
    linked = {path.name: path.stat().st_ino for path in arriving.iterdir()}
    assert linked[sha256(b"weights").hexdigest()] == (folder / "m.gguf").stat().st_ino
    assert set(linked) == set(of.files)
    unit.clean(shell(host), of)
    assert not arriving.exists()
    assert (folder / "m.gguf").read_bytes() == b"weights"


def test_what_arrived_is_put_in_place_whole_and_nothing_else_stays(host: Host) -> None:
    of = transfer_of(host)
    arrive(host)
    unit.place(shell(host), of)
    folder = Path(of.folder(host.name))
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {**CONTENT, ".verified": f"{DIGEST}\n".encode()}
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o444}
    assert not (host.folder / "models" / ".p2p").exists()
    assert f"systemctl stop -q {UNIT}" in host.asked


def test_a_placing_that_was_cut_off_is_done_again(host: Host) -> None:
    of = transfer_of(host)
    arrive(host)
    arriving = Path(of.arriving(host.name))
    name = sha256(b"weights").hexdigest()
    (arriving / name).rename(arriving / f"{name}.verified")
    unit.place(shell(host), of)
    assert (Path(of.folder(host.name)) / "m.gguf").read_bytes() == b"weights"


def test_one_that_was_cut_off_and_has_to_begin_anew_goes_on_from_what_it_had(host: Host) -> None:
    of = transfer_of(host)
    arrive(host)
    arriving = Path(of.arriving(host.name))
    name = sha256(b"weights").hexdigest()
    (arriving / name).chmod(0o444)
    (arriving / name).rename(arriving / f"{name}.verified")
    partial = Path(f"{of.folder(host.name)}.partial")
    partial.mkdir(parents=True)
    (partial / "m.gguf").hardlink_to(arriving / f"{name}.verified")
    unit.start(shell(host), part_of(host, first=False))
    assert (arriving / name).read_bytes() == b"weights"
    assert (arriving / name).stat().st_mode & 0o777 == 0o644
    assert f"chown -R {USER}:{USER} -- {arriving}" in host.asked
    assert not (arriving / f"{name}.verified").exists()
    assert not partial.exists()


def test_nothing_that_is_linked_from_elsewhere_is_given_to_the_unit_s_user(host: Host) -> None:
    of = transfer_of(host)
    arrive(host)
    arriving, other = Path(of.arriving(host.name)), host.folder / "served"
    other.write_bytes(b"served")
    (arriving / "hard").hardlink_to(other)
    (arriving / "soft").symlink_to(other)
    (arriving / "folder").mkdir()
    unit.start(shell(host), part_of(host, first=False))
    assert {path.name for path in arriving.iterdir()} == {*of.files, "resume"}
    assert other.read_bytes() == b"served"


def test_what_the_first_host_serves_stays_root_s(host: Host) -> None:
    folder = Path(transfer_of(host).folder(host.name))
    for path, content in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    unit.start(shell(host), part_of(host, first=True))
    arriving = transfer_of(host).arriving(host.name)
    assert f"chown {USER}:{USER} -- {arriving}" in host.asked
    assert f"chown -R {USER}:{USER} -- {arriving}" not in host.asked


def test_links_that_a_unit_left_are_neither_followed_nor_put_in_place(host: Host) -> None:
    of = transfer_of(host)
    arrive(host)
    arriving, elsewhere = Path(of.arriving(host.name)), host.folder / "elsewhere"
    (arriving / f"{sha256(b'').hexdigest()}.verified").symlink_to(elsewhere)
    unit.place(shell(host), of)
    assert not elsewhere.exists()
    assert not (Path(of.folder(host.name)) / "empty.txt").is_symlink()
    other = replace(of, model=of.model.model_copy(update={"digest": "e" * 64}))
    Path(other.arriving(host.name)).mkdir(parents=True)
    (host.folder / "shadow").write_text("root's alone")
    for name in of.files:
        (Path(other.arriving(host.name)) / name).symlink_to(host.folder / "shadow")
    with pytest.raises(HostError, match="in place failed"):
        unit.place(shell(host), other)
    assert not Path(other.folder(host.name)).exists()


def test_a_file_that_has_no_bytes_has_none(host: Host) -> None:
    arrive(host)
    (Path(transfer_of(host).arriving(host.name)) / f"{sha256(b'').hexdigest()}.verified").write_bytes(b"the unit's")
    unit.place(shell(host), transfer_of(host))
    assert (Path(transfer_of(host).folder(host.name)) / "empty.txt").read_bytes() == b""


def test_nothing_is_taken_from_a_unit_that_does_not_end_and_none_begins_beside_it(host: Host) -> None:
    arrive(host)
    (host.folder / "active").touch()
    with pytest.raises(HostError, match=f"in place failed .*\n.*{UNIT} does not end"):
        unit.place(shell(host), transfer_of(host))
    with pytest.raises(HostError, match=f"{UNIT} does not end"):
        unit.start(shell(host), part_of(host, first=False))
    assert not Path(transfer_of(host).folder(host.name)).exists()


def test_what_a_download_had_fetched_of_it_goes_when_it_is_whole(host: Host) -> None:
    arrive(host)
    incoming = host.folder / "models" / ".incoming"
    incoming.mkdir()
    name = sha256(b"weights").hexdigest()
    for path in (name, f"{name}.lock", f"{sha256(b'{}').hexdigest()}.verified", "f" * 64):
        (incoming / path).touch()
    unit.place(shell(host), transfer_of(host))
    assert [path.name for path in incoming.iterdir()] == ["f" * 64]


def test_no_key_stays_that_a_start_cut_off_left(host: Host) -> None:
    for end in (unit.stop, lambda shell: unit.clean(shell, transfer_of(host))):
        (host.folder / "run").mkdir()
        (host.folder / "run" / "key.pem").touch()
        end(shell(host))
        assert not (host.folder / "run").exists()


@pytest.mark.parametrize(("free", "stays"), [("268435465", True), ("268435464", False), ("-", True)])
def test_what_arrived_goes_where_the_host_could_not_fetch_all_beside_it(host: Host, free: str, stays: bool) -> None:
    """The files have 9 bytes, and 256 MiB must stay free."""
    arrive(host)
    host.bin("df").write_text(f"#!/bin/sh\necho Avail\necho ' {free}'\n")
    host.bin("df").chmod(0o755)
    unit.give_up(shell(host), transfer_of(host))
    assert Path(transfer_of(host).arriving(host.name)).exists() is stays
    assert (host.folder / "models" / ".p2p").exists() is stays


def test_a_file_that_is_missing_puts_nothing_in_place(host: Host) -> None:
    arrive(host)
    of = transfer_of(host)
    (Path(of.arriving(host.name)) / sha256(b"weights").hexdigest()).unlink()
    with pytest.raises(HostError, match="putting assistant dddddddddddddddd in place failed"):
        unit.place(shell(host), of)
    assert not Path(of.folder(host.name)).exists()


def test_status_is_what_the_unit_wrote_and_why_it_ended_what_its_journal_says(host: Host) -> None:
    (host.folder / "active").touch()
    assert unit.look(shell(host)) == Status()
    (host.folder / "run").mkdir()
    (host.folder / "run" / "status.json").write_text('{"state": "receiving", "bytes": 5, "rate": 3, "peers": 1}')
    assert unit.look(shell(host)) == Status("receiving", 5, 3)
    (host.folder / "run" / "status.json").unlink()
    (host.folder / "active").unlink()
    assert unit.look(shell(host)) == Status("ended", why="assistant: disk full")


@pytest.mark.parametrize(
    "written",
    ["", "{", "[1]", "null", '{"bytes": null}', '{"bytes": "x"}', '{"bytes": {}}', '{"rate": 1e999}', "[" * 9999],
)
def test_whatever_a_unit_writes_for_a_status_ends_nothing(host: Host, written: str) -> None:
    (host.folder / "run").mkdir()
    (host.folder / "run" / "status.json").write_text(written)
    assert unit.look(shell(host)) == Status()


def test_a_unit_says_why_it_failed(host: Host) -> None:
    (host.folder / "run").mkdir()
    (host.folder / "run" / "status.json").write_text('{"state": "failed", "why": "disk full"}')
    assert unit.look(shell(host)).why == "disk full"


def test_the_torrent_is_waited_for_while_the_unit_runs(host: Host) -> None:
    (host.folder / "active").touch()
    assert unit.torrent_of(shell(host)) is None
    (host.folder / "run").mkdir()
    (host.folder / "run" / "torrent").write_bytes(b"d4:info\xff")
    assert unit.torrent_of(shell(host)) == b"d4:info\xff"
    (host.folder / "run" / "torrent").unlink()
    (host.folder / "active").unlink()
    with pytest.raises(HostError, match="the peer-to-peer transfer has ended: assistant: disk full"):
        unit.torrent_of(shell(host))


def test_other_peers_are_named_in_one_step(host: Host) -> None:
    (host.folder / "run").mkdir()
    unit.ask_others(shell(host), (settings_of(4),))
    assert (host.folder / "run" / "peers.json").read_text() == '[["10.0.0.5", 8301]]'
    assert [path.name for path in (host.folder / "run").iterdir()] == ["peers.json"]


@pytest.fixture
def unit_folder() -> Iterator[Host]:
    """A host whose runtime folder belongs to daemon; root acts as daemon where it would act as the unit's user."""
    # Directly below /tmp: daemon may not enter pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="rackwright-unit-") as folder:
        Path(folder).chmod(0o755)
        host = Host(Path(folder), user="daemon")
        host.bin("setpriv").unlink()
        (host.folder / "active").touch()
        run = host.folder / "run"
        run.mkdir(mode=0o700)
        os.chown(run, *pwd.getpwnam("daemon")[2:4])
        yield host


@pytest.mark.skipif(os.geteuid() != 0, reason="acts as daemon")
def test_root_follows_no_link_that_a_unit_planted(unit_folder: Host) -> None:
    secret, run = unit_folder.folder / "shadow", unit_folder.folder / "run"
    secret.write_text('{"state": "root\'s alone"}')
    secret.chmod(0o600)
    for name in ("status.json", "torrent", ".peers.json"):
        (run / name).symlink_to(secret)
    assert unit.look(shell(unit_folder)) == Status()
    assert unit.torrent_of(shell(unit_folder)) is None
    with pytest.raises(HostError, match="changing the peers failed"):
        unit.ask_others(shell(unit_folder), (settings_of(4),))
    assert (secret.read_text(), secret.stat().st_uid) == ('{"state": "root\'s alone"}', 0)
    assert "chown" not in unit_folder.asked
    for name in ("status.json", "torrent", ".peers.json"):
        (run / name).unlink()
    unit.ask_others(shell(unit_folder), (settings_of(4),))
    written = (run / "peers.json").stat()
    assert (written.st_uid, written.st_mode & 0o777) == (run.stat().st_uid, 0o600)


def test_what_a_host_has_is_seen_and_what_is_of_no_more_use_goes(host: Host) -> None:
    of = transfer_of(host)
    arrive(host)
    look = command(transfer.LOOK, of.roots[host.name], of.folder(host.name), DIGEST, of.arriving(host.name))
    found = parse(host.run(look).stdout)
    assert not found.whole
    assert found.free
    assert found.arrived > 0
    unit.place(shell(host), of)
    arrive(host)
    assert replace(parse(host.run(look).stdout), free=1, mounted=True) == Has(whole=True, free=1)
    assert not Path(of.arriving(host.name)).exists()


def test_a_host_needs_room_for_what_has_not_arrived_yet(host: Host) -> None:
    of = transfer_of(host)
    assert Has(free=None).refuses(of, host.name) is None
    assert Has(free=256 * 2**20 + 9).refuses(of, host.name) is None
    assert Has(free=256 * 2**20 + 8).refuses(of, host.name) == "has 0.27 GB free, should have 0.27 GB"
    assert Has(free=256 * 2**20, arrived=9).refuses(of, host.name) is None


def test_nothing_arrives_in_a_shared_folder_that_is_not_mounted(host: Host) -> None:
    of = transfer_of(host)
    shared = replace(of, shared=frozenset({host.name}))
    own = Has(mounted=False)
    assert own.refuses(of, host.name) is None
    assert own.refuses(shared, host.name) == (
        f"{of.roots[host.name]} is on the host's own disk, should be mounted: the fleet file says that hosts share it"
    )
    assert replace(own, whole=True).refuses(shared, host.name) is None
    assert replace(own, mounted=True).refuses(shared, host.name) is None


@pytest.mark.parametrize("mounted", [True, False])
def test_it_is_seen_where_files_would_arrive(host: Host, mounted: bool) -> None:
    of = transfer_of(host)
    host.bin("stat").write_text(f'#!/bin/sh\ncase "$*" in *" /") echo 1 ;; *) echo {2 if mounted else 1} ;; esac\n')
    host.bin("stat").chmod(0o755)
    look = command(transfer.LOOK, of.roots[host.name], of.folder(host.name), DIGEST, of.arriving(host.name))
    assert parse(host.run(look).stdout).mounted is mounted
