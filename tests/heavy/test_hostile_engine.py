"""An engine in the hands of an attacker, behind its real unit, probe and host proxy: what it can do to others."""

from __future__ import annotations

from collections.abc import Iterator
from errno import ENOENT, EPERM
from ipaddress import ip_address
from pathlib import Path
from shlex import quote

import pytest

from rackwright.fleet.ca import CertificateAuthority
from rackwright.lifecycle.p2p.unit import PROPERTIES as P2P
from rackwright.roles.certificate.settings import Settings as Certificate
from rackwright.roles.host_proxy.settings import KEY_HEADER, Proxied
from rackwright.roles.host_proxy.settings import Settings as HostProxy
from rackwright.roles.layout.settings import Settings as Layout
from rackwright.roles.probe.scripts import MOST_ENDED
from rackwright.roles.probe.settings import Settings as Probe
from rackwright.roles.replica.proof import parse as parse_proof
from rackwright.roles.replica.proof import proof_command
from rackwright.roles.replica.settings import Settings as Replica
from rackwright.roles.replica.state import COMMAND, ReplicaState, parse
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "roles/host_proxy",
    "roles/probe",
    "roles/replica",
)

PROGRAM = "/usr/local/lib/hostile_program.py"
NAMES = ("good@1", "evil@1")
SOCKETS = {name: f"/run/rackwright/{name}/engine.sock" for name in NAMES}
STATES = "/run/rackwright-state"
IO_URING = 'my $p = "\\0" x 120; syscall(425, 8, $p); print $! + 0'
"""Perl: its only way to a call that no library offers. 425 is io_uring_setup; prints the error's number."""
MOST = 8 * 2**20
"""Bytes: far more than a look keeps, far less than an engine can send in its time."""


def replica_of(name: str) -> Replica:
    model = name.partition("@")[0]
    return Replica(
        name=name,
        model=model,
        user=f"rw-{model}",
        command=("/usr/bin/python3", PROGRAM, SOCKETS[name], model, SOCKETS["good@1"], IO_URING),
        readable=("/usr/local/lib",),
        mount="/srv/models",
        stop_seconds=5,
    )


def probe_of(name: str) -> Probe:
    return Probe(
        replica=name,
        unit=replica_of(name).unit,
        socket=SOCKETS[name],
        served_name=name.partition("@")[0],
        counter="llamacpp:n_decode_total",
        busy=("llamacpp:requests_processing",),
        agent_port=18100 + NAMES.index(name),
        deadline_seconds=5,
        idle_seconds=0,
    )


class Attacked:
    """One host with two engines: one of them is hostile."""

    def __init__(self, host: LabHost, ca: CertificateAuthority) -> None:
        self.host, self.ca = host, ca

    def deploy(self) -> None:
        from rackwright.roles.certificate.role import certificate
        from rackwright.roles.host_proxy.role import host_proxy
        from rackwright.roles.layout.role import layout
        from rackwright.roles.probe.role import probe
        from rackwright.roles.replica.role import replica

        name, address = self.host.name, ip_address(self.host.address)
        layout(settings=Layout(fleet="lab", host=name, serves=True))
        for settings in (
            Certificate(name="gateway-client", names=("gate1",), client=True),
            Certificate(name="host-proxy", names=(name, str(address))),
        ):
            certificate(settings=settings, issuer=self.ca)
        for one in NAMES:
            replica(settings=replica_of(one))
        proxied = tuple(
            Proxied(replica=one, port=8100 + at, socket=SOCKETS[one], agent_port=18100 + at, slots=4)
            for at, one in enumerate(NAMES)
        )
        host_proxy(
            settings=HostProxy(address=address, certificate="host-proxy", gateways=("gate1",), replicas=proxied)
        )
        for one in NAMES:
            probe(settings=probe_of(one))

    def ask(self, name: str, key: str = "ben", path: str = "/v1/completions") -> str:
        """Return status and body of the replica's answer to a gateway that asks for this key."""
        folder, port = "/etc/rackwright/certificates", 8100 + NAMES.index(name)
        body = "" if path.startswith("/attack/") else "-d '{}'"
        return self.host.tell(
            "umask 077; systemd-creds decrypt --name=gateway-client.key "
            f"{folder}/gateway-client.key.cred /root/client.key 2>/dev/null; "
            f"curl -s -m 20 -w ' %{{http_code}}' --cacert {folder}/host-proxy.ca.crt --key /root/client.key "
            f"--cert {folder}/gateway-client.crt -H {KEY_HEADER}:{key} {body} "
            f"https://{self.host.address}:{port}{path} || true"
        )

    def attack(self, kind: str) -> str:
        return self.host.tell(f"curl -sS -m 20 --unix-socket {SOCKETS['evil@1']} http://e/attack/{kind}")

    def states(self) -> dict[str, ReplicaState]:
        return {state.replica: state for state in parse(self.host.tell(f"timeout 30 sh -c {quote(COMMAND)}"))}

    def restart(self) -> None:
        """Give the hostile engine another chance."""
        self.host.tell(f"systemctl stop {replica_of('evil@1').unit}")
        # An engine that answers before the host proxy hears of its stop is taken out a moment later.
        wait_until(lambda: self.states()["evil@1"].probe not in ("ready", "busy"), 60)
        self.host.tell(f"systemctl start {replica_of('evil@1').unit}")
        wait_until(lambda: all(state.probe == "ready" for state in self.states().values()), 120)
        wait_until(lambda: all(self.ask(name).endswith(" 200") for name in NAMES), 120)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("ca")
    ca = CertificateAuthority("lab", folder / "ca.crt", folder)
    with fresh_lab("hostile", "gpu1") as lab:
        host = Attacked(LabHost(lab, lab.fleet(), "gpu1"), ca)
        program = (Path(__file__).parent / "hostile_program.py").read_text()
        lab.exec("gpu1", f"mkdir -p /srv/models && cat >{PROGRAM} && chmod 644 {PROGRAM}", input=program)
        host.host.applied(host.deploy)
        yield host


