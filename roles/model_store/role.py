"""Store the weights that the lock names where engines read them."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.fetch import fetched
from rackwright.operations.filesystem.stored_folder import closed, placed, read_here, room_made
from rackwright.operations.packages import installed
from rackwright.roles.model_store.settings import Settings, StoredModel
from rackwright.route import Route
from rackwright.values.secrets import Secret


@deploy("model_store")
def model_store(*, settings: Settings, route: Route, token: Secret | None = None) -> None:
    """Ensure that each model's folder is complete, verified, read-only and closed to users; earlier versions stay.

    The token goes only to the hub that the settings name. A model that another host writes is only read in full.
    """
    if settings.own.models:
        installed(name="Install curl for fetching weights", packages=("curl", "ca-certificates"))
        closed(name="Close the weights to users", root=settings.root)
    for model in settings.models:
        if model.writer:
            _read(settings, model, model.writer)
        else:
            _stored(settings, model, route, token)


def _read(settings: Settings, model: StoredModel, writer: str) -> None:
    read_here(
        name=f"Read {model.name} {model.digest[:16]}, written by {writer}",
        what=model.name,
        files=model.files,
        root=settings.root,
        folder=settings.folder(model),
        digest=model.digest,
        writer=writer,
    )


def _stored(settings: Settings, model: StoredModel, route: Route, token: Secret | None) -> None:
    root, folder, digest = settings.root, settings.folder(model), model.digest
    files, what = model.files, model.name
    room_made(
        name=f"Make sure that {what} has room",
        what=what,
        files=files,
        root=root,
        folder=folder,
        digest=digest,
        shared=settings.shared,
    )
    for file in {file.sha256: file for file in files}.values():
        fetched(
            name=f"Fetch {what} {file.path} ({file.size / 1e6:.0f} MB)",
            what=f"{what} {file.path}",
            file=file,
            root=root,
            folder=folder,
            digest=digest,
            kept=files,
            token=token if settings.is_hub(file.url) else None,
            route=route,
        )
    placed(name=f"Put {what} {digest[:16]} in place", what=what, files=files, root=root, folder=folder, digest=digest)
