"""Replaces personal data and secrets in a request's body.

Gateways run these same modules, with the host's own Python: they import only the standard library and each other.
"""

from __future__ import annotations

from rackwright.migrate.redact.custom import usable
from rackwright.migrate.redact.redactor import Redactor

__all__ = ["Redactor", "usable"]
