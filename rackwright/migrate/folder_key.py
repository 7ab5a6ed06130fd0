"""The key pair of a migration's folder: with the plan one can write, with the private key one can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rackwright.errors import RackwrightError
from rackwright.values.secrets import Secret

_AGE = b"age-encryption.org/v1\n"
"""How each file of age begins."""


def is_encrypted(content: bytes) -> bool:
    """Return whether this is a file that age has encrypted, as far as its beginning says."""
    return content.startswith(_AGE)


@dataclass
class FolderKey:
    recipient: str
    """The public key."""
    identity: Secret | Callable[[], Secret] | None = field(default=None, repr=False)
    """The private one. A function is called when it is first needed: a command may ask for a passphrase."""

    def encrypted(self, text: bytes) -> bytes:
        import pyrage

        content: bytes = pyrage.encrypt(text, [pyrage.x25519.Recipient.from_str(self.recipient)])
        return content

    def decrypted(self, content: bytes, where: str) -> bytes:
        """Return the text. Raise RackwrightError if there is no private key, or if this isn't for it."""
        import pyrage

        try:
            key = pyrage.x25519.Identity.from_str(self.private(where).reveal().strip())
            text: bytes = pyrage.decrypt(content, [key])
        except (pyrage.IdentityError, pyrage.DecryptError):
            raise RackwrightError(
                "can't be decrypted", where=where, should="records.identity should be its private key of age"
            ) from None
        return text

    def private(self, where: str) -> Secret:
        """Return the private key. Raise RackwrightError if there is none."""
        if self.identity is None:
            raise RackwrightError("needs the private key", where=where, should="records.identity of the plan")
        if not isinstance(self.identity, Secret):
            self.identity = self.identity()
        return self.identity

    def is_pair(self) -> bool:
        """Return whether the private key is that of the public one. Raise RackwrightError if there is none."""
        import pyrage

        try:
            found = pyrage.x25519.Identity.from_str(self.private("").reveal().strip())
        except pyrage.IdentityError:
            return False
        return str(found.to_public()) == self.recipient
