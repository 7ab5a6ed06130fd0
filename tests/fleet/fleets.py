"""Small fleets for tests, made without files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.fleet_file import FleetFile


def make_fleet(
    path: Path,
    *,
    replicas: dict[str, list[str]] | None = None,
    source: str = "hf:acme/tiny",
    runtime: dict[str, Any] | None = None,
    **sections: Any,
) -> Fleet:
    """Given host → replica names, return a fleet with models for those replicas, and a gateway on gate1."""
    replicas = replicas or {"gpu1": ["assistant@1"]}
    models = {name.split("@")[0] for names in replicas.values() for name in names} or {"assistant"}
    file = FleetFile.model_validate(
        {
            "fleet": "acme",
            "hosts": {"gate1": {"address": "10.0.0.9"}} | {host: {"address": "10.0.0.10"} for host in replicas},
            "models": {
                model: {
                    "source": source,
                    "runtime": runtime or {"kind": "llama_cpp", "version": "b1"},
                    "place": [{"on": list(replicas)}],
                    "names": [model],
                    "context": 4096,
                }
                for model in sorted(models)
            },
            "gateway": {"on": ["gate1"], "domain": "llm.acme.internal"},
            "firewall": {"admin_from": ["10.0.0.0/8"], "clients_from": ["10.0.0.0/8"]},
            **sections,
        }
    )
    placed = tuple(
        Replica(name.split("@")[0], int(name.split("@")[1]), host, 0)
        for host, names in replicas.items()
        for name in names
    )
    return Fleet(path, file, placed, (path,), {})
