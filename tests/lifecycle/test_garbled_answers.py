"""Whatever a host answers, its parser returns a value that can be shown, or the host counts as unreadable."""

from __future__ import annotations

import ast
import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rackwright.cli.plan import plan_document
from rackwright.cli.render.plan_text import plan_view
from rackwright.cli.status import _lines
from rackwright.errors import FleetError
from rackwright.fleet.targets import targets
from rackwright.gateway.canaries import parse_canaries
from rackwright.gateway.capture_runtime import parse_files
from rackwright.gateway.capture_runtime import parse_look as parse_capture_look
from rackwright.gateway.clouds import parse_clouds
from rackwright.gateway.cutover_states import parse_cutover
from rackwright.gateway.fallback_counts import parse_fallbacks
from rackwright.gateway.ledger import parse_ledger
from rackwright.gateway.left import parse_left
from rackwright.gateway.server_states import (
    parse_count,
    parse_downtimes,
    parse_drains,
    parse_dropped,
    parse_queued,
    parse_states,
)
from rackwright.gateway.usage import parse_usage
from rackwright.gateway.whole_ledger import whole
from rackwright.hardware.hardware import parse_hardware
from rackwright.hardware.nvidia_smi import parse_nvidia_smi
from rackwright.hardware.pci import parse_lspci, parse_sys_pci
from rackwright.hardware.xid import parse_xids
from rackwright.lifecycle.access import scripts as access
from rackwright.lifecycle.apply import plan
from rackwright.lifecycle.apply.dropped_names import parse_uses
from rackwright.lifecycle.apply.missing_builds import parse_builds
from rackwright.lifecycle.assess.machine import parse_machine
from rackwright.lifecycle.backup import contents, snapshots
from rackwright.lifecycle.ca.on_hosts import parse_certificates
from rackwright.lifecycle.canary.logs import parse_lines
from rackwright.lifecycle.check import lost_files, requirements
from rackwright.lifecycle.check.clouds import parse_cloud_answer
from rackwright.lifecycle.drill.scratch_hosts.identity import parse_identity
from rackwright.lifecycle.drill.scratch_hosts.reach_probes import parse_tried
from rackwright.lifecycle.drill.scratch_hosts.surroundings import parse_surroundings
from rackwright.lifecycle.drill.scratch_hosts.wipe import parse_remains
from rackwright.lifecycle.migrate.finish.gateway_keys import parse_key_files
from rackwright.lifecycle.migrate.review.gateway_logs import parse_sums
from rackwright.lifecycle.p2p import transfer
from rackwright.lifecycle.patch import step_problems
from rackwright.lifecycle.prune import scripts as prune
from rackwright.lifecycle.restore.first_hashes import parse_first_hashes
from rackwright.lifecycle.restore.plan import parse_present
from rackwright.lifecycle.restore.staging import parse_look
from rackwright.lifecycle.session import survey
from rackwright.lifecycle.session.overrides import parse_overrides
from rackwright.lifecycle.status import procedure as status
from rackwright.lifecycle.status.engines import parse_engines
from rackwright.operations.facts.clock import parse_clock
from rackwright.operations.facts.filters import parse_filters
from rackwright.operations.facts.found_driver import parse_found_driver
from rackwright.operations.facts.listening import parse_listening
from rackwright.operations.facts.people import parse_people
from rackwright.remote import Completed, Remote, UnreadableAnswer, read_answer
from rackwright.report.words import size
from rackwright.roles.backup import others
from rackwright.roles.backup import state as backups
from rackwright.roles.boot.one_boot import parse_one_boot
from rackwright.roles.certificate import ends
from rackwright.roles.etcd import state as etcd
from rackwright.roles.ledger.program.book import Book, parse_book
from rackwright.roles.ledger.program.lines import parse_line
from rackwright.roles.ledger.program.tables import parse_tables
from rackwright.roles.patch import packages as patching
from rackwright.roles.patch.parse_state import parse_state
from rackwright.roles.patch.replaced import parse_replaced
from rackwright.roles.patch.well import parse_well
from rackwright.roles.replica import proof
from rackwright.roles.replica import state as replicas
from rackwright.roles.replica.answer import parse_answer
from rackwright.roles.replica.embedding import parse_embedding
from rackwright.roles.replica.question import parse_golden
from rackwright.roles.usage.program import form as usage
from rackwright.roles.usage.program.day import Day, Row
from rackwright.roles.usage.program.lines import parse_ended
from rackwright.roles.usage.program.state import State, Sum
from rackwright.roles.usage.program.tables import parse_seen
from rackwright.state.api_keys.merge_keys import parse_kept_keys
from rackwright.state.api_keys.pushed_keys import parse_pushed
from rackwright.state.control import parse_control
from rackwright.state.journal import parse_journal
from rackwright.state.kit import parse_contents, parse_kit
from rackwright.state.lease import parse_lease
from rackwright.state.record import parse_record
from rackwright.state.rollout import HostPart, HostRollout, parse_rollout
from tests.hardware.outputs import FOLDER, printed
from tests.lifecycle.hostile import HOSTILE, Lost, session_with
from tests.lifecycle.patch.states import STATE

