"""What is found in a text, in this order: what is replaced first isn't searched again."""

from __future__ import annotations

import re

from rackwright.migrate.redact import contacts, national_ids, network_addresses, payment_numbers, secrets
from rackwright.migrate.redact.find import Finder, any_of, spans
from rackwright.migrate.redact.opaque import DATA_URL

MAY_HAVE = re.compile(r"[0-9@:=!#$%&*+?^~]|[\w-]{30}")
"""What each of the built-in kinds needs; most short texts have none of it."""
FINDERS: tuple[Finder, ...] = (
    ("file", any_of("data:"), spans(DATA_URL.pattern)),
    *secrets.FINDERS,
    contacts.MAIL,
    *payment_numbers.FINDERS,
    *national_ids.FINDERS,
    *network_addresses.FINDERS,
    *contacts.PHONES,
)
QUICK = frozenset(may_have for _, may_have, _ in FINDERS)