@pytest.fixture
def attacked(host: Attacked) -> Attacked:
    host.restart()
    return host


def test_both_engines_answer_and_a_second_apply_changes_nothing(attacked: Attacked) -> None:
    assert {name: attacked.ask(name) for name in NAMES} == {
        "good@1": '{"choices": [{"text": "good"}]} 200',
        "evil@1": '{"choices": [{"text": "evil"}]} 200',
    }
    assert attacked.host.applied(attacked.deploy).changes == 0


def test_io_uring_is_refused_inside(attacked: Attacked) -> None:
    assert attacked.attack("io_uring") == str(EPERM)


def test_io_uring_is_refused_in_a_transient_unit_too(attacked: Attacked) -> None:
    filters = " ".join(f"-p {quote(one)}" for one in P2P if one.startswith("SystemCall"))
    program = f"/usr/bin/perl -e {quote(IO_URING)}"
    assert attacked.host.tell(f"systemd-run -q --wait --pipe --collect {filters} {program}") == str(EPERM)


def test_an_engine_that_links_its_socket_to_another_models_is_not_answered_for(attacked: Attacked) -> None:
    assert attacked.attack("link") == "done"
    said = attacked.ask("evil@1")
    assert "good" not in said
    assert said.endswith(" 503")
    # The probe doesn't follow the link either.
    wait_until(lambda: attacked.states()["evil@1"].probe not in ("ready", "busy"), 60)
    assert attacked.ask("good@1").endswith(" 200")


def test_an_engine_sees_no_other_engines_socket_to_link_to(attacked: Attacked) -> None:
    assert attacked.attack("hard-link") == str(ENOENT)


def test_what_the_host_recorded_at_the_start_is_out_of_an_engines_reach(attacked: Attacked) -> None:
    before = attacked.states()["evil@1"]
    assert before.runs(before.wanted)
    assert attacked.attack("plant") == "done"
    after = attacked.states()["evil@1"]
    assert after.started == before.started
    look = proof_command(replica_of("evil@1"), (), None)
    seen = attacked.host.tell(f"timeout 30 sh -c {quote(look)}")
    assert parse_proof(seen).started == before.started
    assert attacked.host.applied(attacked.deploy).changes == 0


def test_nothing_of_the_record_is_left_of_a_stopped_engine(attacked: Attacked) -> None:
    unit = replica_of("evil@1").unit
    attacked.host.tell(f"systemctl stop {unit}")
    assert attacked.states()["evil@1"].started is None
    attacked.host.tell(f"systemctl start {unit}")


def test_an_answer_without_an_end_fills_nothing_and_takes_the_engine_out(attacked: Attacked) -> None:
    assert attacked.attack("never-end") == "done"
    wait_until(lambda: attacked.states()["evil@1"].probe not in ("ready", "busy"), 90)
    largest = attacked.host.tell(f"find {STATES} -type f -printf '%s\\n' | sort -n | tail -n 1")
    assert int(largest) < MOST
    assert attacked.states()["good@1"].probe == "ready"


def test_a_key_whose_requests_end_an_engine_is_paused_there_and_no_other_key(attacked: Attacked) -> None:
    for _ in range(MOST_ENDED):
        # Until the host proxy hears that the engine is back, it answers 503 itself.
        wait_until(lambda: attacked.ask("evil@1", "mallory", "/attack/crash").endswith(" 502"), 120)
    wait_until(lambda: attacked.ask("evil@1").endswith(" 200"), 120)
    refused = attacked.ask("evil@1", "mallory")
    assert "key_paused" in refused
    assert refused.endswith(" 503")
    assert attacked.ask("good@1", "mallory").endswith(" 200")
    states = attacked.states()
    assert [(one.key, one.times) for one in states["evil@1"].paused] == [("mallory", MOST_ENDED)]
    assert states["good@1"].paused == ()
