"""`ca`: where the key stands that signs the fleet's certificates."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.secrets import SecretReference


class Ca(Frozen):
    """The fleet's CA. Its private key never goes to a host."""

    key: SecretReference | None = None
    """PEM; ~/.config/rackwright/<fleet>/ca.key, made by the first apply, when absent."""
