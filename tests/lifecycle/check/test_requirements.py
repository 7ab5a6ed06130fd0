from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rackwright.fleet.hosts.host_spec import HostSpec, InstalledTool
from rackwright.fleet.sections.baseline import Baseline
from rackwright.lifecycle.check.requirements import judge, parse, script
from rackwright.lifecycle.check.result import Asked, State
from rackwright.roles.backup.settings import Settings as Backup
from rackwright.roles.downloads.settings import Settings as Downloads
from rackwright.roles.etcd.settings import Settings as Etcd
from rackwright.roles.firewall.settings import Settings as Firewall
from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.layout.settings import Settings as Layout
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.roles.tool.settings import Settings as Tool
from rackwright.route import Route
from rackwright.values.file import File
from tests.hardware.outputs import FOLDER, hardware
from tests.roles.serving import REPLICA

GATEWAY = Gateway(
    name="gate1",
    domain="llm.lab.internal",
    address="10.0.0.1",
    certificate="gateway",
    client_certificate="gateway-client",
    models=(),
    keys=(),
)
WEIGHTS = File(path="model.gguf", size=4 * 10**9, sha256="a" * 64, url="https://hub.lab/model.gguf")
STORE = ModelStore(models=(StoredModel(name="assistant", digest="b" * 64, files=(WEIGHTS,)),))
HOST = HostSpec(
    name="gpu1",
    layout=Layout(fleet="acme", host="gpu1", serves=True),
    firewall=Firewall(openings=()),
    baseline=Baseline(),
    certificates=(),
    model_store=STORE,
    runtimes=(),
    replicas=(),
    probes=(),
    host_proxy=None,
    gateway=None,
)
GOOD = "time 1000.0\nos debian 13\nmemory 64000000000\ndisk 900000000000\nsystemd yes\n"


def found(output: str, model: HostSpec = HOST) -> dict[str, tuple[State, str]]:
    conditions = judge(model, parse(output), controller_time=1000.0)
    return {condition.what: (condition.state, condition.found) for condition in conditions}


def test_a_good_host_has_no_warning():
    assert {state for state, _ in found(GOOD).values()} == {State.OK}


@pytest.mark.parametrize(
    ("line", "instead", "what", "state", "says"),
    [
        (
            "os debian 13",
            "os debian 12",
            "system",
            State.FAILED,
            "debian 12; gateways and control hosts run Debian 13",
        ),
        ("os debian 13", "os ubuntu 24.04", "system", State.WARNING, "Ubuntu 24.04: should work, but untested"),
        ("systemd yes", "", "system", State.FAILED, "without systemd"),
        ("time 1000.0", "time 1030.0", "clock", State.WARNING, "30 s"),
        ("time 1000.0", "time 2000.0", "clock", State.FAILED, "1000 s"),
        ("disk 900000000000", "disk 1000", "disk", State.FAILED, "0.0 GB free at /srv/models, 10.0 GB needed"),
        ("disk 900000000000", "disk 7000000000", "disk", State.WARNING, "could not keep the previous version"),
        ("memory 64000000000", "memory 0", "memory", State.FAILED, "0.0 GB"),
    ],
)
def test_a_bad_host_is_named_with_what_was_found(line, instead, what, state, says):
    got, text = found(GOOD.replace(line, instead))[what]
    assert got is state
    assert says in text


@pytest.mark.parametrize(
    ("end", "state", "says"),
    [
        ("notAfter=1971-01-01 00:00:00Z", State.OK, "certificates: gateway 364 days"),
        (
            "notAfter=1970-01-30 00:00:00Z",
            State.WARNING,
            "certificate gateway ends on 1970-01-30 00:00 UTC, in 28 days",
        ),
        ("", State.WARNING, "certificate gateway can't be read"),
    ],
)
def test_certificates_are_told_with_what_is_left_of_them(end, state, says):
    assert found(f"{GOOD}certificate gateway.crt {end}\n")["lasts"] == (state, says)


def test_a_control_host_on_ubuntu_is_refused():
    (system, *_) = judge(HOST, parse(GOOD.replace("debian 13", "ubuntu 24.04")), 1000.0, controls=True)
    assert (system.what, system.state) == ("system", State.FAILED)


def test_a_host_with_the_tool_on_ubuntu_is_refused():
    """It need not be a control host yet."""
    model = replace(HOST, tool=InstalledTool(Tool(version="0.1.0+1a2b3c4d"), (), "d" * 64))
    assert found(GOOD.replace("debian 13", "ubuntu 24.04"), model)["system"][0] is State.FAILED


def test_a_gateway_on_ubuntu_is_refused():
    model = replace(HOST, gateway=GATEWAY)
    assert found(GOOD.replace("debian 13", "ubuntu 24.04"), model)["system"][0] is State.FAILED


def test_a_port_that_another_process_holds_is_named_with_it():
    line = 'listen 0.0.0.0:443 users:(("nginx",pid=7,fd=6))\n'
    state, text = found(GOOD + line, replace(HOST, gateway=GATEWAY))["ports"]
    assert state is State.FAILED
    assert "443 by" in text
    assert "nginx" in text


def test_our_own_proxy_may_hold_the_port():
    line = 'listen 0.0.0.0:443 users:(("haproxy",pid=7,fd=6))\n'
    assert found(GOOD + line, replace(HOST, gateway=GATEWAY))["ports"][0] is State.OK


ETCD = Etcd(host="gpu1", address="10.0.0.11", control="etcd.acme.rackwright.internal")
ETCD_LISTENS = 'listen 127.0.0.1:2379 users:(("etcd",pid=7,fd=6))\n'


