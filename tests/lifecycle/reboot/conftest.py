from __future__ import annotations

from tests.lifecycle.reboot.bench import bench as bench
from tests.lifecycle.reboot.bench import clock as clock
