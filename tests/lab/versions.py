"""Good and bad versions of a lab's model and runtime, as an operator's fleet file names them."""

from __future__ import annotations

from typing import Any

from rackwright.lab import artefacts
from tests.lab.operator import Operator

_NEEDED = b"blk.0.attn_q.weight"


class Versions:
    """The fleet's one model, in a file that the test can turn into another version."""

    def __init__(self, site: Operator) -> None:
        self.site = site
        self._good = artefacts.ensure(lambda _: None).model.path
        # With the same name, it has the same digest, which copies of applied hosts already have.
        self.file = site.path.with_name(self._good.name)
        self.file.write_bytes(self._good.read_bytes())
        text = site.path.read_text()
        site.path.write_text(text.replace(f"file:{self._good}", f"file:{self.file.name}"))

    def good(self, name: str) -> None:
        """Write the same model with another digest: readers of GGUF ignore what follows its last tensor."""
        self.file.write_bytes(self._good.read_bytes() + name.encode())

    def without_a_tensor(self) -> None:
        """Write a whole file that no engine loads: a tensor that its architecture needs has another name."""
        content = self._good.read_bytes()
        assert content.count(_NEEDED) == 1
        self.file.write_bytes(content.replace(_NEEDED, _NEEDED.swapcase()))

    @property
    def locked(self) -> dict[str, Any]:
        """Return the model's entry in the lock."""
        from ruamel.yaml import YAML

        lock = YAML(typ="safe").load(self.site.path.with_name("test.lock"))
        entry: dict[str, Any] = lock["models"]["assistant"]
        return entry

    @property
    def digest(self) -> str:
        return str(self.locked["digest"])