ROOT = Path(__file__).parents[2]
RECORD = (
    '{"format": "control-hosts/1", "hosts": ["gate1"], "number": 3, "since": "2026-11-01T08:00:00Z", "who": "anna"}'
)
CAPTURE = (
    '== orders\n{"format":"capture/1","migration":"support","recipient":"age1","until":1,"size":2,"request":3,'
    '"reserve":4,"redact":{}}\n\n== active\n== state\n{"format":"capture-state/1","migration":"support","until":1,'
    '"recorded":2,"bytes":3,"dropped":{"full":1},"personal":{"email":1},"ended":""}\n\n'
    "== files\n00000001-12.age 900\n"
)
OWNER = '{"format": "lease/1", "who": "anna", "machine": "vm", "why": "apply", "run": "r1"}'
ENTRY = (
    '{"format": "journal/1", "time": "2026-11-01T08:00:00Z", "rollout": "r", "run": "r", "operator": "anna",'
    ' "event": "opened", "subject": "", "phase": "", "detail": "apply"}'
)
DRAIN = '{"format": "drain/1", "who": "anna", "reason": "fan", "manual": true, "time": "2026-11-01T08:00:00Z"}'
LEFT = DRAIN.replace("drain/1", "left/1")
BACKUP = (
    'restic 0.18.0\nnow 1790000000\nstate disk {"format": "backup/1", "since": "2026-11-01T08:26:40Z", "snapshot":'
    ' "f00", "snapshot_at": "2026-11-25T05:26:40Z", "files": "12", "bytes": "34", "run_failed": "no space"}\n'
    "Id=rackwright-backup@disk.timer\nActiveState=active\nSubState=waiting\nUnitFileState=enabled\nResult=success\n"
)
REPLICAS = (
    "replica=tiny@1\nActiveState=active\nResult=signal\nExecMainStatus=4\nNRestarts=2\nMainPID=7\n"
    f"weights=0123456789abcdef \nwanted={'a' * 64}\nstarted={'a' * 64}\ngpus=GPU-1,GPU-2\n"
    "state=ready\nsince=1790000000\n"
)
OVERRIDES = (
    "Id=rackwright-host-proxy.service\nFragmentPath=/etc/systemd/system/rackwright-host-proxy.service\n"
    "DropInPaths=/etc/systemd/system/rackwright-host-proxy.service.d/override.conf\n"
)
PEOPLE = (
    "-- group\nrackwright-people:x:990:anna\n-- passwd\nanna:x:1001:1001:Anna,,,:/home/anna:/bin/bash\n"
    "-- shadow\nanna:*:20000:0:99999:7::1:\n-- odd\nben\n-- stat\n600 anna /home/anna/.ssh/authorized_keys\n"
)
STATES = (
    "== servers\n1\n# be_id be_name\n5 model.tiny 1 gpu1.tiny.1.8100 10.0.0.10 2 0 1 1 9\n== stat\n# svname,scur\n"
    f"gpu1.tiny.1.8100,3\n== canaries\n500|gpu1.tiny.1.8100|1790000000|abc|r1\n== drain gpu1.tiny.1.8100\n{DRAIN}\n"
)
PUSHED = (
    '{"format": "told-key/1", "key": {"id": "a", "owner": "b", "sha256": "' + "a" * 64 + '", "created":'
    ' "2026-11-01T08:00:00Z"}, "who": "anna", "when": "2026-11-01T08:00:00Z", "revoked": false}'
)
KIT = (
    '{"format": "saved-kit/1", "at": {"vault": {"repository": "abcdef01", "snapshot": "abcdef02", "when":'
    ' "2026-11-01T08:00:00Z", "files": 3, "bytes": 9, "digest": "d", "applied": "r", "with_ca_key": true}}}\n'
    '{"format": "applied/1", "fleet_file": "site.yml", "who": "anna", "run": "r", "when": "2026-11-01T08:00:00Z"}\n'
)
CONTENTS = (
    '{"format": "kit/1", "fleet": "acme", "fleet_file": "fleet/site.yml", "who": "anna", "when":'
    ' "2026-11-01T08:00:00Z", "rackwright": "0.1.0", "with_ca_key": true, "files": 3, "left_out": ["a: b"],'
    ' "references": [{"where": "ca.key", "reference": "env:CA"}]}'
)
PATCHING = (
    "state inactive\nresult failed 1\nuptime 1790.15 1700.00\nfound space\t/boot\t9000\t12\n"
    "found changed\ta:all\t2 abc\t2 def\nfound locked\t/var/lib/dpkg/lock\t\t12 apt\nlog E: it failed\n"
)
EMBEDDING = '{"data": [{"embedding": [0.6, -0.8]}]}'
ANSWER = '{"choices": [{"text": "blue", "logprobs": {"tokens": ["b"], "top_logprobs": [{"b": -0.1}]}}]}'
SMI = (FOLDER / "h100.xml").read_text()
WELL = (
    f"unit ssh.service running\nmount / ext4\nfilter inet rackwright {'a' * 64}\nclock synchronized\n"
    "library 550.163.01\nfabric 550.163.01\nxid 79 0000:17:00 93.027938\n"
    f"hardware\n{printed(facts='loaded 550.163.01' + chr(10), smi=SMI + 'rc 0' + chr(10))}end\n"
)
DRILL = b'{"format": "drill-host/1", "fleet": "acme", "drill": "d1", "who": "ada", "time": "2026-11-01T08:00:00Z"}'
IDENTITY = (
    f"machine-id {'a' * 32}\nkey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA\naddress 10.0.0.9\naddress fe80::1\n"
    "unit rackwright-x@1.service\nrunning rackwright-x@1.service\nuser rw-x\ntrace /srv/models\n"
    f"filesystem ext4 /srv/models\nlistens 443\nmarker {'a' * 64} {base64.b64encode(DRILL).decode()}\nseen 7\nend\n"
)

