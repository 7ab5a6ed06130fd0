"""Requirements for a host before anything is changed there: one script asks, this module judges."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rackwright.hardware.hardware import COMMAND as HARDWARE_COMMAND
from rackwright.hardware.hardware import Hardware, parse_hardware
from rackwright.lifecycle.check.access import KEY as ACCESS_KEY
from rackwright.lifecycle.check.access import QUESTION as ACCESS_QUESTION
from rackwright.lifecycle.check.access import judge_access
from rackwright.lifecycle.check.apart import Trial, judge_trials
from rackwright.lifecycle.check.ca import questions as ca_questions
from rackwright.lifecycle.check.gpus import judge_gpus
from rackwright.lifecycle.check.result import Asked, Condition, State
from rackwright.lifecycle.expiry import days, ending_certificates
from rackwright.ports import ETCD_CLIENT_PORT, ETCD_PEER_PORT
from rackwright.roles.certificate.ends import COMMAND as CERTIFICATES_COMMAND
from rackwright.roles.certificate.ends import parse as parse_ends
from rackwright.roles.etcd.settings import UNIT as ETCD_UNIT

if TYPE_CHECKING:
    from rackwright.fleet.hosts.host_spec import HostSpec
    from rackwright.roles.model_store.settings import Settings as ModelStore

_BAD_CODES = ("", "000", "407", "502", "503", "504")
"""No answer, or a proxy's own error: it needs a password, or couldn't connect."""
MARGIN = 2 * 10**9
"""Free bytes needed in addition to the weights: for runtimes, packages and logs."""


@dataclass(frozen=True)
class Answers:
    """The script's output, by the key at the start of each line."""

    values: dict[str, tuple[str, ...]]

    def one(self, key: str) -> str:
        return (self.values.get(key) or ("",))[0]

    def number(self, key: str) -> float:
        try:
            return float(self.one(key))
        except ValueError:
            return 0.0

    @property
    def hardware(self) -> Hardware:
        return parse_hardware("\n".join(self.values.get("hardware", ())))


def script(spec: HostSpec, asked: tuple[Asked, ...] = (), trials: tuple[Trial, ...] = ()) -> str:
    """Return a shell script that changes nothing; each line it prints is a key, a space and a value.

    It reads the CAs of downloads (PEM) from standard input, if the spec has any.
    """
    store = spec.model_store
    root = shlex.quote(store.root if store else "/")
    lines = [
        "export LC_ALL=C",
        "echo time $(date +%s.%N)",
        '. /etc/os-release; echo os "$ID $VERSION_ID"',
        "echo memory $(awk '$1==\"MemTotal:\"{print $2*1024}' /proc/meminfo)",
        f'at={root}; while [ ! -d "$at" ]; do at=$(dirname "$at"); done',
        "echo disk $(df -PB1 \"$at\" | awk 'NR==2{print $4}')",
        "command -v systemctl >/dev/null && echo systemd yes",
        "ss -Hltnp 2>/dev/null | awk '{print \"listen\", $4, $6}'",
        f"{HARDWARE_COMMAND.rstrip()} | sed 's/^/hardware /'",
        ACCESS_QUESTION,
        *ca_questions(spec),
    ]
    if spec.backup:
        lines.append("echo restic $(restic version 2>/dev/null | cut -d ' ' -f 2)")
        lines.append(
            "echo restic_offered $(apt-cache policy restic 2>/dev/null | awk '$1==\"Candidate:\"{print $2}')"
        )
    if spec.etcd:
        lines.append(f"echo etcd $(systemctl show -p ActiveState --value -- {ETCD_UNIT} 2>/dev/null)")
    if store:
        lines += [
            f"[ -d {shlex.quote(store.folder(stored))} ] && echo stored {shlex.quote(stored.digest)}"
            for stored in store.models
        ]
    if spec.certificates:
        lines.append(f"({CERTIFICATES_COMMAND}) | sed 's/^/certificate /'")
    lines += [f"{{ c=$({trial.question}); echo other {trial.repository} $c; }} &" for trial in trials]
    lines += _questions(spec, asked)
    lines.append("wait")
    # Exit status 0, whatever was found.
    return "\n".join([*lines, ":"])


