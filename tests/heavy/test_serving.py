"""A real model behind a real unit and probe on a lab host: what the engine may do, and what the probe sees."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from shlex import quote

import pytest

from rackwright.lab import artefacts
from rackwright.launch import Engine, Task
from rackwright.roles.layout.settings import Settings as Layout
from rackwright.roles.llama_cpp.settings import Settings as LlamaCpp
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.roles.probe.settings import Settings as Probe
from rackwright.roles.replica.answer import parse_answer
from rackwright.roles.replica.proof import ask_command
from rackwright.roles.replica.question import question
from rackwright.roles.replica.settings import Settings as Replica
from rackwright.roles.replica.state import COMMAND, ReplicaState, parse
from rackwright.route import Route
from rackwright.run import Outcome
from rackwright.values.file import File
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/launch.py",
    "roles/llama_cpp",
    "roles/model_store",
    "roles/probe",
    "roles/replica",
)

NAME = "assistant@1"
ASKED = question(Task.GENERATE, "assistant")
PORT = 18100
RUNTIME = LlamaCpp(kind="llama_cpp", version=artefacts.RELEASE, parallel=2)
DEADLINE = 5
"""Seconds, half of the value on a fleet's hosts: longer than any probe run that computes takes here."""


def _file(path: str, artefact: artefacts.Artefact) -> File:
    size = artefact.path.stat().st_size
    return File(path=path, size=size, sha256=artefact.sha256, url=f"file://{artefact.path}")


def _digest(file: File) -> str:
    return hashlib.sha256(f"{file.sha256} {file.size} {file.path}\n".encode()).hexdigest()


class Serving:
    """One host with one replica, and its settings."""

    def __init__(self, host: LabHost) -> None:
        found = artefacts.ensure(lambda _: None)
        self.host = host
        self.archive = _file(found.runtime.path.name, found.runtime)
        self.weights = _file("model.gguf", found.model)
        self.model = StoredModel(name="assistant", digest=_digest(self.weights), files=(self.weights,))
        self.store = ModelStore(models=(self.model,))
        self.replica = self._replica()
        self.probe = Probe(
            replica=NAME,
            unit=self.replica.unit,
            socket=self.replica.socket,
            served_name="assistant",
            counter=RUNTIME.counter,
            busy=RUNTIME.busy,
            agent_port=PORT,
            deadline_seconds=DEADLINE,
        )

    def _replica(self) -> Replica:
        folder = self.store.folder(self.model)
        bare = Replica(
            name=NAME,
            model="assistant",
            user="rw-assistant",
            command=(),
            readable=(folder,),
            mount=self.store.root,
            stop_seconds=30,
        )
        engine = Engine(
            model=f"{folder}/model.gguf",
            socket=bare.socket,
            name="assistant",
            context=1024,
            gpus=0,
            stop_seconds=bare.stop_seconds,
        )
        return bare.launched(RUNTIME.launch(engine))

    def deploy(self) -> None:
        from rackwright.roles.layout.role import layout
        from rackwright.roles.llama_cpp.role import llama_cpp
        from rackwright.roles.model_store.role import model_store
        from rackwright.roles.probe.role import probe
        from rackwright.roles.replica.role import replica

        layout(settings=Layout(fleet="lab", host=self.host.name, serves=True))
        llama_cpp(settings=RUNTIME, files=(self.archive,), route=Route())
        model_store(settings=self.store, route=Route())
        replica(settings=self.replica)
        probe(settings=self.probe)

    def state(self) -> ReplicaState:
        (state,) = parse(self.host.lab.exec(self.host.name, COMMAND).out)
        return state

    def agent(self) -> str:
        return self.host.tell(f"curl -s --max-time 5 telnet://127.0.0.1:{PORT} </dev/null || true")

    def until(self, wanted: str, seconds: float = 120) -> ReplicaState:
        """Wait for this state of the probe, and return it."""
        wait_until(lambda: self.state().probe == wanted, seconds)
        return self.state()


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with fresh_lab("serving", "gpu1") as lab:
        serving = Serving(LabHost(lab, lab.fleet(), "gpu1"))
        serving.host.applied(serving.deploy)
        yield serving


@pytest.fixture
def ready(serving: Serving) -> Serving:
    serving.until("ready")
    return serving


def test_an_apply_brings_an_engine_that_answers_and_the_next_changes_nothing(ready: Serving) -> None:
    answer = ready.host.tell(ask_command(ready.replica, ASKED))
    assert parse_answer(answer), answer
    assert parse_answer(ready.host.tell(ask_command(ready.replica, question(Task.GENERATE, "other"))))
    assert ready.agent() == "up"
    assert ready.state().runs(ready.state().wanted)
    assert ready.host.plan(ready.deploy).changes == 0
    assert ready.host.applied(ready.deploy).changes == 0


