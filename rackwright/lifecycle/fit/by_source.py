"""Whether a model that isn't in the fleet file fits: its shape, read from its source."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rackwright.errors import FleetError, RackwrightError, UsageError
from rackwright.fit.demand import Asked, Engine, Room
from rackwright.fit.fit import Fit
from rackwright.fleet.source import FileSource, HubSource, WebSource, parse_source
from rackwright.launch import Widths
from rackwright.lifecycle.fit.procedure import Overrides, Placed, placed
from rackwright.shape.shape import ModelShape

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet

LOADS: dict[Engine | None, tuple[str, ...]] = {
    "llama_cpp": (".gguf",),
    "vllm": (".safetensors",),
    None: (".safetensors", ".gguf"),
}
CONTEXT = 8192
PARALLEL: dict[Engine, int] = {"llama_cpp": 4, "vllm": 16}


def fit_source(
    written: str, fleet: Fleet | None, engine: Engine | None, *, room: Room, overrides: Overrides
) -> Placed:
    """Return how one replica of the source fits. Raises like `shape_of_source`."""
    shape, engine = shape_of_source(written, fleet, engine)
    asked = asked_of_source(shape, engine, gpus=room.gpus, context=overrides.context, parallel=overrides.parallel)
    return placed(written, (), room.gpus, Fit(shape, asked, room))


def shape_of_source(written: str, fleet: Fleet | None, engine: Engine | None) -> tuple[ModelShape, Engine]:
    """Given a source as written in a fleet file, return the model's shape and the engine that loads its files.

    Uses the hub, proxy and token of `fleet`; None: the public hub without a token. Doesn't fetch the weights. Raise
    UsageError if `written` is not a source, FleetError if it has no model or several, RackwrightError if a server
    doesn't support range requests.
    """
    try:
        source = parse_source(written)
    except ValueError as error:
        raise UsageError("is not a source", where=f"--source {written}", should=str(error)) from None
    where, loads = f"--source {written}", LOADS[engine]
    if isinstance(source, FileSource):
        shape, paths = _local(Path(source.path).expanduser(), where, loads)
    else:
        shape, paths = _remote(source, fleet, where, loads)
    return shape, "llama_cpp" if any(path.endswith(".gguf") for path in paths) else "vllm"


def asked_of_source(
    shape: ModelShape, engine: Engine, *, gpus: int, context: int | None, parallel: int | None
) -> Asked:
    """Return what is asked of the model. Default context: 8192 tokens, or what it is trained for if that is less."""
    devices = max(gpus, 1)
    return Asked(
        engine,
        context=context or min(shape.context or CONTEXT, CONTEXT),
        parallel=parallel or PARALLEL[engine],
        whole=parallel,
        widths=Widths(pipeline=devices) if engine == "llama_cpp" else Widths(tensor=devices),
    )


def _local(path: Path, where: str, loads: tuple[str, ...]) -> tuple[ModelShape, tuple[str, ...]]:
    from rackwright.resolve.model_files import UnfitFiles, choose
    from rackwright.shape.from_files import read_shape
    from rackwright.shape.source import FileSource as LocalFile

    folder = path if path.is_dir() else path.parent
    try:
        found = sorted(item for item in folder.rglob("*") if item.is_file()) if path.is_dir() else [path]
        sizes = {str(item.relative_to(folder)): item.stat().st_size for item in found}
        paths = choose(sizes, None, loads)
        return read_shape({name: LocalFile(folder / name) for name in paths}), paths
    except OSError as error:
        raise RackwrightError(f"{path} can't be read: {error.strerror}", where=where) from None
    except UnfitFiles as error:
        raise FleetError([error.problem(where, path)]) from None


def _remote(
    source: HubSource | WebSource, fleet: Fleet | None, where: str, loads: tuple[str, ...]
) -> tuple[ModelShape, tuple[str, ...]]:
    from rackwright.fleet.downloads import route_from_here
    from rackwright.fleet.secrets import hub_token
    from rackwright.fleet.sections.downloads import Downloads
    from rackwright.resolve.hub import Hub
    from rackwright.resolve.model_files import choose
    from rackwright.resolve.model_shape import read_remote
    from rackwright.resolve.web import Web
    from rackwright.route import Route

    web = Web(route_from_here(fleet) if fleet else Route())
    if isinstance(source, WebSource):
        name = source.url.rsplit("/", 1)[-1]
        return read_remote({name: (source.url, web.size(source.url))}, web, None), (name,)
    token = hub_token(fleet) if fleet else None
    hub = Hub((fleet.file.downloads if fleet else Downloads()).hub.rstrip("/"), web, token)
    commit, sizes = hub.files(source, where=where, choice=partial(choose, glob=source.glob, loads=loads))
    found = {path: (source.url(hub.endpoint, commit, path), size) for path, size in sizes.items()}
    return read_remote(found, web, token), tuple(sizes)
