"""A capture on real gateways in front of a cloud, from its start to its erasure. The tests build on one another.

The cloud is a stand-in on this machine. Secrets are in every prompt; they must be in no file, message, process or
argument of a gateway, and in no record.
"""

from __future__ import annotations

import json
import shlex
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import openai
import pyrage
import pytest

from rackwright.fleet.hosts.backup import _SAVED as BACKED_UP
from rackwright.lab.fleet_file import BASELINE, DOMAIN
from rackwright.lab.hosts import Lab
from rackwright.roles.capture.settings import FILES, ORDERS, SERVICE, SOCKET, SOCKET_UNIT, STATE
from tests.gateway.certificates import CertificateAuthority
from tests.gateway.fixed_cloud import fixed_cloud
from tests.lab.operator import Operator
from tests.lab.standard import standard_lab
from tests.stand_in_cloud import StandInCloud
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/migrate/capture.py",
    "rackwright/cli/migrate/erase.py",
    "rackwright/gateway/capture_runtime.py",
    "rackwright/lifecycle/migrate/capture.py",
    "rackwright/lifecycle/migrate/erase.py",
    "rackwright/migrate/redact",
    "roles/capture",
    "roles/gateway",
)
GATEWAYS = ("gate1", "gate2")
CLOUD = "cloud.lab.internal"
CLOUD_KEY = "sk-" + "c" * 40
SECRETS = ("jo.doe.seeded@example.com", "4111111111111111", "sk-proj-" + "Zq7" * 14, "DE89370400440532013000")
MARK = "heliotropezq7"
"""A word that only prompts have."""
FLEET = """\
fleet: {fleet}
defaults:
  ssh: {{user: {user}, key: {key}}}
{baseline}
hosts:
  gate1: {{address: {gate1}}}
  gate2: {{address: {gate2}}}
clouds:
  acme: {{url: "https://{name}:{port}/v1", key: file:cloud.key, names: [gpt-4o-mini], ca: cloud.pem}}
models:
  chat: {{cloud: acme, names: [gpt-4o-mini]}}
gateway: {{on: [gate1, gate2], domain: {domain}}}
firewall:
  admin_from: [{controller}/32]
  clients_from: [{subnet}]
"""
PLAN = """format: migration-plan/1
migration: support
intent: The contract with the provider ends in March.
cloud: acme
models: {{gpt-4o-mini: chat}}
records:
  recipient: {recipient}
  identity: "file:identity"
capture: {{share: 100, duration: 1h, size: 64MB, request: 256kB}}
replay: {{budget: 50}}
currency: EUR
prices:
  gpt-4o-mini: {{input: 0.15, output: 0.6}}
"""


