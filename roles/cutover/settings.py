"""The way back of a cutover, on each gateway: a script, and a panic file that runs it."""

from __future__ import annotations

from rackwright.roles.gateway.settings import FOLDER

SCRIPT = f"{FOLDER}/rollback"
"""Sends all requests of models under cutover to their cloud, without this tool."""
PANIC = f"{FOLDER}/panic"
"""While this file exists, no model of the fleet gets a share; when it is made, the script runs. No role makes it."""
SERVICE, PATH_UNIT = "rackwright-panic.service", "rackwright-panic.path"
UNITS = (SERVICE, PATH_UNIT)
RECORDS = "/var/lib/rackwright/cutovers"
"""MIGRATION.json says who changed the share last. Root's."""