def test_the_ports_of_etcd_are_needed_on_control_hosts():
    spec = replace(HOST, etcd=ETCD)
    assert "echo etcd $(systemctl show -p ActiveState --value -- rackwright-etcd.service" in script(spec)
    assert found(GOOD, spec)["ports"] == (State.OK, "2379, 2380")
    line = 'listen 10.0.0.11:2380 users:(("nginx",pid=7,fd=6))\n'
    assert found(GOOD + line, spec)["ports"][0] is State.FAILED
    assert found(GOOD + line, HOST)["ports"][0] is State.OK


@pytest.mark.parametrize(
    ("active", "state"), [("active", State.OK), ("activating", State.OK), ("inactive", State.FAILED)]
)
def test_only_our_own_etcd_may_hold_them(active, state):
    spec = replace(HOST, etcd=ETCD)
    assert found(f"{GOOD}{ETCD_LISTENS}etcd {active}\n", spec)["ports"][0] is state


def test_weights_that_are_stored_already_need_no_room():
    assert found(GOOD.replace("disk 900000000000", "disk 7000000000") + "stored " + "b" * 64)["disk"][0] is State.OK


def test_a_models_adapter_needs_memory_beside_it_not_in_its_place():
    adapter = StoredModel(
        name="assistant",
        digest="c" * 64,
        files=(WEIGHTS.model_copy(update={"path": "a.safetensors", "size": 10**9}),),
    )
    store = STORE.model_copy(update={"models": (*STORE.models, adapter)})
    state, said = found(GOOD, replace(HOST, model_store=store, replicas=(REPLICA, REPLICA)))["memory"]
    assert (state, said) == (State.OK, "64.0 GB, 10.0 GB of weights on the CPU")


def test_a_mirror_that_does_not_answer_is_named():
    state, text = reached(Asked("https://hub.lab/", "downloads.hub"), "curl: (6) could not resolve 000")
    assert state is State.FAILED
    assert text == "https://hub.lab/: curl: (6) could not resolve 000"


def reached(asked: Asked, answer: str) -> tuple[State, str]:
    (*_, condition) = judge(HOST, parse(f"{GOOD}url 0 {answer}"), 1000.0, asked=(asked,))
    assert condition.what == "reaches"
    return condition.state, condition.found


@pytest.mark.parametrize(
    ("exact", "code", "state"),
    [
        (False, "404", State.OK),
        (False, "407", State.FAILED),
        (False, "503", State.FAILED),
        (True, "200", State.OK),
        (True, "405", State.OK),
        (True, "404", State.FAILED),
        (True, "403", State.FAILED),
    ],
)
def test_an_address_of_its_own_must_be_there_and_a_proxys_refusal_is_no_answer(exact, code, state):
    assert reached(Asked("https://hub.lab", "downloads.hub", exact=exact), code)[0] is state


def test_a_host_without_curl_is_no_failure():
    assert found(GOOD + "nocurl")["reaches"] == (State.WARNING, "not asked: the first apply installs curl")


def test_servers_are_asked_through_the_proxy_and_with_the_ca_bundle_by_a_real_shell(tmp_path):
    tell = 'for a; do last=$a; done; case $last in *good) echo 200;; *) echo "no route"; echo " 000";; esac'
    (tmp_path / "curl").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n{tell}\n')
    (tmp_path / "curl").chmod(0o755)
    downloads = Downloads(route=Route(proxy="http://proxy:3128", no_proxy=("acme.internal",)), ca_bundle="PEM\n")
    text = script(replace(HOST, downloads=downloads), (Asked("https://m/good", "x"), Asked("https://m/bad one", "x")))
    environment = {"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(["sh", "-c", text], input="PEM\n", capture_output=True, text=True, env=environment)
    assert sorted(parse(done.stdout).values["url"]) == ["0 200", "1 no route  000"]
    asked = (tmp_path / "asked").read_text()
    assert asked.count("--proxy http://proxy:3128 --noproxy acme.internal --cacert /tmp/") == 2
    assert not Path(asked.split("--cacert ")[1].split()[0]).exists()


def test_the_script_is_answered_by_a_real_shell():
    output = subprocess.run(["sh", "-s"], input=script(HOST), capture_output=True, text=True).stdout
    answers = parse(output)
    assert answers.number("time") > 1e9
    assert answers.number("memory") > 0
    assert answers.number("disk") > 0
    assert answers.hardware.memory == answers.number("memory")
    assert answers.hardware.kernel


def test_the_hardware_is_told_by_the_same_script_and_spoils_no_other_answer(tmp_path):
    smi = FOLDER / "h100.xml"
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n[ $1 = -q ] && cat {smi}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(["sh", "-s"], input=script(HOST), capture_output=True, text=True, env=environment)
    answers = parse(done.stdout)
    assert answers.hardware.report == hardware("h100").report
    assert len(answers.values["memory"]) == 1


@pytest.mark.parametrize(
    ("said", "state", "says"),
    [
        ("restic \nrestic_offered \n", State.OK, "apply installs it"),
        ("restic \nrestic_offered 0.18.0-1+b4\n", State.OK, "apt has 0.18.0-1+b4"),
        ("restic \nrestic_offered 0.16.4-2\n", State.FAILED, "apt has 0.16.4-2: too old for backups"),
        ("restic 0.16.4\nrestic_offered 0.18.0-1\n", State.FAILED, "0.16.4 is installed: too old for backups"),
        ("restic 0.18.1\nrestic_offered 0.16.4-2\n", State.OK, "0.18.1 is installed"),
    ],
)
def test_backups_need_a_restic_that_is_not_too_old(said: str, state: State, says: str):
    settings = Backup(host="gpu1", repositories=(), sources=(), must=())
    assert found(GOOD + said, replace(HOST, backup=settings))["restic"] == (state, says)
    assert "restic" not in found(GOOD + said)
