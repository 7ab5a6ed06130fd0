"""`ca`: the location of the key that signs the fleet's certificates."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.secrets import SecretReference


class Ca(Frozen):
    """The fleet's CA. Its private key never goes to a host."""

    key: SecretReference | None = None
    """The private key (PEM). If absent, it is in ~/.config/rackwright/<fleet>/, created by the first apply."""