@dataclass
class Site:
    lab: Lab
    operator: Operator
    cloud: StandInCloud
    folder: Path
    key: str
    identity: Any
    asked: set[str] = field(default_factory=set)
    """The ids of answered requests."""

    def migrate(self, *words: str, check: int = 0) -> Any:
        return self.operator("migrate", *words, "--json", check=check).json

    def client(self, gateway: str) -> openai.OpenAI:
        address = self.lab.fleet().hosts[gateway]
        trusted = ssl.create_default_context(cadata=self.operator.path.with_name("test.ca.crt").read_text())
        trusted.check_hostname = False
        http = openai.DefaultHttpxClient(verify=trusted, trust_env=False, limits=httpx2.Limits())
        return openai.OpenAI(base_url=f"https://{address}/v1", api_key=self.key, max_retries=0, http_client=http)

    def ask(self, gateway: str, number: int) -> None:
        text = f"{MARK} {number}: I am {SECRETS[0]}, card {SECRETS[1]}, key {SECRETS[2]}, account {SECRETS[3]}."
        answer = self.client(gateway).chat.completions.with_raw_response.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": text}]
        )
        assert answer.parse().choices[0].message.content == "Blue."
        self.asked.add(answer.headers["x-request-id"])

    def records(self) -> list[dict[str, Any]]:
        """Return what is in the migration's folder."""
        files = sorted((self.folder / "test.migrate-support").glob("requests-*.age"))
        lines = [line for path in files for line in pyrage.decrypt(path.read_bytes(), [self.identity]).splitlines()]
        return [json.loads(line) for line in lines]

    def on(self, gateway: str, script: str, *, check: bool = True) -> str:
        return self.lab.exec(gateway, script, check=check).out

    def found(self, gateway: str, word: str) -> str:
        """Return where the word is: files of the host, its journal, its processes."""
        places = "/etc /var /run /tmp /root /home /opt /srv"
        script = f"""w=$(cat); grep -rlsaF --exclude-dir=sys -- "$w" {places} | grep -v ^/var/lib/containers
            journalctl --no-pager -o export | grep -aF -- "$w" | head -n 3
            ps -eo args= | grep -F -- "$w" | grep -v "grep -F"
            :"""
        return self.lab.exec(gateway, script, input=word).out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("capture")
    ca = CertificateAuthority(folder)
    identity = pyrage.x25519.Identity.generate()
    with standard_lab("capture", *GATEWAYS) as lab, fixed_cloud(ca, CLOUD, address="0.0.0.0") as cloud:
        fleet = lab.fleet()
        for gateway in GATEWAYS:
            lab.exec(gateway, f"echo {fleet.controller} {CLOUD} >>/etc/hosts")
        path = folder / "test.yml"
        path.write_text(
            FLEET.format(
                fleet=fleet.name, user=fleet.user, key=fleet.key, baseline=BASELINE, name=CLOUD, port=cloud.port,
                domain=DOMAIN, controller=fleet.controller, subnet=fleet.subnet,
                gate1=fleet.hosts["gate1"], gate2=fleet.hosts["gate2"],
            )
        )  # fmt: skip
        path.with_suffix(".known_hosts").write_text(fleet.known_hosts.read_text())
        (folder / "cloud.pem").write_text(ca.pem)
        (folder / "cloud.key").write_text(f"{CLOUD_KEY}\n")
        (folder / "identity").write_text(f"{identity}\n")
        (folder / "test.migrate-support.yml").write_text(PLAN.format(recipient=identity.to_public()))
        operator = Operator(path)
        operator("lock")
        key = operator("key", "add", "tester", "--owner", "test", "--json", check=None).json["key"]
        site = Site(lab, operator, cloud, folder, key, identity)
        # Without the unit, a gateway that an apply hasn't reached says so.
        operator("apply", "--yes")
        yield site


def test_it_starts_on_both_gateways_and_records_what_the_client_asks(site: Site) -> None:
    assert site.on("gate1", f"systemctl is-active {SERVICE} {SOCKET_UNIT}", check=False).split() == ["inactive"] * 2
    started = site.migrate("capture", "support")
    assert {host: one["running"] for host, one in started["gateways"].items()} == dict.fromkeys(GATEWAYS, True)
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.append(site.on("gate1", "ps -eo args="))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for number in range(60):
            site.ask(GATEWAYS[number % 2], number)
    finally:
        over.set()
        watching.join()
    assert any(f"age -r {site.identity.to_public()}" in one for one in seen)
    assert not [one for one in seen if any(secret in one for secret in (*SECRETS, MARK, site.key, CLOUD_KEY))]
    fetched = site.migrate("capture", "support", "--fetch")
    assert fetched["fetched_requests"] == 60
    assert fetched["missed"] == {}
    records = site.records()
    assert {one["id"] for one in records} == site.asked
    assert {(one["path"], one["model"], one["key"]) for one in records} == {
        ("/v1/chat/completions", "gpt-4o-mini", "tester")
    }
    text = json.dumps(records)
    assert text.count(MARK) == 60
    assert not [secret for secret in (*SECRETS, site.key, CLOUD_KEY) if secret in text]
    assert {"email", "card", "iban", "secret"} <= records[0]["personal"].keys()


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_no_prompt_is_on_a_gateway_as_plain_text(site: Site, gateway: str) -> None:
    site.ask(gateway, 1000)
    # While it is running, too: the open file is encrypted.
    for word in (*SECRETS, MARK):
        assert site.found(gateway, word) == ""
    assert not any(STATE.startswith(f"{folder}/") for folder in BACKED_UP)


