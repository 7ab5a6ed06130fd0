"""From a client that knows only the cloud to a page with costs. The tests build on one another.

The provider's API is a stand-in on a lab host of its own. Its model is real: llama-server with the lab's Q4_1 file.
The fleet serves other builds of the same model, one as good, one doubtful and one broken.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import pyrage
import pytest

from rackwright.lab import paths
from rackwright.lab.hosts import Lab
from rackwright.lifecycle.bench.tool import ensure
from rackwright.resolve.package_index import Index
from rackwright.route import DIRECT
from tests.gateway.certificates import CertificateAuthority
from tests.heavy.builds import build
from tests.heavy.cloud_host import PORT, CloudHost, start_cloud, volumes
from tests.heavy.golden_words import golden_set
from tests.heavy.process_watch import ProcessWatch, process_watch
from tests.heavy.small_steps import PART, RATES, SmallSteps
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, Said, operator
from tests.lab.standard import images_of
from tests.stand_in_cloud import ADMIN_KEY, KEY, Fault
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
GATEWAYS = ("gate1", "gate2")
FLEET, OUTSIDE = (*GATEWAYS, "gpu1"), "cloud1"
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
FEW = 20
"""Requests to each of the worse models: their golden set decides."""
OBJECTS = {
    "/v1/files": [{"id": f"file-{number}", "bytes": 1000, "created_at": 1_700_000_000} for number in range(25)],
    "/v1/vector_stores": [{"id": f"vs-{number}", "file_counts": {"total": 3}} for number in range(2)],
}
"""What the provider stores; a page has 20."""
PLAN = """format: migration-plan/1
migration: {name}
intent: The contract with the provider ends in March.
cloud: acme
models: {models}
records: {{recipient: {recipient}, identity: "file:identity"}}
capture: {{share: 100, duration: 1h}}
provider: {{url: "{url}", admin_key: "file:admin.key"}}
replay: {{sample: 40, concurrency: 2, budget: 5}}
score: {{margin: 20, least: {least}, golden: prompts.jsonl}}
shadow: {{sample: 40}}
capacity: {{headroom: 30, spare: 0}}
cutover:
  share: [50, 100]
  min_duration: 10s
  min_requests: 20
  max_duration: 600s
  conversation: 1s
  thresholds: {{errors: 30%, ttft_median: 100%, ttft_p95: 100%, tpot_median: 100%, tpot_p95: 100%}}
currency: EUR
prices:
  gpt-4o-mini: {{input: 0.15, output: 0.6}}
  gpt-4o: {{input: 2.5, output: 10}}
  gpt-4.1: {{input: 2, output: 8}}
