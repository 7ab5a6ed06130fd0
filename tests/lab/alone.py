"""The smallest fleet: a gateway alone, with everything that an apply does to a host. It builds no serving host."""

from __future__ import annotations

from pathlib import Path

from rackwright.lab import artefacts
from rackwright.lab.artefacts import Artefacts
from rackwright.values.targets import Target
from tests.lab.operator import Operator

_FLEET = """\
fleet: alone
defaults:
  ssh: {{user: {user}, port: {port}, key: {key}}}
{defaults}\
hosts:
  {name}: {{address: {address}}}
  metal1: {{address: 192.0.2.1, disabled: not built}}
models:
  assistant:
    source: "file:{model}"
    runtime: {{kind: llama_cpp, version: {release}, build: "file:{runtime}"}}
    place: [{{on: metal1, replicas: 1, gpus: 0}}]
    names: [assistant]
    context: 2048
gateway: {{on: [{name}], domain: llm.lab.internal}}
firewall: {{admin_from: [{admins}], clients_from: [{admins}]}}
"""


def alone(folder: Path, target: Target, *, admins: str, defaults: str = "") -> Operator:
    """Write and lock the fleet file of this one host in `folder`. `admins` is the network that we connect from."""
    made = artefacts.ensure(lambda _: None)
    return operator_of(folder / "alone.yml", _FLEET, target, made, admins=admins, defaults=defaults)


def operator_of(path: Path, text: str, target: Target, served: Artefacts, **values: str) -> Operator:
    """Write and lock a fleet file with one host; `text` names its values, `values` are those of this file alone."""
    path.write_text(
        text.format(
            name=target.name,
            address=target.address,
            user=target.user,
            port=target.port,
            key=target.key,
            model=served.model.path,
            runtime=served.runtime.path,
            release=artefacts.RELEASE,
            **values,
        )
    )
    assert target.known_hosts
    path.with_suffix(".known_hosts").write_text(target.known_hosts.read_text())
    operator = Operator(path)
    operator("lock")
    return operator