def _questions(spec: HostSpec, asked: tuple[Asked, ...]) -> Iterator[str]:
    """Yield the lines that ask all servers in parallel, 10 s each. The output is curl's error, if any, and the HTTP
    status, 000 for none.
    """
    if not asked:
        return
    yield "command -v curl >/dev/null || { echo nocurl; wait; exit 0; }"
    options = shlex.join(spec.downloads.route.model_copy(update={"ca_bundle": None}).curl_options)
    if spec.downloads.ca_bundle:
        # Before the first apply, the host doesn't have the CAs.
        yield 'ca=$(mktemp) && trap \'rm -f -- "$ca"\' EXIT && cat >"$ca"'
        options += ' --cacert "$ca"'
    for number, server in enumerate(asked):
        curl = f"curl -q -sS -o /dev/null -m 10 -w ' %{{http_code}}' -I {options} -- {shlex.quote(server.url)}"
        yield f"{{ a=$({curl} 2>&1 </dev/null | tr '\\n' ' '); echo url {number} \"$a\"; }} &"


def parse(output: str) -> Answers:
    values: dict[str, list[str]] = {}
    for line in output.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value.strip())
    return Answers({key: tuple(said) for key, said in values.items()})


def judge(
    spec: HostSpec,
    answers: Answers,
    controller_time: float,
    *,
    asked: tuple[Asked, ...] = (),
    trials: tuple[Trial, ...] = (),
    controls: bool = False,
) -> Iterator[Condition]:
    """Given a host's answers, yield its conditions. Times are seconds since the epoch; `controls`: a control host."""
    yield _system(spec, answers, controls)
    yield _clock(spec, answers, controller_time)
    yield from judge_access(spec, answers.one(ACCESS_KEY))
    yield _ports(spec, answers)
    if spec.backup:
        yield _restic(spec, answers)
        codes = (entry.partition(" ") for entry in answers.values.get("other", ()))
        yield from judge_trials(spec.name, trials, {name: said for name, _, said in codes})
    if spec.model_store:
        yield _disk(spec.name, spec.model_store, answers)
        yield _memory(spec, spec.model_store, answers)
    yield from judge_gpus(spec, answers.hardware)
    yield from _certificates(spec, answers, controller_time)
    if "nocurl" in answers.values:
        found = "not asked: the first apply installs curl"
        yield Condition(spec.name, "reaches", State.WARNING, found)
    for number, _, answer in sorted(entry.partition(" ") for entry in answers.values.get("url", ())):
        yield _reaches(spec.name, asked[int(number)], answer.strip())


def _system(spec: HostSpec, answers: Answers, controls: bool) -> Condition:
    system = answers.one("os")
    if not answers.one("systemd"):
        return Condition(spec.name, "system", State.FAILED, f"{system}, without systemd", "install Debian 13")
    if system == "debian 13":
        return Condition(spec.name, "system", State.OK, "Debian 13")
    if system == "ubuntu 24.04" and spec.gateway is None and spec.tool is None and not controls:
        return Condition(spec.name, "system", State.WARNING, "Ubuntu 24.04: should work, but untested")
    should = "gateways and control hosts run Debian 13, serving hosts also Ubuntu 24.04"
    return Condition(spec.name, "system", State.FAILED, f"{system or 'unknown'}; {should}", "install Debian 13")


def _clock(spec: HostSpec, answers: Answers, controller_time: float) -> Condition:
    skew = abs(answers.number("time") - controller_time)
    state = State.OK if skew < 5 else State.WARNING if skew < 60 else State.FAILED
    return Condition(
        spec.name,
        "clock",
        state,
        f"{skew:.0f} s from the controller's",
        None if state is State.OK else "set up time synchronization (chrony) on both",
    )