costs: {{capital: 60000, months: 36, kilowatts: 1.2, kilowatt_hour: 0.3, staff: 1500}}
waivers: {waivers}
"""
USAGE = "month,amount\n2026-09,9000\n2026-10,9500\n2026-11,9700\n"
BACKUP = "backup: {models: no, builds: no, to: [{name: own, url: /srv/own, password: 'file:password'}]}\n"
TOOLS = paths.cache() / "tools"


@dataclass
class Site:
    lab: Lab
    operator: Operator
    """At the machine that goes on with the migration."""
    cloud: CloudHost
    ca: CertificateAuthority
    identity: Any
    watch: ProcessWatch
    folders: list[Path]
    """Of all machines."""
    key: str = ""
    """The client's."""

    @property
    def folder(self) -> Path:
        return self.operator.path.parent

    @property
    def secrets(self) -> tuple[str, ...]:
        assert self.key
        return KEY, ADMIN_KEY, SECRET, self.key, str(self.identity)

    def said(self, *words: str, check: int | None = 0, small_steps: bool = False) -> Said:
        by = SmallSteps(self.operator.path) if small_steps else self.operator
        said = by("migrate", *words, "--json", check=check, timeout=900)
        assert not [one for one in self.secrets if one in said.out + said.err]
        return said

    def migrate(self, *words: str, check: int = 0) -> Any:
        return self.said(*words, check=check).json

    def plan(self, name: str, model: str, *, least: int, waivers: dict[str, str] | None = None) -> None:
        text = PLAN.format(
            name=name,
            url=f"https://{self.cloud.address}:{PORT}/v1",
            models=json.dumps({model: NAMES[model]}),
            recipient=self.identity.to_public(),
            least=least,
            waivers=json.dumps(waivers or {}),
        )
        self.operator.path.with_name(f"test.migrate-{name}.yml").write_text(text)

    def direct(self) -> openai.OpenAI:
        """A client as it was before: it knows only the cloud."""
        return _client(f"https://{self.cloud.address}:{PORT}/v1", KEY, self.ca.pem)

    def through_gateway(self, host: str = GATEWAYS[0]) -> openai.OpenAI:
        """The same client with another URL and key."""
        trusted = self.operator.path.with_name("test.ca.crt").read_text()
        return _client(f"https://{self.lab.fleet().hosts[host]}/v1", self.key, trusted)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Return the lines of one kind in the folder of the migration `support`."""
        files = sorted((self.folder / "test.migrate-support").glob(f"{kind}-*.age"))
        lines = [line for path in files for line in pyrage.decrypt(path.read_bytes(), [self.identity]).splitlines()]
        return [json.loads(line) for line in lines]


def _client(url: str, key: str, trusted: str) -> openai.OpenAI:
    context = ssl.create_default_context(cadata=trusted)
    context.check_hostname = False
    http = openai.DefaultHttpxClient(verify=context, trust_env=False, limits=httpx2.Limits())
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, http_client=http)


def asks(topic: str) -> dict[str, Any]:
    text = f"I am {SECRET}. Explain at length what is important about {topic}."
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 12, "temperature": 0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, shown = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("cloud")
    ca, identity = CertificateAuthority(folder), pyrage.x25519.Identity.generate()
    with (
        process_watch(KEY, ADMIN_KEY, SECRET, str(identity)) as watch,
        fresh_lab("migrate", *FLEET, OUTSIDE, volumes=volumes(shown), images=images_of(FLEET)) as lab,
    ):
        models = {"gpt-4o-mini": {"shutdown_date": "2027-01-31"}, "gpt-4o": {}, "gpt-4.1": {}}
        cloud = start_cloud(lab, OUTSIDE, shown, ca, CLOUD, {"models": models, "objects": OBJECTS})
        for host in GATEWAYS:
            lab.exec(host, f"echo {cloud.address} {CLOUD} >>/etc/hosts")
        fleet = lab.fleet()
        made = operator(folder, replace(fleet, hosts={host: fleet.hosts[host] for host in FLEET}))
        write_fleet(made)
        use_kept_tools(made)
        for name, text in {
            "cloud.pem": ca.pem, "cloud.key": KEY, "admin.key": ADMIN_KEY, "identity": str(identity),
            "password": "correct horse battery staple", "usage.csv": USAGE,
        }.items():  # fmt: skip
            (folder / name).write_text(f"{text}\n")
        golden_set(folder / "prompts.jsonl")
        installing = threading.Thread(target=ensure, args=(Index(None, DIRECT), print), kwargs={"cache": TOOLS})
        installing.start()
        made("lock")
        made("apply", "--yes", timeout=600)
        cloud.wait()
        installing.join()
        yield Site(lab, made, cloud, ca, identity, watch, [folder])


def use_kept_tools(made: Operator) -> None:
    """Have the operator's commands use guidellm from the lab's cache: to install it takes longer than to use it."""
    place = Path(made.environment["XDG_CACHE_HOME"], "rackwright", "tools")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(TOOLS)


def write_fleet(made: Operator) -> None:
    """Put a model for each build into the fleet file. Clients still get the cloud."""
    text = made.path.read_text()
    found = re.search(r"  assistant:\n(?:    .*\n| {4,}.*\n)+", text)
    assert found
    models = ""
    for served, name in NAMES.items():
        one = re.sub(r'source: "file:.*"', f'source: "file:{build(KINDS[name])}"', found[0])
        one = one.replace("  assistant:", f"  {name}:", 1).replace(
            "threads: 1", "args: {temp: 0}\n      threads: 1", 1
        )
        models += re.sub(r"names: \[.*?\].*", f"names: [{served}]", one) + "    cloud: acme\n"
    url, names = f"https://{CLOUD}:{PORT}/v1", ", ".join(NAMES)
    clouds = f'clouds:\n  acme: {{url: "{url}", key: file:cloud.key, names: [{names}], ca: cloud.pem}}\n'
    text = text.replace("on: [gate1]", "on: [gate1, gate2]", 1)
    made.path.write_text(text.replace(found[0], models) + clouds + BACKUP)


def test_a_client_changes_its_url_and_key_and_the_cloud_still_answers(site: Site) -> None:
    before = site.direct().chat.completions.create(model="gpt-4o-mini", **asks("water"))
    site.plan("support", "gpt-4o-mini", least=40)
    site.key = site.operator("key", "add", "shop", "--owner", "shop", "--json").json["key"]
    site.watch.secrets.append(site.key)
    client = site.through_gateway()
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
    assert "store" in json.dumps(blocked["blocking"])
    stored = {one["kind"]: (one["access"], one["count"], one["files"]) for one in blocked["provider"]["objects"]}
    assert stored["files"] == ("listed", 25, None)
    assert stored["vector stores"] == ("listed", 2, 6)
    assert [one["shutdown_date"] for one in blocked["provider"]["models"]] == ["2027-01-31"]
    site.plan("support", "gpt-4o-mini", least=40, waivers={"store": "nobody lists them"})
    assert site.migrate("assess", "support")["blocking"] == []


def test_a_killed_replay_goes_on_at_another_machine_in_spite_of_faults(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    captured = len(site.cloud.completions())
    _kill_replay(site, lambda: len(site.cloud.completions()) >= captured + 2 * PART + PART // 2)
    prompts = {one["id"]: one["body"]["messages"][-1]["content"] for one in site.records("requests")}
    first, second = ({one["request"] for one in site.records(kind)} for kind in ("answers-cloud", "answers-again"))
    # A part ends early if answers cost more than they usually do: then some lack the second one.
    assert PART <= len(first) < len(TOPICS)
    assert second
    assert second <= first
    before = site.cloud.asked()
    site.cloud.fail(
        Fault("status", status=429, retry_after="1", path="/v1/chat"),
        Fault("status", status=500, path="/v1/chat"),
        Fault("slow", seconds=2, path="/v1/chat"),
    )
    here = site.operator
    site.operator = _other_machine(here, tmp_path_factory.mktemp("other"))
    site.folders.append(site.folder)
    replayed = site.migrate("replay", "support", "--yes")
    assert {end: said["answered"] for end, said in replayed["asks"].items()} == dict.fromkeys(
        ("cloud", "again", "fleet"), len(TOPICS)
    )
    assert 0 < replayed["spent"] < 5
    assert site.cloud.faults_left() == 0
    asked = site.cloud.asked() - before
    assert [one for one in second if asked[prompts[one]]] == []
    # The 429 and the 500 were asked again.
    assert asked.total() == 2 * len(TOPICS) - len(first) - len(second) + 2
    # Each of the two has the folder now, but only one of them goes on.
    older = here("migrate", "score", "support", "--yes", check=1)
    assert "isn't the folder that the log knows, or an older copy" in older.err


def _kill_replay(site: Site, ready: Callable[[], bool]) -> None:
    """Kill a replay as soon as the condition holds, and wait until the cloud has answered what was on its way."""
    here = SmallSteps(site.operator.path)
    with (site.folder / "killed.log").open("w") as log:
        words = here.argv("migrate", "replay", "support", "--yes")
        process = subprocess.Popen(words, stdout=log, stderr=log, env=here.environment)
    try:
        wait_until(lambda: process.poll() is not None or ready())
        assert process.poll() is None, (site.folder / "killed.log").read_text()
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: all(one["status"] for one in site.cloud.received()))


def _other_machine(here: Operator, folder: Path) -> Operator:
    """Return the operator at another machine, which has a copy of the fleet's folder."""
    # Each machine has its own.
    own = shutil.ignore_patterns("config", "cache")
    shutil.copytree(here.path.parent, folder, ignore=own, dirs_exist_ok=True)
    other = Operator(folder / here.path.name)
    use_kept_tools(other)
    return other


