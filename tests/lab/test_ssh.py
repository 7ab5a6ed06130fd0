"""remote.py with real sshd and sudo."""

from __future__ import annotations

import io
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.errors import HostError, HostKeyError
from rackwright.lab.hosts import Lab, LabFleet
from rackwright.remote import Connection, pin, scan
from rackwright.values.secrets import Secret
from rackwright.values.targets import Jump, Target
from tests.lab.sshd import RELOAD
from tests.waiting import wait_until

pytestmark = pytest.mark.lab
PASSWORD = "pa ss'w0rd"
SUDOERS = "/etc/sudoers.d/ops"


def target(fleet: LabFleet, host: str) -> Target:
    return Target(host, fleet.hosts[host], user=fleet.user, key=fleet.key, known_hosts=fleet.known_hosts)


@pytest.fixture
def gpu1(lab_fleet: LabFleet) -> Target:
    return target(lab_fleet, "gpu1")


@pytest.fixture
def link(gpu1: Target) -> Iterator[Connection]:
    connection = Connection(gpu1)
    yield connection
    connection.close()


@pytest.fixture
def spare(lab: Lab, lab_fleet: LabFleet) -> Iterator[Target]:
    """A host whose sudo asks for a password, until the test ends."""
    lab.exec("spare1", "chpasswd", input=f"{lab_fleet.user}:{PASSWORD}\n")
    before = lab.exec("spare1", f"cat {SUDOERS}").out
    lab.exec("spare1", f"cat >{SUDOERS}", input=before.replace("NOPASSWD:", ""))
    yield target(lab_fleet, "spare1")
    lab.exec("spare1", f"cat >{SUDOERS}", input=before)


def test_a_user_becomes_root_and_one_connection_serves_many_commands(link: Connection) -> None:
    done = link.run('id -un; printf %s "$SUDO_USER $LC_ALL"; cat', stdin=" täxt")
    assert done.stdout == "root\nops C.UTF-8 täxt"
    ports = {link.run("echo $SSH_CONNECTION", sudo=False).stdout for _ in range(3)}
    assert len(ports) == 1


def test_large_output_input_and_exit_by_signal_come_through(link: Connection) -> None:
    done = link.run("head -c 5000000 /dev/zero >&2; cat; exit 3", stdin=bytes(5_000_000))
    assert (len(done.stdout_bytes), len(done.stderr_bytes), done.exit_status) == (5_000_000, 5_000_000, 3)
    assert link.run("exit 4", stdin=bytes(5_000_000)).exit_status == 4


def test_a_timeout_leaves_the_connection_good(link: Connection) -> None:
    with pytest.raises(HostError, match=r"gpu1: a command didn't finish within 0\.5 s"):
        link.run("sleep 60", timeout=0.5)
    assert link.run("echo on").stdout == "on\n"


def test_a_full_disk_is_named_and_nothing_is_left(link: Connection) -> None:
    link.run("mkdir -p /mnt/small && mount -t tmpfs -o size=1m none /mnt/small").check("mounting")
    try:
        with pytest.raises(HostError, match="writing /mnt/small/file failed with exit status 1") as caught:
            link.put(bytes(5_000_000), "/mnt/small/file")
        assert "No space left on device" in str(caught.value)
        assert link.run("ls -A /mnt/small").stdout == ""
    finally:
        link.run("umount /mnt/small && rmdir /mnt/small").check("unmounting")


