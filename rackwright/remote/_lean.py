"""paramiko without invoke: it serves `Match exec` in ssh_config alone, which we don't read; half of the import."""

import sys

sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]