def test_the_same_model_passes(site: Site) -> None:
    scored = site.migrate("score", "support", "--yes")["score"]
    assert scored["word"] == "PASS", scored
    assert [one["word"] for one in scored["segments"] if one["kind"] == "golden"] == ["PASS"]


def test_capacity_and_costs_follow_and_are_on_one_page(site: Site) -> None:
    # How fast the engine is depends on what else this machine does.
    said = site.said("capacity", "support", "--seconds", "10", check=None, small_steps=True)
    assert said.code == (0 if said.json["met"] else 12), said.err
    (model,) = said.json["capacity"]["models"]
    measured, extrapolated, cache = model["measured"], model["extrapolated"], model["cache"]
    assert measured["speeds"][0]["answered"] == len(TOPICS)
    assert len(measured["speeds"]) >= RATES
    assert 0 < measured["goodput"] <= max(one["rate"] for one in measured["speeds"])
    assert extrapolated["replicas"] >= 1
    assert extrapolated["gpus"] == 0
    assert extrapolated["replicas"] * measured["goodput"] * 0.7001 >= extrapolated["peak"] > 0
    assert 12 < cache["typical"] <= cache["largest"] < cache["context"] == 2048
    assert cache["fits"] or cache["why"]
    cost = site.migrate("cost", "support", "--usage", str(site.folder / "usage.csv"))["cost"]
    assert (cost["computed"], cost["bill"]) == (False, 9432.28)
    page = site.folder / "support.html"
    code = site.said("report", "support", "--html", str(page), check=None).code
    text = page.read_text()
    assert f'<h1 class="conclusion{"" if code == 0 else " failed"}">Migration support of ' in text
    assert code == said.code
    assert "<svg" in text
    for word in ("PASS: all ", "EUR", "gpt-4o-mini", "The contract with the provider ends in March."):
        assert word in text