def test_nobody_else_reaches_the_socket_or_the_files(site: Site) -> None:
    connect = f"python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{SOCKET}\")'"
    for user, allowed in (("haproxy", True), ("nobody", False), ("rw_capture", False)):
        done = site.lab.exec("gate1", f"setpriv --reuid={user} --clear-groups {connect}", check=False)
        assert (done.code == 0) is allowed, user
    assert site.lab.exec("gate1", f"setpriv --reuid=nobody --clear-groups ls {FILES}", check=False).code != 0
    assert site.on("gate1", f"stat -c '%U %a' {STATE} {ORDERS} {FILES} {FILES}/support").splitlines() == [
        "root 755",
        "root 644",
        "rw_capture 700",
        "rw_capture 700",
    ]


def test_it_goes_on_after_a_kill_an_apply_and_a_reboot(site: Site) -> None:
    site.migrate("capture", "support", "--fetch")
    site.on("gate1", f"systemctl kill -s KILL {SERVICE}")
    wait_until(lambda: site.on("gate1", f"systemctl is-active {SERVICE}", check=False).strip() == "active")
    site.operator("apply", "--yes")
    site.ask("gate1", 2000)
    site.lab.reboot("gate2")
    site.on("gate2", f"echo {site.lab.fleet().controller} {CLOUD} >>/etc/hosts")
    wait_until(lambda: _answers(site, "gate2"))
    assert site.migrate("capture", "support", "--look")["gateways"]["gate2"]["running"]
    before = {one["id"] for one in site.records()}
    known = set(site.asked)
    for number in range(4):
        site.ask(GATEWAYS[number % 2], 3000 + number)
    site.migrate("capture", "support", "--fetch")
    assert site.asked - known <= {one["id"] for one in site.records()} - before


def _answers(site: Site, gateway: str) -> bool:
    try:
        site.ask(gateway, 9000)
    except (openai.APIError, AssertionError):
        return False
    return True


def test_a_gateway_that_is_down_is_named_and_the_other_is_fetched(site: Site) -> None:
    site.ask("gate1", 4000)
    site.on("gate2", "systemctl stop ssh.socket ssh.service 2>/dev/null; systemctl stop ssh")
    try:
        fetched = site.migrate("capture", "support", "--fetch", check=3)
    finally:
        site.on("gate2", "systemctl start ssh")
    assert list(fetched["missed"]) == ["gate2"]
    assert fetched["fetched_requests"] == 1


def test_it_ends_on_its_own_and_leaves_no_socket(site: Site) -> None:
    site.on("gate1", f'sed -i \'s/"until":[0-9]*/"until":{int(time.time())}/\' {ORDERS}; systemctl restart {SERVICE}')
    wait_until(
        lambda: (
            site.on("gate1", f"systemctl is-active {SERVICE} {SOCKET_UNIT}", check=False).split() == ["inactive"] * 2
        )
    )
    assert site.migrate("capture", "support", "--look")["gateways"]["gate1"]["ended"] == "duration"
    # Its clients notice nothing.
    site.ask("gate1", 5000)


def test_it_is_stopped_and_erased(site: Site) -> None:
    stopped = site.migrate("capture", "support", "--stop", "--fetch")
    assert not any(one["running"] for one in stopped["gateways"].values())
    erased = site.migrate("erase", "support", "--folder", "--yes")
    assert erased["gateways"] == list(GATEWAYS)
    assert (erased["missed"], erased["left"]) == ({}, [])
    for gateway in GATEWAYS:
        assert site.on(gateway, f"find {STATE} -mindepth 1 ! -path {FILES}") == ""
        assert site.on(gateway, "cat /etc/rackwright/gateway/captures.map") == ""
    assert site.records() == []
    steps = [one["step"] for one in site.migrate("status", "support")["migration"]["log"]]
    assert steps[-1] == "erase"
    # Nothing of it is in the log, either.
    for word in (*SECRETS, MARK):
        assert site.found("gate1", word) == ""
    assert shlex.quote(MARK) not in "".join(path.read_text() for path in site.folder.glob("*.yml"))
