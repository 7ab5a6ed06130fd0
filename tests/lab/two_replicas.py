"""A model with a replica on each of two hosts: what they run, and whether both serve."""

from __future__ import annotations

from rackwright.lab.hosts import Lab
from tests.lab.operator import Operator

HOSTS = ("gpu1", "gpu2")


def running(lab: Lab) -> set[str]:
    """Return the first digits of the digests that the engines run."""
    show = "tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value rackwright-assistant@1)/cmdline"
    return {lab.exec(host, f"{show} | grep ^/srv/models/").out.split("/")[4] for host in HOSTS}


def all_serve(site: Operator) -> bool:
    return {entry["traffic"] for entry in site.replicas().values()} == {"yes"}