@pytest.mark.parametrize(("model", "word"), [("gpt-4o", "INCONCLUSIVE"), ("gpt-4.1", "FAIL")])
def test_a_doubtful_model_is_inconclusive_and_a_broken_one_fails(site: Site, model: str, word: str) -> None:
    name, log = NAMES[model], site.folder / "log.jsonl"
    site.plan(name, model, least=FEW)
    log.write_text("".join(json.dumps({"model": model, **asks(topic)}) + "\n" for topic in TOPICS[:FEW]))
    site.migrate("import", name, str(log))
    log.unlink()
    site.migrate("replay", name, "--yes")
    scored = site.migrate("score", name, "--yes", check=12)["score"]
    assert scored["word"] == word, scored
    assert [one["word"] for one in scored["segments"] if one["kind"] == "golden"] == [word], scored


@dataclass
class Clients:
    """Clients that ask new questions all the time, as the key `shop`."""

    gateways: tuple[openai.OpenAI, ...]
    ended: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    failed: int = 0

    def __call__(self, number: int) -> None:
        client = self.gateways[number % len(self.gateways)]
        for count in itertools.count():
            if self.ended.is_set():
                return
            topic = f"{TOPICS[count % len(TOPICS)]}, for the {number}-{count}th time"
            body = {"model": "gpt-4o-mini", **asks(topic), "max_tokens": 3}
            try:
                if count % 3:
                    assert client.chat.completions.create(**body).choices
                else:
                    assert list(client.chat.completions.create(stream=True, **body))
            except openai.APIError:
                with COUNTING:
                    self.failed += 1
            else:
                with COUNTING:
                    self.answered += 1