def test_an_upload_that_the_network_cuts_leaves_nothing(lab: Lab, link: Connection) -> None:
    class Cutting(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 3_000_000:
                lab.exec("gpu1", f"pkill -f 'sshd.*{link.target.user}'", check=False)
            return super().read(size)

    with pytest.raises(HostError, match="gpu1: the connection was lost"):
        link.put(Cutting(bytes(50_000_000)), "/root/upload")
    link.run('until [ -z "$(pgrep -x head)" ]; do sleep 0.1; done', timeout=20)
    assert link.run("ls /root; ls -A /root | grep rackwright").stdout == ""


def test_a_command_on_a_lost_connection_fails_and_the_next_one_reconnects(lab: Lab, link: Connection) -> None:
    link.run("true")
    cut = threading.Timer(0.5, lab.exec, ["gpu1", f"pkill -f 'sshd.*{link.target.user}'"], {"check": False})
    cut.start()
    with pytest.raises(HostError, match="gpu1: the connection was lost while a command ran"):
        link.run("sleep 60")
    cut.join()
    assert link.run("echo back").stdout == "back\n"


def test_sudo_with_a_password(lab: Lab, spare: Target) -> None:
    link = Connection(replace(spare, sudo_password=Secret(PASSWORD)))
    assert link.run("cat; id -u", stdin="payload\n").stdout == "payload\n0\n"
    assert link.run("cat").stdout == ""
    link.put(b"content", "/root/with-password")
    assert link.get("/root/with-password") == b"content"
    assert link.run("cat /proc/*/cmdline /proc/*/environ | tr '\\0' ' ' | grep -c 'w[0]rd'").stdout == "0\n"
    link.run("rm /root/with-password")
    link.close()


def test_a_wrong_sudo_password_and_a_missing_one_are_told_apart(spare: Target) -> None:
    with pytest.raises(HostError) as wrong:
        Connection(replace(spare, sudo_password=Secret("wrong"))).run("id")
    assert str(wrong.value) == (
        "spare1: sudo refused the password; "
        "sudo.password in the fleet file should refer to the password of the user ops"
    )
    with pytest.raises(HostError, match=r"spare1: sudo asks the user ops for a password; set sudo: \{password"):
        Connection(spare).run("id")


def test_an_unknown_host_key_is_refused_with_the_command_that_pins_it(gpu1: Target, tmp_path: Path) -> None:
    unpinned = replace(gpu1, known_hosts=tmp_path / "known_hosts")
    with pytest.raises(HostKeyError, match=r"gpu1: unknown host key SHA256:.*\n  next: rackwright trust gpu1"):
        Connection(unpinned).run("true")
    pin(tmp_path / "known_hosts", unpinned, scan(unpinned))
    assert Connection(unpinned).run("true").ok


def test_a_changed_host_key_is_refused_loudly(gpu1: Target, lab_fleet: LabFleet, tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    other = scan(target(lab_fleet, "gpu2"))
    pin(path, gpu1, other)
    with pytest.raises(HostKeyError) as caught:
        Connection(replace(gpu1, known_hosts=path)).run("true")
    assert str(caught.value).startswith(f"gpu1: THE HOST KEY CHANGED: the pinned key is {other.fingerprint}")
    assert scan(gpu1).fingerprint in str(caught.value)


def test_a_certificate_authority_line_is_refused_clearly(gpu1: Target, tmp_path: Path) -> None:
    key = scan(gpu1)
    (tmp_path / "known_hosts").write_text(f"@cert-authority * {key.type} {key.data}\n")
    with pytest.raises(HostKeyError, match="the @cert-authority line in known_hosts is ignored"):
        Connection(replace(gpu1, known_hosts=tmp_path / "known_hosts")).run("true")


@pytest.fixture
def only_certificates(lab: Lab, lab_fleet: LabFleet, tmp_path: Path) -> Iterator[Path]:
    """spare1 trusts a CA and has no authorized_keys. Yields the CA's key."""
    ca = tmp_path / "ca"
    generate(ca)
    home = f"/home/{lab_fleet.user}/.ssh"
    lab.exec("spare1", "cat >/etc/ssh/CA.pub", input=ca.with_suffix(".pub").read_text())
    lab.exec("spare1", "echo 'TrustedUserCAKeys /etc/ssh/CA.pub' >/etc/ssh/sshd_config.d/CA.conf")
    lab.exec("spare1", f"{RELOAD}mv {home}/authorized_keys {home}/away")
    yield ca
    lab.exec("spare1", f"mv {home}/away {home}/authorized_keys; rm /etc/ssh/sshd_config.d/CA.conf")
    lab.exec("spare1", RELOAD)


def generate(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def test_a_certificate_logs_in_where_its_key_alone_does_not(
    only_certificates: Path, lab_fleet: LabFleet, tmp_path: Path
) -> None:
    key = tmp_path / "operator"
    generate(key)
    signed = ["-s", str(only_certificates), "-I", "operator", "-n", lab_fleet.user, f"{key}.pub"]
    subprocess.run(["ssh-keygen", "-q", *signed], check=True)
    # A certificate next to its key is used without being named, as ssh does.
    certificate = Path(f"{key}-cert.pub").rename(tmp_path / "certificate.pub")
    spare = replace(target(lab_fleet, "spare1"), key=key)
    with pytest.raises(HostError, match="was refused"):
        Connection(spare).run("true")
    assert Connection(replace(spare, certificate=certificate)).run("id -un").stdout == "root\n"


def test_a_key_in_the_agent_logs_in(gpu1: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = tmp_path / "agent"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        wait_until(socket.exists)
        with pytest.raises(HostError, match="no SSH key to log in with"):
            Connection(replace(gpu1, key=None)).run("true")
        subprocess.run(["ssh-add", "-q", str(gpu1.key)], check=True)
        assert Connection(replace(gpu1, key=None)).run("id -un").stdout == "root\n"
    finally:
        agent.terminate()
        agent.wait()


def test_a_jump_host_leads_to_the_target(gpu1: Target, lab_fleet: LabFleet) -> None:
    jumped = replace(gpu1, jump=Jump(lab_fleet.hosts["gate1"], lab_fleet.user))
    link = Connection(jumped)
    assert link.run("echo $SSH_CONNECTION", sudo=False).stdout.split()[0] == lab_fleet.hosts["gate1"]
    assert scan(jumped) == scan(gpu1)
    link.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": 2222}, "gpu1: unreachable at .* port 2222: connection refused"),
        ({"address": "nosuch.invalid"}, "gpu1: the address nosuch.invalid can't be resolved"),
        ({"user": "nobody"}, "gpu1: the login of nobody with the key .* was refused"),
        ({"key": Path("/nowhere/key")}, "gpu1: the SSH key /nowhere/key can't be read"),
    ],
)
def test_a_host_that_cannot_be_logged_in_to_says_why(gpu1: Target, change: dict[str, object], message: str) -> None:
    with pytest.raises(HostError, match=message):
        Connection(replace(gpu1, **change)).run("true")  # type: ignore[arg-type]
