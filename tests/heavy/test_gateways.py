"""Two gateways of one fleet at the command line, in front of a real engine. The tests build on one another."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.fleet.x509 import issue, load_key
from rackwright.lab.fleet_file import DOMAIN
from rackwright.lab.hosts import Lab
from rackwright.state.api_keys.merge_keys import parse_kept_keys
from rackwright.values.secrets import Secret
from tests.lab import malformed, traces
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/fleet/x509.py",
    "rackwright/gateway",
    "rackwright/lifecycle/drain",
    "rackwright/lifecycle/status",
    "rackwright/lifecycle/verify",
    "rackwright/operations/certificate.py",
    "rackwright/operations/haproxy",
    "rackwright/state/api_keys/merge_keys.py",
    "rackwright/state/api_keys/pushed_keys.py",
    "roles/certificate",
    "roles/gateway",
    "roles/host_proxy",
)
REPLICA = "gpu1/assistant@1"
CERTIFICATES = "/etc/rackwright/certificates"
SOCKET = "/run/rackwright/assistant@1/engine.sock"
DROP_IN = "/run/systemd/system/rackwright-assistant@1.service.d"
RESTART = "systemctl daemon-reload && systemctl restart rackwright-assistant@1"
HEALTH = f"curl -sf --unix-socket {SOCKET} http://e/health"
ENGINE = "systemctl show -p MainPID,ActiveEnterTimestampMonotonic rackwright-assistant@1"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("gateways", "gate1", "gate2", "gpu1") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    site.edit("on: [gate1]", "on: [gate1, gate2]")
    site.path.with_name("password").write_text("a password of the tests\n")
    with site.path.open("a") as fleet_file:
        fleet_file.write("backup: {to: [{name: own, url: /srv/own, password: 'file:password'}]}\n")
    site("apply", "--yes", "--close-ports")
    return site


def curl(site: Operator, lab: Lab, gateway: str, key: str, **body: object) -> list[str]:
    """Return a curl command that asks this gateway. Its key and body are in files next to the fleet file."""
    message = {"role": "user", "content": "Name three colors."}
    asked = {"model": "assistant", "messages": [message], "max_tokens": 1, **body}
    header, data = site.path.with_name("header"), site.path.with_name("body")
    header.write_text(f"authorization: Bearer {key}\ncontent-type: application/json\n")
    data.write_text(json.dumps(asked))
    words = f"curl -q -sSN --noproxy * --max-time 240 --cacert {site.path.with_name('test.ca.crt')}".split()
    words += ["--resolve", f"{DOMAIN}:443:{lab.fleet().hosts[gateway]}", "-H", f"@{header}", "-d", f"@{data}"]
    return [*words, "-w", "\n%{http_code}", f"https://{DOMAIN}/v1/chat/completions"]


def status(site: Operator, lab: Lab, gateway: str, key: str) -> int:
    done = subprocess.run(curl(site, lab, gateway, key), capture_output=True, text=True, check=False)
    return int(done.stdout.rpartition("\n")[2] or 0)


def serves(site: Operator) -> bool:
    return bool(site.replicas()[REPLICA]["traffic"] == "yes")


@pytest.fixture(scope="module")
def key(site: Operator) -> str:
    return str(site("key", "add", "ci", "--owner", "tests", "--json").json["key"])


def test_both_serve_and_a_second_apply_changes_nothing(site: Operator) -> None:
    said = site("verify", "--json").json
    assert said["failed"] == 0
    assert {proof["host"] for proof in said["proofs"] if "a completion" in proof["what"]} == {"gate1", "gate2"}
    assert site("apply", "--yes", "--json").json["changed"] == 0


def test_a_keys_requests_at_one_count_at_the_other(site: Operator, lab: Lab, key: str) -> None:
    site("key", "edit", "ci", "--requests-per-minute", "2")
    table = "echo 'show table gateways/requests.gate1' | socat - /run/rackwright-gateway/sockets/admin.sock"
    minute = -1.0

    def other_knows() -> bool:
        counted = re.search(rf"key=ci/{minute:.0f}\|.*=2$", lab.exec("gate2", table).out, re.MULTILINE)
        return bool(counted) or time.time() // 60 != minute

    # All in one minute of the clock, because counting starts again with the next one.
    while time.time() // 60 != minute:
        minute = time.time() // 60
        seen = [status(site, lab, "gate1", key) for _ in range(2)]
        wait_until(other_knows)
        seen += [status(site, lab, name, key) for name in ("gate2", "gate1")]
    assert seen == [200, 200, 429, 429]
    site("key", "edit", "ci", "--requests-per-minute", "unlimited")


def test_what_clients_send_and_get_is_kept_nowhere(site: Operator, lab: Lab, key: str) -> None:
    """That the search would find it is proven by a word that is sent while an operator looks at all lines."""
    inside, outside, shown = (malformed.word() for _ in range(3))
    lab.exec("gpu1", f"mkdir -p {DROP_IN}; printf '[Service]\\nLogFilterPatterns=\\n' >{DROP_IN}/log.conf; {RESTART}")
    wait_until(lambda: serves(site), 120)
    lab.exec(
        "gpu1", "sh", input=malformed.sending_inside(malformed.requests(shown, "assistant"), SOCKET), timeout=300
    )
    lab.exec("gpu1", f"rm -r {DROP_IN}; {RESTART}")
    wait_until(lambda: lab.exec("gpu1", HEALTH, check=False).code == 0, 120)

    asked = (*malformed.requests(inside, "assistant"), malformed.answered_with(inside, "assistant"))
    lab.exec("gpu1", "sh", input=malformed.sending_inside(asked, SOCKET), timeout=300)
    wait_until(lambda: serves(site), 120)
    gateway = (lab.fleet().hosts["gate1"], site.path.with_name("test.ca.crt"), key)
    answers = [malformed.sent(*gateway, *request) for request in malformed.requests(outside, "assistant")]
    assert {200, 400, 500} <= {status for status, _ in answers}
    assert outside in malformed.sent(*gateway, *malformed.answered_with(outside, "assistant"))[1]
    lab.exec("gpu1", "sh /etc/rackwright/assistant@1.evidence rackwright-assistant@1.service /dev/null hung")
    wait_until(lambda: serves(site), 120)

    secret = key[-43:]
    assert traces.found(lab, inside, outside, secret, shown) == {"gpu1": [f"journal: {shown}"]}
    said = site("logs", "gpu1/assistant@1", "--lines", "5000").out + site("logs", "gate1", "--lines", "5000").out
    assert malformed.ALLOWED in said
    files = [path for path in site.path.parent.rglob("*") if path.is_file()]
    texts = [said.encode(), *(path.read_bytes() for path in files)]
    assert not [word for word in (inside, outside) if any(word.encode() in text for text in texts)]

    site("backup", "run")
    in_files = "rackwright-assistant@1.service"
    assert traces.in_snapshots(lab, "own", inside, outside, secret, shown, in_files) == {
        "gate1": set(),
        "gate2": set(),
        "gpu1": {in_files},
    }


def test_no_key_is_told_how_much_of_a_prompt_of_another_key_was_reused(site: Operator, lab: Lab, key: str) -> None:
    other = site("key", "add", "curious", "--owner", "tests", "--json").json["key"]
    gateway = (lab.fleet().hosts["gate1"], site.path.with_name("test.ca.crt"))
    prompt = f"{malformed.word()} is a word that nobody else would write here"
    completion = {"model": "assistant", "prompt": prompt, "max_tokens": 2}
    chat = {"model": "assistant", "messages": [{"role": "user", "content": prompt}], "max_tokens": 2}
    streamed = {"stream": True, "stream_options": {"include_usage": True}, "timings_per_token": True}
    forms = [
        (path, {**asked, **more})
        for path, asked in ((malformed.COMPLETIONS, completion), (malformed.CHAT, chat))
        for more in ({}, streamed, {"response_fields": ["tokens_cached", "timings"]})
    ]
    for path, body in forms:
        # The first of another key, then twice the same: reused or not, the answers have the same form.
        answers = [malformed.sent(*gateway, one, path, json.dumps(body).encode()) for one in (key, other, other)]
        assert {status for status, _ in answers} == {200}
        for _, text in answers:
            assert '"total_tokens"' in text
            assert not re.search("cache|prompt_n|prompt_ms|_per_second|progress", text.replace(prompt, ""))
            assert not re.search(r'"(timings|prompt_tokens_details)":(?!\{\})', text)
    # The engine did reuse it, and says so to root.
    ask = f"curl -s --unix-socket {SOCKET} -H 'Content-Type: application/json' -d @- http://e{malformed.COMPLETIONS}"
    usage = json.loads(lab.exec("gpu1", ask, input=json.dumps(completion), timeout=120).out)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > 10
    for parameter in ("id_slot", "return_progress", "verbose", "n_cache_reuse"):
        body = {**completion, "stream": True, parameter: 1}
        refused, text = malformed.sent(*gateway, other, malformed.COMPLETIONS, json.dumps(body).encode())
        assert (refused, json.loads(text)["error"]["code"]) == (400, "unsupported_parameter")
    site("key", "revoke", "curious", "--yes")


def test_a_gateway_that_is_away_is_named_and_gets_the_revocation_at_the_next_apply(
    site: Operator, lab: Lab, key: str
) -> None:
    other = site("key", "add", "other", "--owner", "tests", "--json").json["key"]
    lab.kill("gate2")
    revoked = site("key", "revoke", "other", "--yes", check=3)
    assert "gate2 was not updated: " in revoked.err
    assert "next: rackwright apply" in revoked.err
    assert "gate1" not in revoked.err
    assert "gpu1" not in revoked.err
    assert set(kept(lab, "gate1").items()) >= {("other", True)}
    assert status(site, lab, "gate1", other) == 401
    the_other_gateway_is_shown_and_proven(site)
    lab.start("gate2")
    # It knows its keys after the reboot, including the revoked one.
    wait_until(lambda: status(site, lab, "gate2", key) == 200)
    assert status(site, lab, "gate2", other) == 200
    site("apply", "--yes")
    assert [status(site, lab, "gate2", each) for each in (other, key)] == [401, 200]
    # What the apply has brought is gone from the control host; the tombstones stay.
    assert kept(lab, "gate1") == {"curious": True, "other": True}


def the_other_gateway_is_shown_and_proven(site: Operator) -> None:
    """While gate2 is away, `status` and `verify` name it, and report the service of gate1."""
    shown = site("status", "--json", check=12).json
    assert [(host["host"], host["state"]) for host in shown["hosts"]][:2] == [
        ("gate1", "ok"),
        ("gate2", "unreachable"),
    ]
    (replica,) = shown["replicas"]
    assert (replica["traffic"], replica["gateways"]) == ("yes", {"gate1": "yes", "gate2": "unknown"})
    assert "yes (gate1: yes, gate2: unknown)" in site("status", check=12).out
    proofs = site("verify", "--json", check=12).json["proofs"]
    answers = {(proof["host"], proof["passed"]) for proof in proofs if "a completion" in proof["what"]}
    assert answers == {("gate1", True)}
    assert {proof["host"] for proof in proofs if not proof["passed"]} == {"gate2"}
    assert {proof["passed"] for proof in proofs if proof["host"] == "gate2"} == {False}


def kept(lab: Lab, host: str) -> dict[str, bool]:
    """Return the keys of which the control host keeps a change, and whether it is a tombstone."""
    text = lab.exec(host, "cat /var/lib/rackwright/keys.pushed").out
    return {one.key.id: one.revoked for one in parse_kept_keys(text, host)}


def test_an_older_copy_of_the_keys_file_undoes_nothing(site: Operator, lab: Lab, key: str, tmp_path: Path) -> None:
    leaked = site("key", "add", "leaked", "--owner", "tests", "--json").json["key"]
    older = Operator(Path(shutil.copytree(site.path.parent, tmp_path / "copy")) / site.path.name)
    site("key", "revoke", "leaked", "--yes")
    fresh = site("key", "add", "fresh", "--owner", "tests", "--json").json["key"]
    assert site("plan", "--json").json["changed"] == 0
    refused = older("apply", "--yes", check=11).err
    assert "leaked of tests was revoked by" in refused
    assert "fresh of tests was added by" in refused
    third = Operator(Path(shutil.copytree(older.path.parent, tmp_path / "third")) / older.path.name)
    older("key", "pull")
    # Git doesn't know this copy either, and --yes doesn't confirm that it is newer.
    assert "next: if they are newer: the same command with --not-stale" in older("apply", "--yes", check=11).err
    assert older("apply", "--yes", "--not-stale", "--json").json["changed"] == 0
    assert [status(site, lab, gate, each) for gate in ("gate1", "gate2") for each in (leaked, fresh)] == [
        401,
        200,
    ] * 2
    # Without the gateways' own files, the control host still knows the revocation, and so do its backups.
    pushed = "/etc/rackwright/gateway/keys.pushed"
    for gate in ("gate1", "gate2"):
        lab.exec(gate, f"mv {pushed} {pushed}.aside")
    assert "leaked of tests was revoked by" in third("key", "pull").out
    for gate in ("gate1", "gate2"):
        lab.exec(gate, f"mv {pushed}.aside {pushed}")
    site("backup", "run", "gate1")
    saved = lab.exec("gate1", "/etc/rackwright/backup/restic.sh own dump latest /var/lib/rackwright/keys.pushed").out
    assert {one.key.id for one in parse_kept_keys(saved, "gate1") if one.revoked} >= {"leaked", "other"}


def test_a_stream_outlives_reloads_of_both_proxies(site: Operator, lab: Lab, key: str) -> None:
    words = curl(site, lab, "gate1", key, stream=True, max_tokens=400, ignore_eos=True)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as stream:
        assert stream.stdout is not None
        assert stream.stdout.readline().startswith("data: {")
        for _ in range(2):
            lab.exec("gate1", "systemctl reload rackwright-gateway")
            lab.exec("gpu1", "systemctl reload rackwright-host-proxy")
        assert stream.poll() is None
        assert stream.stdout.read().rstrip().endswith("data: [DONE]\n\n\n200")
    assert status(site, lab, "gate1", key) == 200


def test_a_gateway_that_leaves_ends_its_stream_and_clients_try_the_other(site: Operator, lab: Lab, key: str) -> None:
    words = curl(site, lab, "gate1", key, stream=True, max_tokens=400, ignore_eos=True)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as stream:
        assert stream.stdout is not None
        assert stream.stdout.readline().startswith("data: {")
        site("drain", "gate1", "--reason", "new kernel", "--yes")
        assert stream.poll() is None
        assert [status(site, lab, name, key) for name in ("gate1", "gate2")] == [0, 200]
        assert both(site, lab, key) == 200
        assert stream.stdout.read().rstrip().endswith("data: [DONE]\n\n\n200")
    left = {host["host"]: host["left"] for host in site("status", "--json").json["hosts"]}
    assert (left["gate1"]["reason"], left["gate2"], left["gpu1"]) == ("new kernel", None, None)
    assert site("apply", "--yes", "--json").json["changed"] == 0
    lab.reboot("gate1")
    assert [status(site, lab, name, key) for name in ("gate1", "gate2")] == [0, 200]
    site("drain", REPLICA, "--reason", "fan", "--yes", "--allow-outage")
    # As if it had been down when the replica was drained.
    lab.exec("gate1", "rm /var/lib/rackwright/drains/*")
    site("undrain", "gate1")
    assert [status(site, lab, name, key) for name in ("gate1", "gate2")] == [503, 503]
    site("undrain", REPLICA)
    assert [status(site, lab, name, key) for name in ("gate1", "gate2")] == [200, 200]


def both(site: Operator, lab: Lab, key: str) -> int:
    """Return the status that a client gets who knows both addresses and tries gate1 first."""
    addresses = lab.fleet().hosts
    known = f"{addresses['gate1']},{addresses['gate2']}"
    words = [word.replace(addresses["gate1"], known) for word in curl(site, lab, "gate1", key)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return int(done.stdout.rpartition("\n")[2] or 0)


def test_a_drain_by_hand_reaches_a_gateway_that_lost_it_and_stays_over_apply(
    site: Operator, lab: Lab, key: str
) -> None:
    site("drain", REPLICA, "--reason", "fan replacement", "--yes", "--allow-outage")
    shown = site.replicas()[REPLICA]
    assert shown["drained"]["reason"] == "fan replacement"
    assert shown["drained"]["manual"]
    assert "fan replacement" in lab.exec("gate2", "tail -n 1 /var/lib/rackwright/audit.log").out
    lab.exec("gate2", "rm /var/lib/rackwright/drains/*; systemctl restart rackwright-gateway")
    wait_until(lambda: status(site, lab, "gate2", key) == 200)
    assert site("plan", "--check", "--json", check=4).json["drains"] == [{"gateway": "gate2", "replica": REPLICA}]
    site("apply", "--yes")
    assert site("plan", "--check").code == 0
    assert [status(site, lab, name, key) for name in ("gate1", "gate2")] == [503, 503]
    assert site.replicas()[REPLICA]["drained"] == shown["drained"]
    site("undrain", REPLICA)
    assert [status(site, lab, name, key) for name in ("gate1", "gate2")] == [200, 200]


def age(site: Operator, lab: Lab, host: str, stem: str, *names: str, client: bool = False) -> None:
    """Give the host a certificate of the fleet's CA that expires in twenty days."""
    ca = site.path.with_name("test.ca.crt").read_text()
    (private,) = site.path.parent.glob("config/rackwright/*/ca-*.key")
    signer = load_key(Secret(private.read_text()))
    began = datetime.now(UTC) - timedelta(days=345)
    issued = issue(ca, signer, names, client=client, days=365, now=began)
    lab.exec(host, f"cat >{CERTIFICATES}/{stem}.crt", input=issued.certificate_pem)
    encrypt = f"systemd-creds encrypt --with-key=host --name={stem}.key - {CERTIFICATES}/{stem}.key.cred"
    lab.exec(host, encrypt, input=issued.key.reveal())