def test_the_weights_and_the_runtime_are_read_only_and_nothing_is_left_of_their_way(ready: Serving) -> None:
    folder = ready.store.folder(ready.model)
    found = ready.host.tell(f"stat -c '%a %U' {folder} {folder}/model.gguf {RUNTIME.folder}/llama-server")
    assert found.splitlines() == ["555 root", "444 root", "555 root"]
    assert ready.host.tell("ls /srv/models/.incoming /opt/rackwright/runtimes/.incoming | grep -v :$ || true") == ""
    assert not ready.host.holds("ls -d /srv/models/*/*.partial /opt/rackwright/runtimes/*.partial*")


def test_a_login_user_reads_no_weights_and_an_older_store_is_closed_while_the_engine_serves(ready: Serving) -> None:
    host, file = ready.host, f"{ready.store.folder(ready.model)}/model.gguf"
    as_user = f"setpriv --reuid={host.fleet.user} --regid={host.fleet.user} --init-groups head -c 4"
    assert not host.holds(f"{as_user} {file}")
    before = host.tell(f"chmod 0755 /srv/models/assistant; stat -c '%i %Y' {file}")
    assert host.tell(f"{as_user} {file}") == "GGUF"
    pid = host.tell(f"systemctl show -P MainPID {ready.replica.unit}")
    (step,) = [step for step in host.applied(ready.deploy).steps if step.outcome is Outcome.CHANGED]
    assert "/srv/models/assistant: only root may enter" in (step.diff or "")
    assert not host.holds(f"{as_user} {file}")
    assert host.tell(f"stat -c '%i %Y' {file}") == before
    assert host.tell(f"systemctl show -P MainPID {ready.replica.unit}") == pid
    host.tell(f"systemctl restart {ready.replica.unit}")
    wait_until(lambda: bool(parse_answer(host.tell(f"{ask_command(ready.replica, ASKED)} || true"))), 120)


def test_the_sandbox_is_tight_by_systemds_own_measure(ready: Serving) -> None:
    measured = ready.host.tell(f"systemd-analyze security --no-pager {ready.replica.unit} | tail -n 1")
    assert float(measured.split("level for")[1].split(":")[1].split()[0]) <= 2.0, measured


def test_a_probe_inside_the_engines_sandbox_opens_no_connection(ready: Serving) -> None:
    pid = ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}")
    inside = f"nsenter -t {pid} -n -m"
    assert ready.host.tell(f"{inside} ip -o link | cut -d: -f2").split() == ["lo"]
    assert ready.host.holds(f"bash -c '</dev/tcp/{ready.host.address}/22'")
    assert not ready.host.holds(f"{inside} bash -c '</dev/tcp/{ready.host.address}/22'")
    assert not ready.host.holds(f"{inside} bash -c '</dev/tcp/127.0.0.1/{PORT}'")
    assert ready.host.tell(f"{inside} find /run -type s") == ready.replica.socket
    assert ready.host.tell(f"{inside} ls /opt/rackwright/runtimes /srv/models/assistant | grep -v :$").split() == [
        f"llama_cpp-{RUNTIME.version}",
        ready.model.digest[:16],
    ]


def test_only_the_group_of_the_host_proxy_reaches_the_socket(ready: Serving) -> None:
    ask = f"curl -s -o /dev/null --unix-socket {ready.replica.socket} http://e/health"
    assert not ready.host.holds(f"setpriv --reuid=nobody --regid=nogroup --clear-groups {ask}")
    assert ready.host.holds(f"setpriv --reuid=nobody --regid=rackwright --clear-groups {ask}")


def test_the_log_has_no_prompt(ready: Serving) -> None:
    ready.host.tell(ask_command(ready.replica, ASKED))
    assert "rainbow" not in ready.host.tell(f"journalctl -o cat -u {ready.replica.unit}")


def test_a_changed_unit_never_restarts_a_running_engine_but_shows_as_outdated(ready: Serving) -> None:
    before = ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}")
    kept = ready.replica
    ready.replica = kept.model_copy(update={"stop_seconds": 31})
    ready.host.applied(ready.deploy)
    assert not ready.state().runs(ready.state().wanted)
    assert ready.host.tell(f"systemctl show -P MainPID {kept.unit}") == before
    ready.replica = kept
    ready.host.applied(ready.deploy)
    assert ready.state().runs(ready.state().wanted)


