"""How many requests the gateway says that each model's replica had, and how many the host proxy passed on."""

from __future__ import annotations

import csv
from collections import Counter

from tests.heavy.attacks.site import MODELS, Site
from tests.lab.access import logged

_STATISTICS = "echo 'show stat' | socat - /run/rackwright-host-proxy/sockets/admin.sock"


def asked_for(site: Site) -> Counter[str]:
    """Return the requests that had a replica, by model, in the gateway's log."""
    replicas = (access.replica for access in logged(site.lab, ("gate1",)))
    return Counter(replica.removeprefix("gpu1/").removesuffix("@1") for replica in replicas if replica)


def passed_on(site: Site) -> dict[str, int]:
    """Return the requests that the host proxy passed on to each engine. Its own checks don't count."""
    rows = csv.DictReader(site.tell("gpu1", _STATISTICS).splitlines())
    counted = {row["# pxname"]: int(row["stot"]) for row in rows if row["svname"] == "engine"}
    return {model: counted[f"engine.{model}.1"] for model in MODELS}