def _ports(spec: HostSpec, answers: Answers) -> Condition:
    wanted = {proxied.port for proxied in spec.host_proxy.replicas} if spec.host_proxy else set()
    wanted |= {spec.gateway.port} if spec.gateway else set()
    wanted |= {spec.gateway.peers_port} if spec.gateway and spec.gateway.peers else set()
    holders = dict.fromkeys(wanted, '"haproxy"')
    if spec.etcd:
        # Debian's etcd.service runs the same program.
        own = answers.one("etcd") in ("active", "activating")
        holders |= dict.fromkeys((ETCD_CLIENT_PORT, ETCD_PEER_PORT), '"etcd"' if own else "no process")
    taken = []
    for entry in answers.values.get("listen", ()):
        address, _, process = entry.partition(" ")
        port = address.rpartition(":")[2]
        if port.isdigit() and int(port) in holders and holders[int(port)] not in process:
            taken.append(f"{port} by {process or 'an unknown process'}")
    if taken:
        return Condition(spec.name, "ports", State.FAILED, "taken: " + ", ".join(taken), "stop that process")
    return Condition(spec.name, "ports", State.OK, ", ".join(map(str, sorted(holders))) or "none needed")


def _restic(spec: HostSpec, answers: Answers) -> Condition:
    from rackwright.roles.backup.settings import OLDEST_RESTIC, is_old

    here, offered = answers.one("restic"), answers.one("restic_offered")
    found = f"{here} is installed" if here else f"apt has {offered}" if offered else "apply installs it"
    if not (here or offered) or not is_old(here or offered):
        return Condition(spec.name, "restic", State.OK, found)
    should = f"put {OLDEST_RESTIC} or newer into /usr/local/bin"
    return Condition(spec.name, "restic", State.FAILED, f"{found}: too old for backups", should)


def _disk(host: str, store: ModelStore, answers: Answers) -> Condition:
    stored = set(answers.values.get("stored", ()))
    largest = max((entry.size for entry in store.models), default=0)
    missing = sum(entry.size for entry in store.models if entry.digest not in stored)
    need, free = missing + largest + MARGIN, answers.number("disk")
    found = f"{free / 1e9:.1f} GB free at {store.root}, {need / 1e9:.1f} GB needed"
    if free >= need:
        return Condition(host, "disk", State.OK, found)
    if free >= missing + MARGIN:
        return Condition(host, "disk", State.WARNING, f"{found}: an update could not keep the previous version")
    return Condition(host, "disk", State.FAILED, found, "free space there, or set models_at")


def _memory(spec: HostSpec, store: ModelStore, answers: Answers) -> Condition:
    on_cpu = [replica.model for replica in spec.replicas if replica.gpus == 0]
    # A model's adapters are entries under the same name.
    need = sum(entry.size * on_cpu.count(entry.name) for entry in store.models)
    have = answers.number("memory")
    found = f"{have / 1e9:.1f} GB, {need / 1e9:.1f} GB of weights on the CPU"
    state = State.OK if have > need * 1.2 else State.FAILED
    return Condition(spec.name, "memory", state, found, None if state is State.OK else "place fewer replicas there")


def _certificates(spec: HostSpec, answers: Answers, controller_time: float) -> Iterator[Condition]:
    found = parse_ends("\n".join(answers.values.get("certificate", ())))
    now = datetime.fromtimestamp(controller_time, UTC)
    endings = ending_certificates(spec.name, found, now)
    for ending in endings:
        yield Condition(spec.name, "lasts", State.WARNING, ending.said(now), ending.next)
    if found and not endings:
        left = ", ".join(f"{stem} {days(end - now)}" for stem, end in found.items() if end)
        yield Condition(spec.name, "lasts", State.OK, f"certificates: {left}")


def _reaches(host: str, asked: Asked, answer: str) -> Condition:
    code = answer.rpartition(" ")[2]
    if code in _BAD_CODES or (asked.exact and code[:1] not in ("2", "3") and code != "405"):
        remedy = f"check {asked.key} and downloads.proxy"
        return Condition(host, "reaches", State.FAILED, f"{asked.url}: {answer}", remedy)
    return Condition(host, "reaches", State.OK, f"{asked.url} answers {code}")