def test_an_engine_with_full_slots_and_a_queue_stays_up(ready: Serving) -> None:
    ask = (
        f"curl -s -o /dev/null --max-time 300 --unix-socket {ready.replica.socket} http://e/v1/completions "
        """-d '{"prompt":"Once","max_tokens":120,"ignore_eos":true}'"""
    )
    pid = ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}")
    asks = [f"ask-{number}" for number in range(40)]
    run = f'systemd-run --quiet --collect --unit="$unit" -p SupplementaryGroups=rackwright {ask}'
    ready.host.tell(f"for unit in {' '.join(asks)}; do {run}; done")
    ready.until("busy")
    # More work than any of our machines does in this time: forty requests for two slots.
    end = time.monotonic() + 2 * ready.probe.deadline_seconds
    while (state := ready.state()).probe == "busy" and time.monotonic() < end:
        assert ready.agent() == "up"
    assert state.probe == "busy", "hung, or the work ended before two deadlines"
    assert ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}") == pid
    ready.host.tell(f"systemctl stop {' '.join(asks)} 2>/dev/null || true")
    ready.until("ready")
    assert not ready.host.holds("ls /var/lib/rackwright/evidence/*")


def test_an_engine_that_loads_for_longer_than_any_deadline_is_loading_and_left_alone(ready: Serving) -> None:
    # It is stopped most of the time, as on a machine that is far too slow. Between two engines, the process id is 0.
    slow = f"""while pid=$(systemctl show -P MainPID {ready.replica.unit}); do
[ $pid -gt 0 ] || continue; kill -STOP $pid; sleep 2; kill -CONT $pid; sleep 0.02; done"""
    # The loop must wait for the engine's start: this model loads within two seconds.
    ready.host.tell(f"systemctl stop {ready.replica.unit}")
    ready.host.tell(f"systemd-run --quiet --collect --unit=slow sh -c {quote(slow)}")
    try:
        ready.host.tell(f"systemctl start {ready.replica.unit}")
        pid = ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}")
        # A probe run that started earlier may wait for a stopped engine until its deadline.
        state = ready.until("loading")
        end = time.monotonic() + 1.5 * ready.probe.deadline_seconds
        while state.probe == "loading" and time.monotonic() < end:
            state = ready.state()
            assert ready.agent() == "down"
        assert state.probe == "loading", state
    finally:
        ready.host.tell("systemctl stop slow")
    ready.host.tell(f"kill -CONT {pid}")
    ready.until("ready")
    assert ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}") == pid
    assert not ready.host.holds("ls /var/lib/rackwright/evidence/*")


def test_a_hung_engine_is_taken_out_killed_once_with_evidence_and_returns(ready: Serving) -> None:
    pid = ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}")
    ready.host.tell(f"kill -STOP {pid}")
    # One deadline, or three on an overloaded host; the probe run that finds it takes half as long again.
    wait_until(lambda: ready.agent() == "down", 45)
    ready.until("ready")
    assert ready.agent() == "up"
    assert ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}") != pid
    assert ready.state().restarts == 1
    (folder,) = ready.host.tell("ls /var/lib/rackwright/evidence").splitlines()
    assert "State:\tT" in ready.host.tell(f"cat /var/lib/rackwright/evidence/{folder}/threads")
    assert ready.host.tell(f"ls /var/lib/rackwright/evidence/{folder}").split() == [
        *("journal", "metrics", "state", "threads", "unit")
    ]


def test_a_killed_engine_comes_back_past_its_stale_socket(ready: Serving) -> None:
    pid = ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}")
    ready.host.tell(f"kill -KILL {pid}")
    wait_until(lambda: ready.host.tell(f"systemctl show -P MainPID {ready.replica.unit}") not in ("0", pid))
    ready.until("ready")


def test_an_engine_that_ends_again_and_again_is_faulted_until_it_is_ready(ready: Serving) -> None:
    drop_in = f"/run/systemd/system/{ready.replica.unit}.d/broken.conf"
    text = "[Service]\\nExecStart=\\nExecStart=/bin/false\\n"
    ready.host.tell(f"mkdir -p $(dirname {drop_in}) && printf '{text}' >{drop_in} && systemctl daemon-reload")
    ready.host.tell(f"systemctl restart {ready.replica.unit}")
    faulted = ready.until("faulted")
    assert re.fullmatch(r"it ended \d+ times before it was ready; exit-code, status 1", faulted.why or "")
    assert ready.agent() == "down"
    assert faulted.active == "activating"
    ready.host.tell(f"rm {drop_in} && systemctl daemon-reload && systemctl restart {ready.replica.unit}")
    ready.until("ready")


def test_a_stopped_engine_is_down_and_stays_so_until_an_apply(ready: Serving) -> None:
    ready.host.tell(f"systemctl stop {ready.replica.unit}")
    ready.until("stopped")
    wait_until(lambda: ready.agent() == "down")
    ready.host.applied(ready.deploy)
    ready.until("ready")


def test_a_state_that_is_not_renewed_counts_as_down(ready: Serving) -> None:
    older = f"sed -i s/^looked=.*/looked=-3600/ /run/rackwright-state/{NAME}"
    ready.host.tell(f"systemctl stop {ready.probe.timer} {ready.probe.service} && {older}")
    assert ready.agent() == "down"
    ready.host.applied(ready.deploy)
    wait_until(lambda: ready.agent() == "up")
