"""Other builds of the lab's model: equal, doubtful, broken and slow ones. The lab's cache keeps them.

The lab's own llama.cpp makes all but the slow one: its library quantizes as llama-quantize does.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tarfile
from pathlib import Path

from rackwright.lab import artefacts, paths
from tests.heavy.deeper import DEPTH, deepen

CUT = tuple(range(10, 16))
"""A fifth of the layers."""
KINDS: dict[str, tuple[int, tuple[int, ...]]] = {"Q8_0": (7, ()), "Q2_K": (10, ()), "cut": (7, CUT)}
"""Maps a build's name to its `llama_ftype` of llama.h and the layers that it lacks."""


def build(name: str) -> Path:
    """Return the file of a build: one of KINDS, or `slow`. Make it if it doesn't exist."""
    kept = f"{DEPTH}-layers" if name == "slow" else name
    path = paths.cache() / "models" / f"SmolLM2-135M-Instruct.{kept}.gguf"
    with paths.locked("builds"):
        if not path.exists():
            made = artefacts.ensure(lambda _: None)
            with paths.scratch("builds") as folder:
                if name == "slow":
                    deepen(made.model.path, folder / "made")
                else:
                    _quantized(made.runtime.path, made.model.path, folder, name)
                (folder / "made").replace(path)
    return path


def _quantized(runtime: Path, model: Path, folder: Path, name: str) -> None:
    with tarfile.open(runtime) as archive:
        archive.extractall(folder, filter="data")
    (library,) = folder.glob("*/libllama.so")
    # In a separate process: the library ends its process if it rejects a file.
    command = [sys.executable, "-m", __name__, str(library), str(model), str(folder / "made"), name]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])


class Parameters(ctypes.Structure):
    """`llama_model_quantize_params` of llama.h, with room for fields that a later release may add."""

    _fields_ = (
        ("nthread", ctypes.c_int32),
        ("ftype", ctypes.c_int),
        ("output_tensor_type", ctypes.c_int),
        ("token_embedding_type", ctypes.c_int),
        ("allow_requantize", ctypes.c_bool),
        ("quantize_output_tensor", ctypes.c_bool),
        ("only_copy", ctypes.c_bool),
        ("pure", ctypes.c_bool),
        ("keep_split", ctypes.c_bool),
        ("dry_run", ctypes.c_bool),
        ("imatrix", ctypes.c_void_p),
        ("kv_overrides", ctypes.c_void_p),
        ("tt_overrides", ctypes.c_void_p),
        ("prune_layers", ctypes.POINTER(ctypes.c_int32)),
        ("room", ctypes.c_size_t * 8),
    )


def quantize(library: str, source: str, made: str, name: str) -> int:
    """Write this build of `source` to `made`. The result is 0 if that succeeded."""
    llama = ctypes.CDLL(library)
    llama.llama_model_quantize_default_params.restype = Parameters
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype, pruned = KINDS[name]
    parameters.allow_requantize = True
    if pruned:
        parameters.prune_layers = (ctypes.c_int32 * (len(pruned) + 1))(*pruned, -1)
    return int(llama.llama_model_quantize(source.encode(), made.encode(), ctypes.byref(parameters)))


if __name__ == "__main__":
    raise SystemExit(quantize(*sys.argv[1:]))
