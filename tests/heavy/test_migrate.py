"""From a client that knows only the cloud to a page with costs. The tests build on one another.

The provider's API is a stand-in on this machine. Its model is real: llama-server with the lab's Q4_1 file. The fleet
serves other builds of the same model, one as good, one doubtful and one broken.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pyrage
import pytest

from rackwright.lab import artefacts
from rackwright.lab.hosts import Lab
from tests.gateway.certificates import CertificateAuthority
from tests.heavy.builds import build
from tests.heavy.golden_words import golden_set
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.stand_in_cloud import ADMIN_KEY, KEY, StandInCloud, stand_in_cloud
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/migrate",
    "rackwright/lifecycle/bench/driver.py",
    "rackwright/lifecycle/migrate",
    "rackwright/migrate",
    "rackwright/state/migrations.py",
    "roles/capture",
    "roles/cloud",
    "roles/gateway",
)
CLOUD = "cloud.lab.internal"
NAMES = {"gpt-4o-mini": "equal", "gpt-4o": "doubtful", "gpt-4.1": "broken"}
"""The provider's model → the fleet's, which has a build of that kind."""
KINDS = {"equal": "Q8_0", "doubtful": "Q2_K", "broken": "cut"}
SECRET = "jo.doe.seeded@example.com"
TOPICS = (
    "water trees music bread sleep maps rivers books clocks birds roads bridges winter summer light stone wood iron "
    "glass paper salt sugar tea coffee milk apples horses dogs cats fish ships trains wheels gardens forests deserts "
    "islands mountains oceans cities"
).split()
PLAN = """format: migration-plan/1
migration: {name}
intent: The contract with the provider ends in March.
cloud: acme
models: {models}
records: {{recipient: {recipient}, identity: "file:identity"}}
capture: {{share: 100, duration: 1h}}
provider: {{url: "{url}", admin_key: "file:admin.key"}}
replay: {{sample: {sample}, concurrency: 2, budget: 5}}
score: {{margin: 20, least: {least}, golden: prompts.jsonl}}
capacity: {{headroom: 30, spare: 0}}
currency: EUR
prices:
  gpt-4o-mini: {{input: 0.15, output: 0.6}}
  gpt-4o: {{input: 2.5, output: 10}}
  gpt-4.1: {{input: 2, output: 8}}