SURVEYED: dict[str, str] = {
    "ours before": "/proc/12/cgroup\n/proc/13/cgroup\n",
    "listening": 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=12,fd=3))\n',
    "ours after": "/proc/12/cgroup\n",
    "filters": "unit docker\nchain DOCKER\nnetwork eth0\ntcp dport 22 accept\nudp dport 1-9 accept\n",
    "replicas": REPLICAS,
    "record": '{"format": "record/1", "lock": "abc", "when": "2026-11-01T08:00:00Z", "who": "anna", "run": "r"}',
    "connected": "192.0.2.7 192.0.2.1\n",
    "drains": f"== drain gpu1.tiny.1.8100\n{DRAIN}\n",
    "backup": BACKUP,
    "driver": "loaded 580.1\nours driver\npackage installed nvidia-dkms 580.1-1\n",
    "hardware": f"m-123456\nm-123456 facts\nmemory 100\ncpus 4\nm-123456 smi\n{SMI}\nrc 0\nm-123456 log\n",
    "control": RECORD,
    "kit": KIT,
    "overrides": OVERRIDES,
    "left": f"left {LEFT}\n",
    "etcd": f"installed\nmember\nactive active\nstarted {'a' * 64}\npresent {'a' * 64}\n",
    "people": PEOPLE,
}
"""What the parts of a survey print."""


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
CUTOVER = """== now 1790000000
== file
gpt-4o 250000|support|1790000000|0|b1.2|assistant
== worker
0x7f gpt-4o 250000|support|1790000000|0|b1.2|assistant|120
== record
{"format":"cutover/1","migration":"support","share":25.0,"back":false,"who":"carla","time":1790000000}

== panic
== dealt
# table: gateways/dealt.gate1, type: string, size:1024, used:1
0x7f16: key=b1.2|gpt-4o|.... use=0 exp=1 shard=0 gpc0=3 gpc1=9
"""
FALLBACKS = """== now 1790000000
== most
support 120
== counts
# table: gateways/fallbacks.gate1, type: string, size:1024, used:1
0x7f16: key=support|497222|.... use=0 exp=1 shard=0 gpc0=12 gpc1=9
"""
BOOK = (
    '{"format":"ledger/1","gateway":"gate1","since":498940,"taken":1796188800000,"cursor":"s=1;i=2","last":"ab",'
    '"read":1796188700000,"lost":[[1796188600000,1796188700000]],"dropped":0,"accepted":[["gate1",498941,"good",'
    '"fleet",[[31356,3]]],["gate2",498941,"good","cloud",[[7,1]]]],"outcomes":[[498941,"good","fleet",1,0,0,0]],'
    '"running":[[498941,"good","fleet",1]],"residuals":[[498941,"good","fleet",1,1]],'
    '"days":[["gate1",20780,"good","fleet",9,8,1,0,0]]}'
)
TABLES = """== own gate1 31356 1796188800000
# table: gateways/accepted.gate1, type: string, size:102400, used:1
0x7f01: key=good|fleet|498941|31356|.... use=0 exp=172790000 shard=0 gpc0=3 conn_cur=1

== read 1796188800004
== end
"""
ENDED = (
    '{"time":"2026-12-02T05:21:18.123Z","key":"good","status":200,"end":"completed","first_byte_ms":12,"total_ms":30,'
    '"side":"fleet","accepted":true}'
)
USED = Day(20792, rows={Row("good", "research", "chat"): [1, 0, 0, 0, 70, 64, 5, 0, 30]}, gaps=[(1, 2)])
USAGE = usage.state_text(
    State("gate1", 9, "s=1", "ab", 8, {7: 1}, {20792: USED}, {Sum("key", "good", "d20792"): 75}, {"gate2": {}})
)
USED_UP = ENDED.replace('"side"', '"model":"chat","prompt_tokens":70,"completion_tokens":5,"side"')
SEEN = "== dropped 7 1\n== table gate1\n0x7f: key=k|good|d20792|. use=0 exp=1 gpc0=75 gpc1=0\n== end\n"
SUMMED = (
    '{"format":"answered/1","oldest":1790000000,"first":1790000009.5,"read":2,"dropped":0,"whole":true,'
    '"rows":[[497222,"gpt-4o","fleet",2,2,1,7,3]],"samples":{"fleet":{"share":0.5,"lines":["{}"]}}}'
)
PARSERS: dict[Callable[..., Any], tuple[Callable[[str], Any], str]] = {
    survey.parse_connected: (survey.parse_connected, "192.0.2.7 10.0.0.2\n"),
    parse_certificates: (parse_certificates, f"--- gateway\n{CERTIFICATE}--- trusts\n{CERTIFICATE}"),
    parse_queued: (parse_queued, "== stat\n# pxname,svname,qcur,\nmodel.tiny,BACKEND,2,\n"),
    parse_canaries: (lambda text: dict(parse_canaries(text)), "500|gpu1.tiny.1.8100|1790000000|abc|r1\n"),
    parse_capture_look: (parse_capture_look, CAPTURE),
    parse_files: (parse_files, f"{'a' * 64} 00000001-12.age\n"),
    parse_downtimes: (parse_downtimes, "tiny 1790000000\n"),
    parse_ledger: (lambda text: parse_ledger("gate1", text), BOOK),
    parse_book: (parse_book, BOOK),
    parse_tables: (parse_tables, TABLES),
    parse_line: (lambda text: parse_line(text.encode()), ENDED),
    usage.parse_state: (usage.parse_state, USAGE),
    usage.parse_days: (usage.parse_days, usage.days_text("gate1", [USED])),
    parse_usage: (lambda text: parse_usage("gate1", text), USAGE),
    parse_ended: (lambda text: parse_ended(text.encode()), USED_UP),
    parse_seen: (parse_seen, SEEN),
    parse_dropped: (parse_dropped, "0\n38\n"),
    parse_uses: (parse_uses, 'old 2026-11-01T03:15:00.000Z "ada"\n'),
    parse_engines: (
        parse_engines,
        "replica=tiny@1\nseconds=60\nrestarts=1\nruntime=vllm-1\nexited=killed, 9/KILL\nevidence=61\nfound=hung\n",
    ),
    parse_drains: (parse_drains, SURVEYED["drains"]),
    parse_states: (parse_states, STATES),
    parse_clouds: (parse_clouds, "1\n# be_id be_name\n3 cloud.acme 1 address1.443 203.0.113.1 2 4 1\n"),
    parse_cutover: (parse_cutover, CUTOVER),
    parse_fallbacks: (parse_fallbacks, FALLBACKS),
    parse_key_files: (parse_key_files, "/etc/rackwright/cloud/acme.key.cred\nlooked\n"),
    parse_cloud_answer: (parse_cloud_answer, '{"data":[{"id":"gpt-4o"}]}\nfigures: 200 0 \n'),
    parse_hardware: (parse_hardware, SURVEYED["hardware"]),
    parse_nvidia_smi: (parse_nvidia_smi, SMI),
    parse_lspci: (parse_lspci, "0000:17:00.0 0302: 10de:2330 (rev a1)\n"),
    parse_sys_pci: (parse_sys_pci, "0000:17:00.0 0x030200 0x10de 0x2330\n"),
    parse_xids: (parse_xids, "1790000000.1 kernel: NVRM: Xid (PCI:0000:17:00): 79, pid=1, GPU has fallen off\n"),
    access.parse: (
        access.parse,
        "begins 1790000000.5\nuser anna 1001\npassword anna\nsudo anna (ALL) ALL\n"
        "login anna SHA256:abc 1790000000.1 192.0.2.7\n",
    ),
    parse_machine: (
        parse_machine,
        "systemd yes\nmodels 100 50\ndrive sda 1 2048 disk\nsupply PS2 | C9h | lost\nwatts 9\n",
    ),
    parse_sums: (parse_sums, SUMMED),
    parse_lines: (parse_lines, "-- cursor: s=1\n"),
    requirements.parse: (requirements.parse, "time 1790000000.5\nos debian 13\ndisk 100\nurl 0 200\n"),
    lost_files.parse: (
        lambda text: lost_files.parse(text, ("https://a.lab/a", "https://a.lab/b")),
        "0 0 200\n1 7 000\n",
    ),
    transfer.parse: (transfer.parse, "whole\nfree 100\narrived 50\n"),
    prune.parse: (
        lambda text: prune.parse(text, "/srv"),
        "now 1790000000\nweights 100 1780000000 tiny/0123456789abcdef\n",
    ),
    snapshots.parse_snapshots: (
        snapshots.parse_snapshots,
        '[{"id": "a", "time": "2026-11-01T08:00:00.1Z", "hostname": "gpu2",'
        ' "tags": ["rackwright"], "paths": ["/etc"], "summary": {"backup_start": "2026-11-01T08:00:00.1Z",'
        ' "total_files_processed": 3, "total_bytes_processed": 9}}]',
    ),
    contents.parse_entry: (
        lambda text: contents.parse_entry(text.encode()),
        '{"name": "a", "type": "file", "path": "/a", "size": 3, "mtime": "2026-11-01T08:00:00.1Z",'
        ' "permissions": "-rw-------", "struct_type": "node"}',
    ),
    parse_first_hashes: (parse_first_hashes, f"{'5' * 64} golden/a.json\n"),
    parse_present: (parse_present, "12 1790000000.5 bench/a b\n"),
    parse_look: (parse_look, 'active\n\n{"percent_done":0.5}\n'),
    parse_clock: (parse_clock, "synchronized yes\ntime 1790000000.123456789\n"),
    patching.parse_look: (patching.parse_look, PATCHING),
    parse_filters: (parse_filters, SURVEYED["filters"]),
    parse_found_driver: (parse_found_driver, SURVEYED["driver"]),
    parse_listening: (parse_listening, SURVEYED["listening"]),
    parse_identity: (parse_identity, IDENTITY),
    parse_surroundings: (
        parse_surroundings,
        "controller 10.0.0.1 22\nresolver 127.0.0.53\napt http://deb.debian.org\nname a.lab ::ffff:10.0.0.7\nend\n",
    ),
    parse_tried: (parse_tried, "10.0.0.9 443 unreachable 0 1\nend\n"),
    parse_remains: (parse_remains, "left path /opt/rackwright\nswap /dev/sda2\nend\n"),
    parse_overrides: (parse_overrides, OVERRIDES),
    parse_count: (parse_count, "3\n"),
    parse_left: (parse_left, SURVEYED["left"]),
    etcd.parse: (etcd.parse, SURVEYED["etcd"]),
    parse_people: (lambda text: parse_people(text.splitlines()), PEOPLE),
    parse_state: (parse_state, STATE),
    parse_replaced: (parse_replaced, "restarted small.service\nstays dbus.service\n"),
    parse_well: (parse_well, WELL),
    backups.parse: (backups.parse, BACKUP),
    others.parse: (others.parse, "0 1\n"),
    parse_one_boot: (
        parse_one_boot,
        "state armed\narmed 6.12.118-amd64\nrunning 6.12.117-amd64\ndefault -\nhands read-only lvm\n",
    ),
    ends.parse: (ends.parse, "gateway.crt notAfter=2027-01-01 00:00:00Z\n"),
    proof.parse: (proof.parse, f"ActiveState=active\nMainPID=7\nword=a\nmarker=abc /srv\nanswer:\n{ANSWER}"),
    replicas.parse: (replicas.parse, REPLICAS),
    parse_answer: (parse_answer, ANSWER),
    parse_builds: (parse_builds, f"{'b' * 64} /opt/rackwright/runtimes/llama_cpp-b1/.verified\n"),
    parse_embedding: (parse_embedding, EMBEDDING),
    parse_golden: (parse_golden, EMBEDDING),
    parse_control: (lambda text: parse_control(text, "gate1"), RECORD),
    parse_rollout: (
        lambda text: parse_rollout(text, "rollout r1"),
        HostRollout(
            procedure="reboot",
            id="r1",
            what="apply --reboot",
            who="ben",
            when=datetime(2026, 11, 30, tzinfo=UTC),
            hosts=(HostPart(name="gpu1", why="a new driver", boot="1"),),
        ).model_dump_json(),
    ),
    parse_journal: (lambda text: parse_journal(text, "gate1"), ENTRY),
    parse_lease: (
        lambda text: parse_lease(text.splitlines(), 1790000000, "gate1"),
        f"lease/1 3 1790000000 1790000060\n{OWNER}\n",
    ),
    parse_contents: (lambda text: parse_contents(text, "vault"), CONTENTS),
    parse_kit: (lambda text: parse_kit(text, "gate1"), KIT),
    parse_pushed: (lambda text: parse_pushed(text, "gate1"), PUSHED),
    parse_record: (lambda text: parse_record(text, "gate1"), SURVEYED["record"]),
    parse_kept_keys: (
        lambda text: parse_kept_keys(text, "gate1"),
        f"{'a' * 64} 7 @ {PUSHED}\n{'b' * 64} revoked # ci of team: revoked 2026-11-02\n",
    ),
}
"""Every parser of hosts' answers → how it is called, and what a host prints."""

