"""A replica's proof on real hosts, with a real model: what it accepts and what it rejects."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from rackwright.errors import ProofError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.load import load_fleet
from rackwright.lab.hosts import Lab
from rackwright.lifecycle.proof.golden_answers import kind_of
from rackwright.lifecycle.proof.procedure import prove
from rackwright.lifecycle.proof.through_gateways import through_gateways
from rackwright.lifecycle.proof.weights import whole_weights
from rackwright.lifecycle.session.replica_units import unit_of
from rackwright.lifecycle.session.session import Session, open_session
from rackwright.roles.replica.answer import By
from rackwright.state.golden import golden_path, read_golden
from rackwright.state.shell import FOLDER
from tests.lab.access import accesses
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/lifecycle/proof",
    "rackwright/state/golden.py",
    "roles/replica",
)
UNIT = "rackwright-assistant@1"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("proof", "gate1", "gpu1", "gpu2") as lab:
        yield lab


@pytest.fixture(scope="module")
def applied(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    made = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    made("apply", "--yes")
    return made


@pytest.fixture
def session(applied: Operator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, applied.environment[name])
    with open_session(load_fleet(applied.path)) as session:
        yield session


def weights(session: Session) -> str:
    unit = unit_of(session, session.fleet.replicas[0])
    return unit.command[unit.command.index("--model") + 1]


def restart(lab: Lab, host: str = "gpu1") -> None:
    lab.exec(host, f"systemctl daemon-reload; systemctl restart {UNIT}")


def proven(session: Session, *, number: int = 0) -> None:
    wait_until(lambda: prove(session, session.fleet.replicas[number]) is None)


def proven_through_gateways(session: Session, replica: Replica) -> None:
    """Wait for the proof: it says "not yet" until the gateways' next checks see that an engine is gone or back."""
    wait_until(lambda: through_gateways(session, replica) is None)


def all_serve(session: Session) -> None:
    for replica in session.fleet.replicas:
        proven_through_gateways(session, replica)
    wait_until(lambda: all(state.takes_requests for state in session.gateways.servers().values()))


def test_the_first_answer_is_recorded_and_the_next_engine_must_match_it(session: Session, lab: Lab) -> None:
    first, second = session.fleet.replicas
    said: list[str] = []
    lab.exec("gate1", "rm -r /var/lib/rackwright/golden")
    assert prove(session, first, say=said.append) is None
    assert said == ["no answer of its kind is recorded yet"]
    assert prove(session, first, run="run-1", say=said.append) is None
    assert re.fullmatch(r"its answer is the first of its kind, and recorded: '.*orange.*'", said[1])
    golden = read_golden(session.store, kind_of(session, first))
    assert golden is not None
    assert (golden.replica, golden.run, golden.answer.by) == (first.address, "run-1", By.TOKENS)
    assert len(golden.answer.tokens) == 16
    assert lab.exec("gate1", f"stat -c '%a %U' {FOLDER}/{golden_path(golden.kind)}").out.split() == ["644", "root"]
    for replica in (first, second):
        assert prove(session, replica, run="run-2", say=said.append) is None
    assert len(said) == 2
    assert read_golden(session.store, golden.kind) == golden


def test_an_engine_that_starts_is_not_proven_yet_and_not_refused(session: Session, lab: Lab) -> None:
    lab.exec("gpu1", f"systemctl stop {UNIT}")
    assert prove(session, session.fleet.replicas[0]) == "its unit is inactive"
    lab.exec("gpu1", f"systemctl start {UNIT}")
    proven(session)


def test_an_undrained_replica_answers_through_the_gateway(session: Session) -> None:
    all_serve(session)


def test_a_drained_replica_answers_its_proof_and_one_that_is_down_does_not(session: Session, lab: Lab) -> None:
    first = session.fleet.replicas[0]
    proven_through_gateways(session, first)
    session.gateways.drain(first.address, who="tests", reason="try")
    try:
        assert through_gateways(session, first) is None
        lab.exec("gpu1", f"systemctl stop {UNIT}")
        wait_until(lambda: not session.gateways.servers()[first.address].up)
        assert through_gateways(session, first) == "it isn't up at the gateways"
        lab.exec("gpu1", f"systemctl start {UNIT}")
        proven_through_gateways(session, first)
    finally:
        session.gateways.undrain(first.address)
    log = accesses(lab, ("gate1",), "proof").values()
    assert {line.replica for line in log} == {replica.address for replica in session.fleet.replicas}