def test_certificates_in_their_last_third_are_warned_of_and_renewed_and_no_engine_restarts(
    site: Operator, lab: Lab, key: str
) -> None:
    addresses = lab.fleet().hosts
    age(site, lab, "gate1", "gateway", DOMAIN, addresses["gate1"])
    age(site, lab, "gate1", "gateway-client", "gate1", client=True)
    (private,) = site.path.parent.glob("config/rackwright/*/ca-*.key")
    away = private.rename(private.with_name("away"))
    said = site("check", check=12).out
    assert "the CA's key isn't on this machine, and certificates are due: gate1 (gateway" in said
    away.rename(private)
    age(site, lab, "gpu1", "host-proxy", "gpu1", addresses["gpu1"])
    lab.exec("gate1", "systemctl reload rackwright-gateway")
    lab.exec("gpu1", "systemctl reload rackwright-host-proxy")
    warned = site("status", "--json").json
    found = [warning.partition(" ends on ")[0] for warning in warned["warnings"]]
    certificates = ["gate1: certificate gateway", "gate1: certificate gateway-client", "gpu1: certificate host-proxy"]
    assert sorted(found) == certificates
    assert {host["host"]: host["certificates"] for host in warned["hosts"]}["gpu1"]["host-proxy"] in (19, 20)
    proofs = site("verify", "--json", check=12).json["proofs"]
    assert [proof["host"] for proof in proofs if not proof["passed"]] == ["gate1"]
    before = [lab.exec("gpu1", ENGINE).out, pids(lab)]
    assert site("apply", "--yes", "--json").json["restarted"] == []
    assert [lab.exec("gpu1", ENGINE).out, pids(lab)] == before
    assert site("status", "--json").json["warnings"] == []
    assert site("verify", "--json").json["failed"] == 0
    assert site("apply", "--yes", "--json").json["changed"] == 0


def pids(lab: Lab) -> list[str]:
    units = (("gate1", "rackwright-gateway"), ("gate2", "rackwright-gateway"), ("gpu1", "rackwright-host-proxy"))
    return [lab.exec(host, f"systemctl show -p MainPID {unit}").out for host, unit in units]
