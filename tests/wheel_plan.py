"""A plan on pyinfra's @fake connector. `make wheel-test` runs it from / with the installed wheel's Python."""

from __future__ import annotations

import tempfile
from pathlib import Path

import rackwright
from rackwright.deploys.site import site
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import Credentials
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.lock_rules import release_url
from rackwright.fleet.source import name_in
from rackwright.values.file import File
from tests.fakes import play

FLEET = """
fleet: wheel
hosts: {gate1: {address: 10.0.0.1}, gpu1: {address: 10.0.0.2}}
models:
  tiny:
    source: https://models.example/tiny.gguf#sha256=%s
    runtime: {kind: llama_cpp, version: b1}
    place: [{on: gpu1, gpus: 0}]
    names: [tiny]
    context: 2048
gateway: {on: [gate1], domain: llm.example}
firewall: {admin_from: [10.0.0.0/24], clients_from: [10.0.0.0/24]}
"""
SHA256 = "0" * 64


def fleet() -> Fleet:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wheel.yml")
        path.write_text(FLEET % SHA256)
        return load_fleet(path)


def lock(of: Fleet) -> Lock:
    weights = File(path="tiny.gguf", url="https://models.example/tiny.gguf", size=1, sha256=SHA256)
    url = release_url("b1")
    build = File(path=name_in(url), url=url, size=1, sha256=SHA256)
    source = of.file.models["tiny"].source
    return Lock(
        fleet="wheel",
        models={"tiny": ModelLock(source=source, digest=model_digest([weights]), files=(weights,))},
        runtimes={"llama_cpp-b1": RuntimeLock(kind="llama_cpp", version="b1", files=(build,))},
        ports={"gpu1": {"tiny@1": 8100}},
    )


def main() -> None:
    assert Path.cwd() == Path("/")
    assert "site-packages" in rackwright.__file__, rackwright.__file__
    of = fleet()
    for name, model in host_specs(of, lock(of), credentials=Credentials()).items():
        planned = play(site, model=model)
        assert len(planned.changed) > 10, planned
        print(f"{name}: {len(planned.operations)} operations, {len(planned.changed)} would change")


if __name__ == "__main__":
    main()