def test_a_flipped_bit_and_a_file_too_many_are_found_in_the_stored_weights(session: Session, lab: Lab) -> None:
    replica, path = session.fleet.replicas[1], weights(session)
    assert whole_weights(session, replica) is None
    flip = (
        f"python3 -c \"f = open('{path}', 'r+b'); f.seek(70000000); b = f.read(1)[0]; f.seek(70000000); "
        'f.write(bytes([b ^ 1]))"'
    )
    lab.exec("gpu2", flip)
    extra = path.rpartition("/")[0] + "/generation_config.json"
    lab.exec("gpu2", f"touch {extra}")
    assert whole_weights(session, replica) == f"gpu2: {path} isn't what the lock says; {extra} isn't in the lock"
    lab.exec("gpu2", f"{flip}; rm {extra}")
    assert whole_weights(session, replica) is None


def test_other_weights_under_the_same_name_are_refused_by_the_process(session: Session, lab: Lab) -> None:
    path, drop_in = weights(session), f"/etc/systemd/system/{UNIT}.service.d/own.conf"
    other = path.rpartition("/")[0] + "/other.gguf"
    lab.exec("gpu1", f"cp {path} {other}; mkdir -p {drop_in.rpartition('/')[0]}")
    own = "sed -n '/^ExecStart=/,/[^\\\\]$/p' /etc/systemd/system/" + UNIT + ".service"
    lab.exec("gpu1", f"{{ echo '[Service]'; echo ExecStart=; {own} | sed 's|{path}|{other}|'; }} >{drop_in}")
    restart(lab)
    with pytest.raises(ProofError) as refused:
        wait_until(lambda: prove(session, session.fleet.replicas[0]) is None)
    lab.exec("gpu1", f"rm -f {drop_in} {other}")
    restart(lab)
    proven(session)
    assert f"gpu1/assistant@1: it runs {other} instead of {path}" in str(refused.value)


def test_another_unit_is_not_proven_and_is_waited_for(session: Session, lab: Lab) -> None:
    unit = f"/etc/systemd/system/{UNIT}.service"
    lab.exec("gpu1", f"cp {unit} /root/unit; sed -i 's/LimitCORE=0/LimitCORE=1/' {unit}")
    restart(lab)
    wanted = "it was started from another unit file than the fleet file and the lock ask for"
    wait_until(lambda: prove(session, session.fleet.replicas[0]) == wanted)
    lab.exec("gpu1", f"cp /root/unit {unit}")
    restart(lab)
    proven(session)


def test_weights_that_went_bad_under_their_name_are_refused_by_the_answer(session: Session, lab: Lab) -> None:
    path = weights(session)
    lab.exec("gpu1", f"cp {path} /root/weights; dd if=/dev/urandom of={path} bs=1M seek=40 count=8 conv=notrunc")
    restart(lab)
    with pytest.raises(ProofError) as refused:
        wait_until(lambda: prove(session, session.fleet.replicas[0]) is None)
    lab.exec("gpu1", f"dd if=/root/weights of={path} conv=notrunc")
    restart(lab)
    proven(session)
    assert re.search(r"answers '.*', but '.*orange.*' is recorded \(.*, gpu[12]/assistant@1\); ", str(refused.value))
    assert "differs from token" in str(refused.value)


def test_verify_says_that_replicas_run_what_the_lock_says(applied: Operator, session: Session) -> None:
    all_serve(session)
    said = applied("verify", "--json").json
    what = "assistant@1 runs what the lock says and answers as recorded"
    found = {proof["host"]: proof["found"] for proof in said["proofs"] if proof["what"] == what}
    assert found == {"gpu1": "proven", "gpu2": "proven"}
    assert said["failed"] == 0
