"""Choose a model's files in a repository or folder. Only safetensors and GGUF: a pickle can run code on load."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from rackwright.errors import Problem
from rackwright.roles.model_store.settings import PLAIN, is_plain

Choice = Callable[[Mapping[str, int]], tuple[str, ...]]
"""Given path → bytes of all files, returns the paths to use. Raises UnfitFiles."""
WEIGHTS = (".gguf", ".safetensors")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".npz")
_COMPANIONS = (".json", ".jinja", ".tiktoken")
_COMPANION_NAMES = ("tokenizer.model", "merges.txt", "vocab.txt", "spiece.model", "sentencepiece.bpe.model")
_MODULES = "modules.json"
_MODULE = re.compile(r"\d+_[A-Za-z]+")
"""The folder of a module of Sentence Transformers, like 1_Pooling."""
_SPLIT = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")


class UnfitFiles(ValueError):
    """The files are not a model, or are more than one; `should` says what to write instead."""

    def __init__(self, what: str, should: str, listed: Iterable[str] = ()) -> None:
        super().__init__(what)
        self.should, self.listed = should, tuple(listed)

    def problem(self, where: str, source: object) -> Problem:
        """Return it as a problem of this source."""
        return Problem(where, f"{source} {self}", self.should, listed=self.listed)


def choose(sizes: Mapping[str, int], glob: str | None, loads: Sequence[str] = WEIGHTS) -> tuple[str, ...]:
    """Given path → bytes of all files, return the sorted paths of the one model.

    GGUF: one file, or all parts of one. Safetensors: these files and the JSON, tokenizer and template files in their
    folder and in those of its Sentence Transformers modules, such as the pooling of an embedding model. `loads` are
    the file name endings that the runtime supports, in order of preference. Raise UnfitFiles unless there is exactly
    one such model.
    """
    weights = [path for path in sizes if path.endswith(WEIGHTS) and (glob is None or fnmatchcase(path, glob))]
    if not weights:
        raise _none(sizes, glob)
    kind = next((ending for ending in loads if any(path.endswith(ending) for path in weights)), None)
    if kind is None:
        raise UnfitFiles(
            f"has {PurePosixPath(weights[0]).suffix} weights only", f"should have {' or '.join(loads)} files"
        )
    chosen = [path for path in weights if path.endswith(kind)]
    if kind == ".gguf":
        _one_model(chosen, sizes)
    else:
        chosen += _companions(chosen, sizes)
    _plain_names(chosen)
    return tuple(sorted(chosen))


def _one_model(paths: Iterable[str], sizes: Mapping[str, int]) -> None:
    models: dict[str, list[str]] = {}
    for path in paths:
        models.setdefault(_SPLIT.sub(r"-of-\1.gguf", path), []).append(path)
    if len(models) > 1:
        choices = (
            f"#{parts[0] if len(parts) == 1 else _SPLIT.sub('-*.gguf', parts[0])}"
            f"  ({sum(sizes[part] for part in parts) / 1e9:.2f} GB)"
            for parts in (sorted(models[name]) for name in sorted(models))
        )
        raise UnfitFiles(f"has {len(models)} GGUF models", "choose one by adding to the source", choices)
    ((name, parts),) = models.items()
    if (match := re.search(r"-of-(\d{5})\.gguf$", name)) and len(parts) != int(match[1]):
        raise UnfitFiles(
            f"has {len(parts)} of the {int(match[1])} parts of {name}", "should have a glob that matches all parts"
        )


def _companions(weights: Iterable[str], sizes: Mapping[str, int]) -> list[str]:
    folders = {PurePosixPath(path).parent for path in weights}
    described = {folder for folder in folders if str(folder / _MODULES) in sizes}
    folders |= {
        folder
        for folder in (PurePosixPath(path).parent for path in sizes)
        if folder.parent in described and _MODULE.fullmatch(folder.name)
    }
    return [
        path
        for path in sizes
        if PurePosixPath(path).parent in folders
        and (path.endswith(_COMPANIONS) or PurePosixPath(path).name in _COMPANION_NAMES)
    ]


def _none(sizes: Mapping[str, int], glob: str | None) -> UnfitFiles:
    there = sorted(path for path in sizes if path.endswith(WEIGHTS))
    if there:
        shown = ", ".join(there[:10]) + (", …" if len(there) > 10 else "")
        return UnfitFiles(f"#{glob} matches none of its GGUF or safetensors files", f"should match one of {shown}")
    pickles = any(path.endswith(PICKLES) for path in sizes)
    what = "has only pickled weights, which can run code when loaded" if pickles else "has no weights"
    return UnfitFiles(what, "should be a repository with safetensors or GGUF files")


def _plain_names(paths: Iterable[str]) -> None:
    for path in paths:
        if not is_plain(path):
            raise UnfitFiles(f"has a file named {ascii(path)[:80]}", PLAIN)
