"""How much of a host each of our services could harm, as systemd measures it: 0 is nothing, 10 is everything."""

from __future__ import annotations

import re

from rackwright.lab.hosts import Lab

LIMITS = {
    r"rackwright-firewall": 1.4,
    r"rackwright-gateway": 1.4,
    r"rackwright-host-proxy": 1.3,
    r"rackwright-backup(-check)?@[a-z][a-z0-9-]*": 1.8,
    r"rackwright-vip": 2.6,
    r"rackwright-gpu-faults": 0.7,
    r"rackwright-[a-z0-9-]+@1": 0.5,
    r"rackwright-[a-z0-9-]+\.probe": 1.2,
    r"rackwright-[a-z0-9-]+\.agent@1": 0.9,
}
"""The measured values, by unit. Less is better; an increase needs a reason."""
LIMIT = 1.5
"""The limit of a service that has no line above."""
# A template is measured through one of its instances.
_MEASURE = """\
units=$(systemctl list-unit-files --no-legend 'rackwright-*.service' | cut -d' ' -f1)
for unit in $(echo "$units" | sed 's/@\\.service/@1.service/'); do
    echo "$unit $(systemd-analyze security --no-pager "$unit" | tail -n 1)"
done
"""


def measured(lab: Lab, host: str) -> dict[str, float]:
    """Return the exposure of each service of ours on the host, by its name without .service."""
    found = {}
    for line in lab.exec(host, _MEASURE).out.splitlines():
        told = re.fullmatch(r"(\S+)\.service .*level for \S+: (\d+\.\d) .*", line)
        assert told, line
        found[told[1]] = float(told[2])
    return found


def loose(lab: Lab, host: str) -> dict[str, float]:
    """Return the services above their limit."""
    return {unit: level for unit, level in measured(lab, host).items() if level > _limit_of(unit)}


def _limit_of(unit: str) -> float:
    return next((limit for pattern, limit in LIMITS.items() if re.fullmatch(pattern, unit)), LIMIT)