COUNTING = threading.Lock()


@contextmanager
def clients(site: Site) -> Iterator[Clients]:
    asking = Clients(tuple(map(site.through_gateway, GATEWAYS)))
    threads = [threading.Thread(target=asking, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    try:
        yield asking
    finally:
        asking.ended.set()
        for one in threads:
            one.join(120)


def shares(site: Site) -> dict[str, float]:
    """Return the fleet's share at each gateway."""
    return {host: one["share"] for host, one in site.migrate("cutover", "support")["gateways"].items()}


def sums(site: Site) -> dict[str, Counter[str]]:
    """Return the ledger's sums of the client's key, by side."""
    found = site.migrate("ledger")
    assert (found["residuals"], found["missed"]) == ([], {})
    return {
        one["side"]: Counter({name: value for name, value in one.items() if isinstance(value, int)})
        for one in found["totals"]
        if one["key"] == "shop"
    }


def test_the_fleet_takes_over_step_by_step_and_no_request_is_lost(site: Site) -> None:
    """The whole share is refused until the way back was tried."""
    site.plan("support", "gpt-4o-mini", least=40, waivers={"store": "nobody lists them"})
    shown = site.migrate("cutover", "support")
    assert [(one["share"], len(one["problems"])) for one in shown["steps"]] == [(50, 0), (100, 1)]
    assert shares(site) == {"gate1": 0, "gate2": 0}
    # What is late or down would keep the share from growing.
    site.operator("backup", "run")
    wait_until(lambda: site.operator("status", check=None).code == 0)
    before = sums(site)
    with clients(site) as asking:
        said = site.said("cutover", "support", "--execute", "--yes", check=12)
        assert "the way back was not tried in this migration" in said.err, said.err
        assert shares(site) == {"gate1": 50, "gate2": 50}
        assert site.migrate("rollback", "support")["missed"] == {}
        whole = site.migrate("cutover", "support", "--execute", "--yes", "--from", "100")
        assert (whole["state"]["phase"], whole["state"]["share"]) == ("passed", 100)
        cloud = len(site.cloud.completions())
        answered = asking.answered
        wait_until(lambda: asking.answered >= answered + 10)
        assert len(site.cloud.completions()) == cloud
    after = sums(site)
    assert asking.failed == 0
    grown = {side: after[side] - before.get(side, Counter()) for side in after}
    assert sum(one["accepted"] for one in grown.values()) == asking.answered
    # A client may disconnect when it has read the last event of a stream, before the gateway has seen its end.
    for one in grown.values():
        assert one["accepted"] == one["completed"] + one["cancelled"], grown
        assert one["interrupted"] == one["rejected"] == 0, grown
    assert min(one["accepted"] for one in grown.values()) >= 20


def test_a_fleet_that_dies_midway_ends_with_the_cloud_answering_and_the_reason_on_screen(site: Site) -> None:
    site.migrate("rollback", "support")
    unit = "rackwright-equal@1.service"
    with clients(site) as asking:
        here, found = site.operator, list[Said]()
        words = ("migrate", "cutover", "support", "--execute", "--yes", "--from", "50")
        running = threading.Thread(target=lambda: found.append(here(*words, check=None, timeout=600)))
        running.start()
        wait_until(lambda: site.migrate("cutover", "support")["state"]["phase"] == "reached")
        site.lab.exec("gpu1", f"systemctl stop {unit}")
        running.join(600)
        answered = asking.answered
        wait_until(lambda: asking.answered >= answered + 5)
    (said,) = found
    assert said.code == 12
    assert "most of the fleet's requests fail, the cloud's don't; the cloud answers all requests again" in said.err
    assert site.migrate("cutover", "support")["gateways"]["gate1"]["record"]["back"]
    # Each failure of a client is in the ledger.
    lost = sums(site)
    assert sum(one["rejected"] + one["interrupted"] for one in lost.values()) == asking.failed > 0
    site.lab.exec("gpu1", f"systemctl start {unit}")


def test_the_panic_file_does_the_same_without_this_tool(site: Site) -> None:
    client = site.through_gateway()
    state = "systemctl show -P ActiveState rackwright-panic.service"
    wait_until(lambda: site.operator("status", check=None).code == 0)
    with clients(site):
        here = site.operator
        words = here.argv("migrate", "cutover", "support", "--execute", "--yes", "--from", "50")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=here.environment) as running:
            wait_until(lambda: site.migrate("cutover", "support")["state"]["phase"] == "reached")
            site.lab.exec("gate1", "touch /etc/rackwright/gateway/panic")
            wait_until(lambda: site.lab.exec("gate1", state).out.strip() == "active")
            assert site.lab.exec("gate1", "cat /etc/rackwright/gateway/cutovers.map").out == ""
            _, said = running.communicate(timeout=120)
        assert running.returncode == 12
        assert b"the panic file has rolled back: all requests go to the cloud" in said
    before = len(site.cloud.completions())
    assert _answered(client)
    assert len(site.cloud.completions()) == before + 1
    shown = site.migrate("cutover", "support")
    assert "has a panic file" in json.dumps(shown["problems"])
    site.lab.exec("gate1", "rm /etc/rackwright/gateway/panic")
    site.migrate("rollback", "support")


def test_clients_move_by_an_apply_whose_plan_says_so(site: Site) -> None:
    """The same client, with the same URL and key, gets the fleet's answers."""
    fleet = site.operator.path.read_text()
    site.operator.path.write_text(fleet.replace("    cloud: acme\n", "", 1))
    shown = site.operator("plan").out
    assert "  requests for gpt-4.1, gpt-4o go to the cloud acme\n" in shown.partition("what clients notice:")[2]
    site.operator("apply", "--yes", "--not-stale", timeout=600)
    client, before = site.through_gateway(), len(site.cloud.completions())
    wait_until(lambda: _answered(client))
    assert len(site.cloud.completions()) == before


def test_no_secret_is_anywhere(site: Site) -> None:
    site.operator("backup", "run", "gate1")
    site.lab.exec("gate1", "/etc/rackwright/backup/restic.sh own restore latest --target /srv/back -q")
    assert "support" in site.lab.exec("gate1", "find /srv/back/var/lib/rackwright/migrations").out
    files = [path for folder in site.folders for path in folder.rglob("*") if path.is_file()]
    for path in files:
        if path.name not in ("cloud.key", "admin.key", "identity"):
            content = path.read_bytes()
            assert not [one for one in site.secrets if one.encode() in content], path
    # From a file: grep's own arguments are watched, too.
    script = """cat >/run/wanted; grep -rlaF --exclude-dir=sys --exclude=wanted -f /run/wanted \
            /etc /var /run /tmp /root /home /opt /srv/back | grep -v ^/var/lib/containers
        journalctl --no-pager -o export | grep -aF -m 3 -f /run/wanted; rm /run/wanted"""
    for host in FLEET:
        found = site.lab.exec(host, script, input="\n".join(site.secrets), timeout=300).out.split()
        assert found == (["/run/rackwright-gateway/clouds.map"] if host in GATEWAYS else [])


def test_no_process_has_shown_a_secret(site: Site) -> None:
    assert site.watch.shown == []
    # On this machine and on the gateway.
    assert any("rackwright" in one and " migrate replay support" in one for one in site.watch.seen)
    assert any(f"age -r {site.identity.to_public()}" in one for one in site.watch.seen)