costs: {{capital: 60000, months: 36, kilowatts: 1.2, kilowatt_hour: 0.3, staff: 1500}}
waivers: {waivers}
"""
USAGE = "month,amount\n2026-09,9000\n2026-10,9500\n2026-11,9700\n"


@contextmanager
def engine(folder: Path) -> Iterator[str]:
    """Run the cloud's model; yield its socket."""
    made = artefacts.ensure(lambda _: None)
    with tarfile.open(made.runtime.path) as archive:
        archive.extractall(folder, filter="data")
    (program,) = folder.rglob("llama-server")
    socket = folder / "engine.sock"
    words = ["--model", str(made.model.path), "--host", str(socket), "--threads", "1", "--parallel", "2"]
    # The golden set says no temperature, and a test needs the same answers each time.
    words += ["--temp", "0"]
    process = subprocess.Popen(
        [str(program), *words, "--ctx-size", "4096"],
        env={"LD_LIBRARY_PATH": str(program.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(socket.exists)
        yield str(socket)
    finally:
        process.terminate()
        process.wait(60)


@dataclass
class Site:
    lab: Lab
    operator: Operator
    cloud: StandInCloud
    ca: CertificateAuthority
    identity: Any

    @property
    def folder(self) -> Path:
        return self.operator.path.parent

    def migrate(self, *words: str, check: int | None = 0, timeout: float = 300) -> Any:
        return self.operator("migrate", *words, "--json", check=check, timeout=timeout).json

    def plan(self, name: str, models: dict[str, str], *, sample: int, least: int, waivers: dict[str, str]) -> None:
        text = PLAN.format(
            name=name,
            url=f"{self.cloud.url}/v1",
            models=json.dumps(models),
            recipient=self.identity.to_public(),
            sample=sample,
            least=least,
            waivers=json.dumps(waivers),
        )
        self.operator.path.with_name(f"test.migrate-{name}.yml").write_text(text)

    def direct(self) -> openai.OpenAI:
        """A client as it was before: it knows only the cloud."""
        trusted = ssl.create_default_context(cadata=self.ca.pem)
        trusted.check_hostname = False
        return _client(f"{self.cloud.url}/v1", KEY, trusted)

    def through_gateway(self, key: str) -> openai.OpenAI:
        """The same client with another URL and key."""
        trusted = ssl.create_default_context(cadata=self.operator.path.with_name("test.ca.crt").read_text())
        trusted.check_hostname = False
        return _client(f"https://{self.lab.fleet().hosts['gate1']}/v1", key, trusted)


def _client(url: str, key: str, trusted: ssl.SSLContext) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(verify=trusted, trust_env=False, limits=httpx2.Limits())
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, http_client=http)


def asks(topic: str) -> dict[str, Any]:
    text = f"I am {SECRET}. Explain at length what is important about {topic}."
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 16, "temperature": 0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    ca = CertificateAuthority(folder)
    ca.issue("cloud", (CLOUD, "127.0.0.1"), client=False)
    identity = pyrage.x25519.Identity.generate()
    with (
        standard_lab("migrate", "gate1", "gpu1") as lab,
        engine(tmp_path_factory.mktemp("engine")) as socket,
        stand_in_cloud(folder / "cloud.crt", folder / "cloud.key.cred", "0.0.0.0") as cloud,
    ):
        cloud.engine = f"unix:{socket}"
        cloud.models = {"gpt-4o-mini": {"shutdown_date": "2027-01-31"}, "gpt-4o": {}, "gpt-4.1": {}}
        fleet = lab.fleet()
        lab.exec("gate1", f"echo {fleet.controller} {CLOUD} >>/etc/hosts")
        port = cloud.url.rpartition(":")[2]
        cloud.url = f"https://127.0.0.1:{port}"
        made = operator(folder, fleet)
        write_fleet(made, f"https://{CLOUD}:{port}/v1")
        (folder / "cloud.pem").write_text(ca.pem)
        (folder / "cloud.key").write_text(f"{KEY}\n")
        (folder / "admin.key").write_text(f"{ADMIN_KEY}\n")
        (folder / "identity").write_text(f"{identity}\n")
        (folder / "usage.csv").write_text(USAGE)
        golden_set(folder / "prompts.jsonl")
        made("lock")
        made("apply", "--yes", timeout=600)
        yield Site(lab, made, cloud, ca, identity)


def write_fleet(made: Operator, url: str) -> None:
    """Put a model for each build into the fleet file. Clients still get the cloud."""
    text = made.path.read_text()
    found = re.search(r"  assistant:\n(?:    .*\n| {4,}.*\n)+", text)
    assert found
    models = ""
    for name, kind in KINDS.items():
        one = re.sub(r'source: "file:.*"', f'source: "file:{build(kind)}"', found[0])
        one = one.replace("  assistant:", f"  {name}:", 1).replace(
            "threads: 1", "args: {temp: 0}\n      threads: 1", 1
        )
        served = next(said for said, model in NAMES.items() if model == name)
        models += re.sub(r"names: \[.*?\].*", f"names: [{served}]", one) + "    cloud: acme\n"
    names = ", ".join(NAMES)
    clouds = f'clouds:\n  acme: {{url: "{url}", key: file:cloud.key, names: [{names}], ca: cloud.pem}}\n'
    made.path.write_text(text.replace(found[0], models) + clouds)


def test_a_client_changes_its_url_and_key_and_the_cloud_still_answers(site: Site) -> None:
    before = site.direct().chat.completions.create(model="gpt-4o-mini", **asks("water"))
    site.plan("support", {"gpt-4o-mini": "equal"}, sample=40, least=40, waivers={})
    key = site.operator("key", "add", "shop", "--owner", "shop", "--json").json["key"]
    client = site.through_gateway(key)
    wait_until(lambda: _answered(client))
    site.migrate("capture", "support")
    for number, topic in enumerate(TOPICS):
        body = asks(topic)
        if number % 4 == 0:
            parts = client.chat.completions.create(model="gpt-4o-mini", stream=True, store=True, **body)
            text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
        else:
            text = client.chat.completions.create(model="gpt-4o-mini", **body).choices[0].message.content or ""
        assert text
        if topic == "water":
            assert text == before.choices[0].message.content
    fetched = site.migrate("capture", "support", "--stop", "--fetch")
    assert fetched["fetched_requests"] == len(TOPICS), fetched
    assert fetched["missed"] == {}


def _answered(client: openai.OpenAI) -> bool:
    try:
        return bool(client.chat.completions.create(model="gpt-4o-mini", **asks("water")).choices)
    except openai.APIError:
        return False


def test_what_the_fleet_ignores_blocks_until_it_is_waived(site: Site) -> None:
    blocked = site.migrate("assess", "support", check=12)
    assert "store" in json.dumps(blocked)
    assert "2027-01-31" in json.dumps(blocked)
    site.plan("support", {"gpt-4o-mini": "equal"}, sample=40, least=40, waivers={"store": "nobody lists them"})
    site.migrate("assess", "support")


def test_the_same_model_passes(site: Site) -> None:
    replayed = site.migrate("replay", "support", "--yes", timeout=600)
    assert {end: said["answered"] for end, said in replayed["asks"].items()} == dict.fromkeys(
        ("cloud", "again", "fleet"), len(TOPICS)
    )
    assert 0 < replayed["spent"] < 5
    scored = site.migrate("score", "support", "--yes", timeout=600)
    assert scored["score"]["word"] == "PASS", scored


def test_capacity_and_costs_follow_and_are_on_one_page(site: Site) -> None:
    # How fast the engine is depends on what else this machine does, so 12 is possible.
    capacity = site.migrate("capacity", "support", "--seconds", "10", check=None, timeout=900)["capacity"]
    assert capacity["models"][0]["measured"]["speeds"][0]["answered"] == len(TOPICS)
    cost = site.migrate("cost", "support", "--usage", str(site.folder / "usage.csv"))["cost"]
    assert (cost["computed"], cost["bill"]) == (False, 9432.28)
    page = site.folder / "support.html"
    site.operator("migrate", "report", "support", "--html", str(page), check=None)
    text = page.read_text()
    assert "<svg" in text
    for word in ("PASS", "EUR", "gpt-4o-mini", "The contract with the provider ends in March."):
        assert word in text


def test_a_doubtful_model_is_inconclusive_and_a_broken_one_fails(site: Site) -> None:
    site.plan("others", {name: NAMES[name] for name in ("gpt-4o", "gpt-4.1")}, sample=40, least=20, waivers={})
    log = site.folder / "log.jsonl"
    lines = [{"model": name, **asks(topic)} for name in ("gpt-4o", "gpt-4.1") for topic in TOPICS[:20]]
    log.write_text("".join(json.dumps(one) + "\n" for one in lines))
    site.migrate("import", "others", str(log))
    site.migrate("replay", "others", "--yes", timeout=600)
    scored = site.migrate("score", "others", "--yes", check=12, timeout=900)
    golden = {one["of"]: one["word"] for one in scored["score"]["segments"] if one["kind"] == "golden"}
    assert golden == {"gpt-4o": "INCONCLUSIVE", "gpt-4.1": "FAIL"}, scored
    assert scored["score"]["word"] == "FAIL"


def test_no_secret_is_anywhere(site: Site) -> None:
    secrets = (KEY, ADMIN_KEY, SECRET, str(site.identity))
    for path in site.folder.rglob("*"):
        if path.is_file() and path.name not in ("cloud.key", "admin.key", "identity", "log.jsonl"):
            content = path.read_bytes()
            assert not [one for one in secrets if one.encode() in content], path
    for host in ("gate1", "gpu1"):
        for secret in secrets:
            script = """w=$(cat); grep -rlsaF --exclude-dir=sys -- "$w" /etc /var /run /tmp /root /home /opt \
                | grep -v -e ^/var/lib/containers -e ^/run/rackwright-gateway/clouds.map
                journalctl --no-pager -o export | grep -aF -- "$w" | head -n 3; :"""
            assert site.lab.exec(host, script, input=secret).out == ""
