"""Starts the program. On a gateway, this file lies at the top of the folder with the modules."""

import sys

from rackwright.roles.usage.program.main import run

if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