NOT_OF_HOSTS = {
    "rackwright/lifecycle/bench/report.py: parse_report": "a file that guidellm writes on the controller",
    "rackwright/state/formats.py: parse": "tested through all that use it",
    "roles/gateway/access_log.py: parse_access": "tested through parse_lines, which skips what it refuses",
    "roles/nvidia_driver/resolve.py: parse": "a host's answer to `lock` alone, which reports its ValueError",
}

TOKENS = (
    *(
        "",
        "\n",
        "\n\n",
        " ",
        ":",
        "=",
        "|",
        "/",
        ",",
        "\0",
        "\x1b[2J",
        "\x85",
        "²",
        "٣",
        "\ufffd",
        "null",
        "[]",
        "{}",
    ),
    *("-1", "1e400", "NaN", "Infinity", "9" * 20, "9" * 400, "9" * 5000, "0001-01-01T00:00:00+14:00", '"\\ud800"'),
    *("[" * 20000, '{"a":' * 20000, "tcp dport 0-999999999 accept\n", "motd: be good\n"),
)


@st.composite
def garbled(draw: st.DrawFn, text: str) -> str:
    """Return the text with a few pieces cut out, repeated, or replaced by tokens."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)) | st.just(len(text)))
        put = draw(st.sampled_from((*TOKENS, text[start:end] * 2)) | st.text(max_size=20))
        text = text[:start] + put + text[end:]
    return Completed(0, text.encode(errors="replace")).stdout


def shown(value: object) -> None:
    """Fail unless the value can be printed."""
    repr(value).encode()
    if isinstance(value, Book):
        for line in whole({value.gateway: value}, [value]).lines:
            f"{line.begins:%Y-%m-%d %H:%M} {line.residual}".encode()
    if isinstance(value, backups.BackupState):
        for one in value.repositories.values():
            f"{one.alarms} {backups.ages(one.snapshot_age, one.check_age)} {size(one.bytes or 0)}".encode()
    if isinstance(value, contents.Entry):
        f"{value.path} {size(value.size)} {value.mtime and f'{value.mtime:%Y}'}".encode()
    if isinstance(value, patching.Look):
        for problem in step_problems.problems("gpu1", "20261130T000000Z-0001", patching.Step.STAGE, value):
            assert all(line.isprintable() for line in str(problem).splitlines())
    for part in value if isinstance(value, tuple) else ():
        if isinstance(part, snapshots.Snapshot) and part.summary:
            f"{part.summary.files} {size(part.summary.bytes or 0)}".encode()


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: f"{parser.__module__}.{parser.__name__}")
def test_a_real_answer_can_be_read(parser: Callable[..., Any]) -> None:
    parse, answer = PARSERS[parser]
    shown(parse(answer))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: f"{parser.__module__}.{parser.__name__}")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_garbled_answer_is_read_or_refused(parser: Callable[..., Any], data: st.DataObject) -> None:
    parse, answer = PARSERS[parser]
    text = data.draw(garbled(answer))
    try:
        value = read_answer("gpu1", "something", parse, text)
    except UnreadableAnswer as error:
        assert error.problems[0].where == "gpu1"  # noqa: PT017
    else:
        shown(value)


def test_every_parser_is_tested() -> None:
    tested = {f"{_file(parser)}: {parser.__name__}" for parser in PARSERS}
    assert set(_parsers()) == tested | set(NOT_OF_HOSTS)


def _file(parser: Callable[..., Any]) -> str:
    path = parser.__module__.replace(".", "/").removeprefix("rackwright/roles/")
    return f"{'roles/' if '.roles.' in parser.__module__ else ''}{path}.py"


def _parsers() -> Iterator[str]:
    for folder in ("rackwright/gateway", "rackwright/hardware", "rackwright/lifecycle", "rackwright/state", "roles"):
        yield from _in(ROOT / folder)
    yield from _in(ROOT / "rackwright/operations")


def _in(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and (node.name == "parse" or node.name.startswith("parse_")):
                yield f"{path.relative_to(ROOT)}: {node.name}"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A session whose hosts don't answer anything after the survey."""
    made = session_with(lambda text: text, tmp_path_factory.mktemp("site"))
    return replace(made, remote=Remote(targets(made.fleet), transport=lambda _: Lost(lambda text: text)))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), part=st.sampled_from(sorted(SURVEYED)))
