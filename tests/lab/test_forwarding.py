"""What SSH logins may forward on a real host: an auditor's nothing, whatever is in the auditor's own files."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.roles.people.settings import Person
from rackwright.roles.people.settings import Settings as People
from rackwright.roles.sshd.settings import Settings as Sshd
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.sshd import RELOAD
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

OTHERS = "PermitTunnel yes\nAllowTcpForwarding yes\nAllowAgentForwarding yes\nDisableForwarding no\n"
"""Lines of a file that is read after rackwright's."""
OWN = 'restrict,pty,port-forwarding,agent-forwarding,X11-forwarding,tunnel="0",permitopen="*:*",permitlisten="*:*" '
"""Options that an auditor writes before the key in the own authorized_keys."""
SSHD = "127.0.0.1:22"
BANNER = b"SSH-2.0"
FORBIDDEN = {
    "disableforwarding": "yes",
    "allowtcpforwarding": "no",
    "allowstreamlocalforwarding": "no",
    "allowagentforwarding": "no",
    "x11forwarding": "no",
    "permittunnel": "no",
}


@dataclass(frozen=True)
class House:
    host: LabHost
    folder: Path
    """With a key id_NAME of each person, and the socket of an SSH agent."""

    def argv(self, name: str, *options: str) -> list[str]:
        settings = {
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ExitOnForwardFailure": "yes",
            "UserKnownHostsFile": str(self.host.fleet.known_hosts),
        }
        fixed = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        return ["ssh", "-F", "none", "-i", str(self.folder / f"id_{name}"), *fixed, *options]

    def login(self, name: str) -> str:
        return f"{name}@{self.host.address}"

    def runs(self, name: str, *options: str, command: str = "true") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.argv(name, *options), self.login(name), command],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "SSH_AUTH_SOCK": str(self.folder / "agent"), "DISPLAY": "127.0.0.1:77"},
            timeout=60,
        )

    def through(self, name: str, kind: str, target: str = "", say: bytes = b"") -> bytes:
        """Return what the target of a forwarded socket says first: empty if it isn't forwarded."""
        path = self.folder / "forwarded"
        path.unlink(missing_ok=True)
        words = self.argv(name, "-N", kind, f"{path}:{target}" if target else str(path))
        with subprocess.Popen([*words, self.login(name)], stderr=subprocess.DEVNULL) as ssh:
            try:
                wait_until(lambda: path.exists() or ssh.poll() is not None)
                if ssh.poll() is not None:
                    return b""
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(30)
                    connection.connect(str(path))
                    connection.sendall(say)
                    return connection.recv(7)
            except ConnectionError:
                return b""
            finally:
                ssh.terminate()

    def through_socks(self, name: str) -> bytes:
        """Return what the host's sshd says through `ssh -D`: empty if nothing is forwarded."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [*self.argv(name, "-N", "-D", f"127.0.0.1:{port}"), self.login(name)]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as ssh:
            try:
                wait_until(lambda: ssh.poll() is not None or _listens(port))
                with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                    connection.sendall(b"\4\1\0\x16\x7f\0\0\1\0")
                    answer = b""
                    while len(answer) < 15 and (more := connection.recv(15 - len(answer))):
                        answer += more
                    return answer[8:]
            except ConnectionError:
                return b""
            finally:
                ssh.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("people")
    people = []
    for name, role in (("anna", "operator"), ("ben", "auditor")):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / f"id_{name}"], check=True)
        people.append(Person(name=name, role=role, keys=((folder / f"id_{name}.pub").read_text().strip(),)))
    with fresh_lab("forwarding", "gate1") as lab:
        host = LabHost(lab, lab.fleet(), "gate1")
        host.tell(f"printf '{OTHERS}' >/etc/ssh/sshd_config.d/90-others.conf{RELOAD}")
        host.applied(lambda: _set_up(tuple(people)))
        host.applied(_confirm)
        assert host.plan(lambda: _set_up(tuple(people))).changes == 0
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(folder / "agent")], stdout=subprocess.DEVNULL)
        try:
            yield House(host, folder)
        finally:
            agent.terminate()
            agent.wait()


def _set_up(people: tuple[Person, ...]) -> None:
    from rackwright.roles.people.role import people as admit
    from rackwright.roles.sshd.role import sshd

    admit(settings=People(people=people))
    sshd(settings=Sshd())


def _confirm() -> None:
    from rackwright.roles.sshd.role import confirm_sshd

    confirm_sshd(settings=Sshd())


def attacks(house: House, name: str) -> dict[str, bool]:
    """Return which ways of forwarding work for this person."""
    return {
        "-W": house.runs(name, "-W", SSHD).stdout.startswith(BANNER),
        "-L": house.through(name, "-L", SSHD) == BANNER,
        "-L to a socket": house.through(name, "-L", "/run/dbus/system_bus_socket", b"\0AUTH\r\n") == b"REJECTE",
        "-D": house.through_socks(name) == BANNER,
        "-R": house.runs(name, "-R", "0:127.0.0.1:9").returncode == 0,
        "-R of a socket": house.runs(name, "-R", f"/tmp/of-{name}:127.0.0.1:9").returncode == 0,
        "-A": bool(house.runs(name, "-A", command='printf %s "$SSH_AUTH_SOCK"').stdout),
        "-Y": bool(house.runs(name, "-Y", command='printf %s "$DISPLAY"').stdout),
    }


def test_an_operator_forwards_as_before(house: House) -> None:
    assert [way for way, works in attacks(house, "anna").items() if not works] == ["-Y"]


def test_an_auditor_forwards_nothing_also_with_options_in_their_own_files(house: House) -> None:
    assert b"rackwright-auditors" in house.runs("ben", command="id -nG").stdout.split()
    assert not any(attacks(house, "ben").values())
    house.runs("ben", command=f"sed -i 's/^/{OWN}/' .ssh/authorized_keys && echo true >.ssh/rc")
    assert not any(attacks(house, "ben").values())
    assert house.runs("ben", command="head -c 8 .ssh/authorized_keys").stdout == b"restrict"


def test_sshd_forbids_an_auditor_every_kind_and_an_operator_none_that_it_allowed(house: House) -> None:
    for name, wanted in (("ben", FORBIDDEN), ("anna", {"allowtcpforwarding": "yes", "allowagentforwarding": "yes"})):
        told = house.host.tell(f"/usr/sbin/sshd -T -C user={name},host=x,addr=192.0.2.1")
        said = dict(line.split(" ", 1) for line in told.splitlines())
        assert {keyword: said[keyword] for keyword in wanted} == wanted
