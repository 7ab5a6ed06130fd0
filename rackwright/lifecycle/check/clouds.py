"""Ask each cloud once, from a gateway, as the gateways will: its certificate, the key, and which models it lists."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.errors import FleetError, HostError, SecretError
from rackwright.fleet.downloads import route_from_hosts
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.cloud_access import cloud_ca, cloud_key
from rackwright.fleet.sections.clouds import Cloud
from rackwright.lifecycle.check.result import Condition, State

if TYPE_CHECKING:
    from rackwright.remote import Completed, Remote
    from rackwright.values.secrets import Secret

_SECONDS = 20
_MOST_BYTES = 4_000_000
_FIGURES = "figures:"
_ANSWER = re.compile(rf"(.*)\n{_FIGURES} ([0-9]{{3}}) ([0-9]{{1,3}}) ?([^\n]*)\n?", re.DOTALL)
_NO_CURL = 127
_NO_ADDRESS, _NO_PROXY = 6, 5
_CERTIFICATE = (35, 51, 60, 77)
"""Exit codes of curl(1): TLS failed, or the server's certificate isn't valid for the name and the CAs."""


@dataclass(frozen=True)
class CloudAnswer:
    """What a cloud answered to the question which models it has."""

    status: int
    """0: there was no HTTP answer."""
    exit_code: int
    """curl's."""
    problem: str
    """curl's, in words."""
    models: frozenset[str] | None
    """None: the answer isn't a list of models."""


def ask_clouds(fleet: Fleet, remote: Remote) -> Iterator[Condition]:
    """Yield a condition for each cloud, asked from the first gateway that is connected. Costs no tokens.

    A cloud with a key or CA that can't be read isn't asked: other conditions say so.
    """
    gateway = next((name for name in fleet.gateways if name in remote.names), None)
    if gateway is None:
        return
    for name, cloud in fleet.file.clouds.items():
        try:
            script = _script(fleet, cloud, cloud_key(fleet, name), cloud_ca(fleet, name))
        except (SecretError, FleetError) as error:
            problem = error.problems[0]
            yield Condition(gateway, "cloud", State.FAILED, f"{name}: not asked: {problem.what}", problem.should)
            continue
        answer = remote.run_on((gateway,), "sh -s", stdin=script, timeout=_SECONDS + 15)[gateway]
        yield _condition(gateway, name, cloud, answer)


def _condition(gateway: str, name: str, cloud: Cloud, answer: Completed | HostError) -> Condition:
    from rackwright.remote import read_answer

    if isinstance(answer, HostError):
        problem = answer.problems[0]
        return Condition(gateway, "cloud", State.FAILED, f"{name}: not asked: {problem.what}", problem.next)
    if answer.exit_status == _NO_CURL:
        return Condition(
            gateway, "cloud", State.WARNING, f"{name}: not asked: curl isn't installed yet", "rackwright apply"
        )
    try:
        said = read_answer(gateway, f"asking the cloud {name}", parse_cloud_answer, answer.stdout)
    except HostError as error:
        problem = error.problems[0]
        return Condition(gateway, "cloud", State.FAILED, f"{name}: {problem.what}", problem.next)
    state, found, following = judge(name, cloud, said)
    return Condition(gateway, "cloud", state, f"{name}: {found}", following)


def judge(name: str, cloud: Cloud, said: CloudAnswer) -> tuple[State, str, str | None]:
    """Return whether the cloud can be used, what was found, and what to do about it."""
    if said.status == 0:
        return State.FAILED, *_unheard(name, cloud, said)
    if said.status in (401, 403):
        found = f"{cloud.host} refuses the key: HTTP {said.status}"
        return State.FAILED, found, f"check clouds.{name}.key and clouds.{name}.auth"
    if 300 <= said.status < 400:
        return (
            State.FAILED,
            f"{cloud.url}/models is a redirect, which gateways don't follow",
            f"correct clouds.{name}.url",
        )
    if said.models is None:
        found = f"{cloud.host} accepts TLS, but answers HTTP {said.status} to the question for its models"
        return State.WARNING, found, f"check clouds.{name}.url and clouds.{name}.names by hand"
    if missing := [one for one in cloud.names if one not in said.models]:
        found = f"{cloud.host} doesn't list {', '.join(missing)} among its {len(said.models)} models"
        return State.WARNING, found, f"correct clouds.{name}.names, or ask the provider for access"
    return State.OK, f"{cloud.host} accepts the key and lists {', '.join(cloud.names)}", None


def _unheard(name: str, cloud: Cloud, said: CloudAnswer) -> tuple[str, str]:
    if said.exit_code == _NO_ADDRESS:
        return f"{cloud.host} has no address there", "check the gateway's name servers"
    if said.exit_code in _CERTIFICATE:
        found = f"the certificate of {cloud.host} can't be verified: {said.problem}"
        return found, f"check clouds.{name}.url and clouds.{name}.ca"
    if said.exit_code == _NO_PROXY:
        return f"the proxy has no address there: {said.problem}", "check downloads.proxy"
    found = f"{cloud.host}:{cloud.port} can't be reached: {said.problem}"
    return found, "check firewalls and downloads.proxy between the gateway and the cloud"


def parse_cloud_answer(text: str) -> CloudAnswer:
    """Given the output of the script, return the answer. Raise ValueError if curl didn't finish."""
    found = _ANSWER.fullmatch(text)
    if found is None:
        raise ValueError("curl did not say how the request ended")
    body, status, code, problem = found.groups()
    return CloudAnswer(int(status), int(code), " ".join(problem.split())[:200], _models(body))


def _models(body: str) -> frozenset[str] | None:
    try:
        return frozenset(str(one["id"]) for one in json.loads(body)["data"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _script(fleet: Fleet, cloud: Cloud, key: Secret, ca: str | None) -> str:
    """Return a script for `sh -s`. Only the shell and curl's standard input have the key: printf is the shell's."""
    proxy = route_from_hosts(fleet).proxy_for(cloud.url)
    header = "authorization: Bearer " if cloud.auth == "bearer" else "api-key: "
    options = [
        f'url = "{cloud.url}/models"',
        f"max-time = {_SECONDS}",
        "connect-timeout = 5",
        "silent",
        f'proxy = "{proxy or ""}"',
        f'header = "{header}{_escaped(key.reveal())}"',
        f'write-out = "\\n{_FIGURES} %{{http_code}} %{{exitcode}} %{{errormsg}}"',
    ]
    setup, trusted = "", ""
    if ca:
        setup = f"umask 077; ca=$(mktemp); trap 'rm -f \"$ca\"' EXIT; printf '%s\\n' {shlex.quote(ca)} >\"$ca\"\n"
        trusted = ' --cacert "$ca"'
    ask = f"printf '%s\\n' {shlex.quote(chr(10).join(options))} | curl -q{trusted} --max-filesize {_MOST_BYTES} -K -"
    return f"command -v curl >/dev/null || exit {_NO_CURL}\n{setup}{ask}\nexit 0\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
