"""A migration's folder takes files that were encrypted elsewhere."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from rackwright.errors import RackwrightError
from rackwright.migrate.folder import Folder
from rackwright.values.secrets import Secret


def test_a_file_that_was_encrypted_elsewhere_is_adopted_once(tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    folder = Folder(tmp_path / "records", str(identity.to_public()), Secret(str(identity)))
    folder.write("requests", ["first"])
    content = pyrage.encrypt(b"second\nthird\n", [identity.to_public()])
    assert folder.adopt("requests", content, 2) == "requests-000002.jsonl.age"
    assert folder.adopt("requests", content, 2) == "requests-000002.jsonl.age"
    assert list(folder.read("requests")) == ["first", "second", "third"]
    assert [one.lines for _, one in folder.of("requests")] == [1, 2]
    assert folder.problems() == ()


def test_what_is_not_encrypted_is_not_adopted(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "records", "age1")
    with pytest.raises(RackwrightError, match="no file encrypted by age"):
        folder.adopt("requests", b'{"plain": "text"}\n', 1)
    assert not (tmp_path / "records").exists()
