"""paramiko without invoke: it serves `Match exec` in ssh_config alone, which we don't read; half of the import."""

import logging
import sys

sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]

# What goes wrong is raised, and told once: a host that boots answers without a banner, and that is no traceback.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False
