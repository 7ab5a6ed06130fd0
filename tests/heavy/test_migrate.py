"""From a client that knows only the cloud to a page with costs. The tests build on one another."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.heavy.migration_site import (
    CONTENTS,
    FEW,
    FLEET,
    GATEWAYS,
    NAMES,
    TOPICS,
    Clients,
    Site,
    asks,
    clients,
    is_answered,
    migration_site,
    shares,
    sums,
    use_kept_tools,
    with_capacity,
)
from tests.heavy.small_steps import PART, RATES, SmallSteps
from tests.lab.operator import Operator, Said
from tests.stand_in_cloud import Fault
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with migration_site(tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("cloud")) as made:
        yield made


def test_a_client_changes_its_url_and_key_and_the_cloud_still_answers(site: Site) -> None:
    before = site.direct().chat.completions.create(model="gpt-4o-mini", **asks("water"))
    site.plan("support", "gpt-4o-mini", least=40)
    site.key = site.operator("key", "add", "shop", "--owner", "shop", "--json").json["key"]
    site.watch.secrets.append(site.key)
    client = site.through_gateway()
    wait_until(lambda: is_answered(client))
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


def test_a_fleet_that_dies_midway_ends_with_the_cloud_answering_and_the_reason_on_screen(site: Site) -> None:
    site.plan("support", "gpt-4o-mini", least=40, waivers={"store": "nobody lists them"})
    # What is late or down would keep the share from growing.
    site.operator("backup", "run")
    wait_until(lambda: site.operator("status", check=None).code == 0)
    unit = "rackwright-equal@1.service"
    with clients(site) as asking:
        here, found = site.operator, list[Said]()
        words = ("migrate", "cutover", "support", "--execute", "--yes")
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
    assert all(one["record"]["back"] for one in site.migrate("cutover", "support")["gateways"].values())
    # Each failure of a client is in the ledger.
    lost = sums(site)
    assert sum(one["rejected"] + one["interrupted"] for one in lost.values()) == asking.failed > 0
    site.lab.exec("gpu1", f"systemctl start {unit}")
    wait_until(lambda: site.operator("status", check=None).code == 0)


def test_a_migration_from_the_first_share_to_the_certificate(site: Site) -> None:
    """No request is lost. The whole share is refused until the way back was tried."""
    shown = with_capacity(site)
    assert [(one["share"], len(one["problems"])) for one in shown["steps"]] == [(50, 0), (100, 1)]
    assert shares(site) == {"gate1": 0, "gate2": 0}
    before = sums(site)
    with clients(site) as asking:
        said = site.said("cutover", "support", "--execute", "--yes", check=12)
        assert "the way back was not tried in this migration" in said.err, said.err
        assert shares(site) == {"gate1": 50, "gate2": 50}
        _panic(site)
        assert site.migrate("rollback", "support")["missed"] == {}
        whole = site.migrate("cutover", "support", "--execute", "--yes", "--from", "100")
        assert (whole["state"]["phase"], whole["state"]["share"]) == ("passed", 100)
        assert "score of requests since then: PASS" in whole["state"]["why"]
        cloud, answered = len(site.cloud.completions()), asking.answered
        wait_until(lambda: asking.answered >= answered + 10)
        assert len(site.cloud.completions()) == cloud
    _lost_nothing(site, before, asking)
    _reviewed(site)
    _finished(site)


def _panic(site: Site) -> None:
    """A file on a gateway sends everything there to the cloud, without this tool."""
    state = "systemctl show -P ActiveState rackwright-panic.service"
    site.lab.exec("gate1", "touch /etc/rackwright/gateway/panic")
    wait_until(lambda: site.lab.exec("gate1", state).out.strip() == "active")
    assert site.lab.exec("gate1", "cat /etc/rackwright/gateway/cutovers.map").out == ""
    shown = site.migrate("cutover", "support")
    assert {host: one["share"] for host, one in shown["gateways"].items()} == {"gate1": 0, "gate2": 50}
    assert "has a panic file" in json.dumps(shown["problems"])
    site.lab.exec("gate1", "rm /etc/rackwright/gateway/panic")


def _lost_nothing(site: Site, before: dict[str, Counter[str]], asking: Clients) -> None:
    after = sums(site)
    assert asking.failed == 0
    grown = {side: after[side] - before.get(side, Counter()) for side in after}
    assert sum(one["accepted"] for one in grown.values()) == asking.answered
    # A client may disconnect when it has read the last event of a stream, before the gateway has seen its end.
    for one in grown.values():
        assert one["accepted"] == one["completed"] + one["cancelled"], grown
        assert one["interrupted"] == one["rejected"] == 0, grown
    assert min(one["accepted"] for one in grown.values()) >= 20


def _reviewed(site: Site) -> None:
    """What needs whole hours isn't measured within minutes."""
    found = site.said("review", "support", "--out", str(site.folder / "review.html"), check=None).json["review"]
    states = {f"{one['promise']} {one['of']}".strip(): one["state"] for one in found["findings"]}
    assert states["score"] == "kept", found
    assert states["ledger residual"] == "kept", found
    assert "signature" in (site.folder / "review.html").read_text()


def _finished(site: Site) -> None:
    """The provider's objects and its key go, and a signed page says so."""
    text = site.operator.path.read_text()
    equal, others = text.split("    cloud: acme\n", 1)
    site.operator.path.write_text(equal + "    cloud: acme\n" + others.replace("    cloud: acme\n", ""))
    site.operator("apply", "--yes", "--not-stale", timeout=600)
    exported = site.migrate("export", "support")
    assert (exported["whole"], exported["kinds"]["files"]["new"]) == (True, len(CONTENTS)), exported
    assert site.migrate("finish", "support")["problems"] == []
    ended = site.migrate("finish", "support", "--execute", "--agree", "support", "--yes", "--not-stale")
    assert ended["state"]["phase"] == "done", ended
    assert ended["state"]["kinds"]["files"]["deleted"] == len(CONTENTS), ended
    assert set(ended["state"]["keys"]) == set(GATEWAYS)
    text = site.operator.path.read_text()
    assert "clouds:" not in text
    assert "cloud: acme" not in text
    client, before = site.through_gateway(), len(site.cloud.completions())
    wait_until(lambda: is_answered(client))
    assert len(site.cloud.completions()) == before
    assert site.migrate("recheck", "support")["back"] == []
    key = site.folder / "anna"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    site.operator("drill", "signers", "add", "anna", f"{key}.pub")
    made = site.migrate("certificate", "support", "--sign-with", str(key))
    assert site.said("certificate", "support", "--verify", made["path"]).code == 0


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
        assert found == []


def test_no_process_has_shown_a_secret(site: Site) -> None:
    assert site.watch.shown == []
    # On this machine and on the gateway.
    assert any("rackwright" in one and " migrate replay support" in one for one in site.watch.seen)
    assert any(f"age -r {site.identity.to_public()}" in one for one in site.watch.seen)
