"""A fleet of lab hosts that serves with vLLM's CPU build and with llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from rackwright.lab import artefacts, vllm
from rackwright.lab.fleet_file import BASELINE, DOMAIN
from rackwright.lab.hosts import Lab, LabFleet
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator

RUNTIME = """\
{{kind: vllm, version: {version}, build: "file:{wheels}", python: {python}, parallel: 4, \
kv_cache_memory: 256MiB{more}}}"""
# Hosts share this machine's cores: otherwise, each engine would bind the first of them.
ENVIRONMENT = 'VLLM_CPU_OMP_THREADS_BIND: nobind, OMP_NUM_THREADS: "1"'

_NONE: Mapping[str, str] = MappingProxyType({})
_TEXT = """\
fleet: {name}
defaults:
  ssh: {{user: {user}, key: {key}}}
{baseline}
hosts:
{hosts}
models:
{models}
gateway: {{on: [gate1], domain: {domain}}}
firewall: {{admin_from: [{controller}/32], clients_from: [{subnet}]}}
rollout: {{max_unavailable: 1, drain_timeout: 2m, soak: 2s}}
"""


@contextmanager
def vllm_lab(name: str, *hosts: str) -> Iterator[Lab]:
    """Run a lab whose hosts have the interpreter that vLLM's wheels need."""
    with fresh_lab(name, *hosts, volumes=vllm.ensure(lambda _: None).mounts) as lab:
        for host in hosts:
            lab.exec(host, vllm.SETUP)
        yield lab


def runtime(more: str = "") -> str:
    """Return the runtime of a model as the fleet file writes it."""
    made = vllm.ensure(lambda _: None)
    more = f", environment: {{{ENVIRONMENT}}}{more}"
    return RUNTIME.format(version=vllm.VERSION, wheels=made.wheelhouse, python=vllm.PYTHON, more=more)


def llama() -> str:
    """Return a runtime of llama.cpp."""
    made = artefacts.ensure(lambda _: None)
    said = f'kind: llama_cpp, version: {artefacts.RELEASE}, build: "file:{made.runtime.path}"'
    return f"{{{said}, parallel: 2, threads: 1}}"


def _host(name: str, address: str, fabric: Mapping[str, str]) -> str:
    apart = f", fabric: {fabric[name]}" if name in fabric else ""
    return f"  {name}: {{address: {address}{apart}}}"


def vllm_operator(folder: Path, fleet: LabFleet, models: str, fabric: Mapping[str, str] = _NONE) -> Operator:
    """Write and lock the fleet file of running lab hosts, gate1 among them, with the text of `models`."""
    path = folder / "test.yml"
    path.write_text(
        _TEXT.format(
            name=fleet.name,
            user=fleet.user,
            key=fleet.key,
            baseline=BASELINE,
            hosts="\n".join(_host(name, address, fabric) for name, address in fleet.hosts.items()),
            models=models,
            domain=DOMAIN,
            controller=fleet.controller,
            subnet=fleet.subnet,
        )
    )
    path.with_suffix(".known_hosts").write_text(fleet.known_hosts.read_text())
    made = Operator(path)
    made("lock")
    return made
