"""A paced stand-in for an engine, as a fleet file names one: an archive of llama-server, and models for it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

from rackwright.lab.artefacts import RELEASE, Artefact, Artefacts
from tests.shape.files import gguf

PROGRAM = Path(__file__).with_name("llama_server.py")
CONTEXT = 131072
BYTES_PER_TOKEN = 256
"""Of the cache, by the estimate of `rackwright fit`."""
_SHAPE: dict[str, object] = {
    "general.architecture": "llama",
    "llama.block_count": 1,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 1,
    "llama.attention.head_count_kv": 1,
    "llama.context_length": CONTEXT,
}


def paced(folder: Path, words: str = "load=2 pace=0.05") -> Artefacts:
    """Make a model and a runtime in the folder, in place of a lab's real ones. `words` configure the runtime.

    See llama_server.py for the words.
    """
    return Artefacts(model(folder / "assistant.gguf"), runtime(folder / f"llama-{RELEASE}.tar.gz", words))


def model(path: Path, words: str = "", *, padding: int = 0, layers: int = 1) -> Artefact:
    """Write a model file whose `words` configure the stand-in. Other words give another digest.

    Its cache is said to take BYTES_PER_TOKEN for each of its `layers`; the stand-in has none.
    """
    shape = {**_SHAPE, "llama.block_count": layers, "general.description": f"stand-in: {words}\n"}
    content = gguf(shape) + bytes(padding)
    return _written(path, content)


def runtime(path: Path, words: str = "", release: str = RELEASE) -> Artefact:
    """Write an archive of the stand-in, with the same bytes every time."""
    raw = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, f"llama-{release}/llama-server", PROGRAM.read_bytes(), 0o755)
        _add(tar, f"llama-{release}/stand-in", words.encode(), 0o644)
    return _written(path, raw.getvalue())


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _written(path: Path, content: bytes) -> Artefact:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Artefact(path, hashlib.sha256(content).hexdigest())