def test_what_a_survey_reads_can_be_shown(session: Any, data: st.DataObject, part: str) -> None:
    said = SURVEYED | {part: data.draw(garbled(SURVEYED[part]))}
    try:
        host = survey.surveyed_of([Completed(0, said[name].encode()) for name in (*survey._PARTS, "people")], HOSTILE)
    except UnreadableAnswer:
        return
    found = survey.Survey({HOSTILE: host}, {"gate1": "lost", "gpu1": "lost"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(status, "survey", lambda _: found)
        patch.setattr(plan, "survey", lambda _: found)
        "\n".join(_lines(status.status(session))).encode()
        try:
            planned = plan.plan(session)
        except FleetError:
            # What the host has must be decided in the fleet file.
            return
        "\n".join(plan_view(planned, session.fleet.file)).encode()
        json.dumps(plan_document(planned, session.fleet.file))


def test_status_and_plan_name_a_drop_in_that_is_not_ours(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {**SURVEYED, "filters": "", "connected": "", "people": ""}
    host = survey.surveyed_of([Completed(0, said[name].encode()) for name in (*survey._PARTS, "people")], HOSTILE)
    for module in (status, plan):
        monkeypatch.setattr(
            module, "survey", lambda _: survey.Survey({HOSTILE: host}, {"gate1": "lost", "gpu1": "lost"})
        )
    file = "/etc/systemd/system/rackwright-host-proxy.service.d/override.conf"
    named = f"gpu2: rackwright-host-proxy.service is changed by {file}, which rackwright didn't write"
    assert f"warning: {named}" in "\n".join(_lines(status.status(session)))
    planned = plan.plan(session)
    assert named in "\n".join(plan_view(planned, session.fleet.file))
    assert str(plan_document(planned, session.fleet.file)["overrides"]).count(named) == 1
