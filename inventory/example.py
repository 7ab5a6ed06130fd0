"""A fleet as a pyinfra inventory. RACKWRIGHT_FLEET=site.yml pyinfra inventory/example.py deploys/site.py --dry"""

import os
from pathlib import Path

from rackwright.fleet.inventory import pyinfra_hosts
from rackwright.fleet.load import load_fleet

hosts = pyinfra_hosts(load_fleet(Path(os.environ.get("RACKWRIGHT_FLEET", "inventory/fleet.yml"))))
