"""A fleet behind two gateways, a provider outside of it, and clients that move from one to the other.

The provider's API is a stand-in on a lab host of its own. Its model is real: llama-server with the lab's Q4_1 file.
The fleet serves other builds of the same model, one as good, one doubtful and one broken.
"""

from __future__ import annotations

import itertools
import json
import re
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import pyrage

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
from tests.heavy.small_steps import SmallSteps
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, Said, operator
from tests.lab.standard import images_of
from tests.stand_in_cloud import ADMIN_KEY, KEY

GATEWAYS = ("gate1", "gate2")
FLEET, OUTSIDE = (*GATEWAYS, "gpu1"), "cloud1"
CLOUD = "cloud.lab.internal"
NAMES = {"gpt-4o-mini": "equal", "gpt-4o": "doubtful", "gpt-4.1": "broken"}
"""The provider's model → the fleet's, which has a build of that kind."""
KINDS = {"equal": "Q8_0", "doubtful": "Q2_K", "broken": "cut"}
SECRET = "mae.roe.seeded@example.com"
"""No other test seeds it: the watch sees processes of tests that run at the same time, too."""
TOPICS = (
    "water trees music bread sleep maps rivers books clocks birds roads bridges winter summer light stone wood iron "
    "glass paper salt sugar tea coffee milk apples horses dogs cats fish ships trains wheels gardens forests deserts "
    "islands mountains oceans cities"
).split()
FEW = 20
"""Requests to each of the worse models: their golden set decides."""
CONTENTS = {f"file-{number}": f"line {number}\n" * 100 for number in range(25)}
OBJECTS = {
    "/v1/files": [{"id": id, "bytes": len(content), "created_at": 1_700_000_000} for id, content in CONTENTS.items()],
    "/v1/vector_stores": [{"id": f"vs-{number}", "file_counts": {"total": 3}} for number in range(2)],
    **{
        f"/v1/vector_stores/vs-{number}/files": [{"id": f"file-{3 * number + file}"} for file in range(3)]
        for number in range(2)
    },
    **{
        f"/v1/vector_stores/vs-{file // 3}/files/file-{file}/content": [
            {"id": "c", "type": "text", "text": f"chunk {file}"}
        ]
        for file in range(6)
    },
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
finish: {{quiet: 0s}}
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
        return client_of(f"https://{self.cloud.address}:{PORT}/v1", KEY, self.ca.pem)

    def through_gateway(self, host: str = GATEWAYS[0]) -> openai.OpenAI:
        """The same client with another URL and key."""
        trusted = self.operator.path.with_name("test.ca.crt").read_text()
        return client_of(f"https://{self.lab.fleet().hosts[host]}/v1", self.key, trusted)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Return the lines of one kind in the folder of the migration `support`."""
        files = sorted((self.folder / "test.migrate-support").glob(f"{kind}-*.age"))
        lines = [line for path in files for line in pyrage.decrypt(path.read_bytes(), [self.identity]).splitlines()]
        return [json.loads(line) for line in lines]


def client_of(url: str, key: str, trusted: str) -> openai.OpenAI:
    context = ssl.create_default_context(cadata=trusted)
    context.check_hostname = False
    http = openai.DefaultHttpxClient(verify=context, trust_env=False, limits=httpx2.Limits())
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, http_client=http)


def asks(topic: str) -> dict[str, Any]:
    text = f"I am {SECRET}. Explain at length what is important about {topic}."
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 12, "temperature": 0}


@contextmanager
def migration_site(folder: Path, shown: Path) -> Iterator[Site]:
    """Yield a fleet whose clients still get the cloud. `shown`: an empty folder that the cloud's host sees."""
    ca, identity = CertificateAuthority(folder), pyrage.x25519.Identity.generate()
    with (
        process_watch(KEY, ADMIN_KEY, SECRET, str(identity)) as watch,
        fresh_lab("migrate", *FLEET, OUTSIDE, volumes=volumes(shown), images=images_of(FLEET)) as lab,
    ):
        models = {"gpt-4o-mini": {"shutdown_date": "2027-01-31"}, "gpt-4o": {}, "gpt-4.1": {}}
        cloud = start_cloud(
            lab, OUTSIDE, shown, ca, CLOUD, {"models": models, "objects": OBJECTS, "contents": CONTENTS}
        )
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


def is_answered(client: openai.OpenAI) -> bool:
    try:
        return bool(client.chat.completions.create(model="gpt-4o-mini", **asks("water")).choices)
    except openai.APIError:
        return False


@dataclass
class Clients:
    """Clients that ask new questions all the time, as the key `shop`."""

    gateways: tuple[openai.OpenAI, ...]
    tokens: int = 12
    """Of each stream, which is every third request."""
    ended: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    failed: int = 0

    def __call__(self, number: int) -> None:
        client = self.gateways[number % len(self.gateways)]
        for count in itertools.count():
            if self.ended.is_set():
                return
            topic = f"{TOPICS[count % len(TOPICS)]}, for the {number}-{count}th time"
            tokens = 12 if count % 3 else self.tokens
            body = {"model": "gpt-4o-mini", **asks(topic), "max_tokens": tokens}
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
def clients(site: Site, count: int = 6, *, tokens: int = 12) -> Iterator[Clients]:
    """Have so many clients ask during the block."""
    asking = Clients(tuple(map(site.through_gateway, GATEWAYS)), tokens)
    threads = [threading.Thread(target=asking, args=(number,)) for number in range(count)]
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


def with_capacity(site: Site) -> Any:
    """Return what the cutover shows when one replica is enough: a busy machine measures less."""
    for _ in range(5):
        shown = site.migrate("cutover", "support")
        if "replicas, and the fleet file has" not in json.dumps(shown["steps"]):
            break
        site.said("capacity", "support", "--seconds", "10", check=None, small_steps=True)
    return shown
