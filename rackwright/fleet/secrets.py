"""Resolve secret references on the controller. No error shows the secret."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from rackwright.errors import SecretError
from rackwright.fleet.fleet import Fleet
from rackwright.values.secrets import Secret
from rackwright.values.tool_mode import delivered, in_tool_mode

COMMAND_SECONDS = 30


def resolve(reference: str, *, where: str, folder: Path | None = None) -> Secret:
    """Return the secret of env:NAME, file:PATH or cmd:COMMAND, without its last newline.

    A relative path starts at `folder` (the fleet file's). A command runs in it, without a shell, for 30 s at most.
    In tool mode, return what was delivered for this reference, and look nowhere else but in rackwright's own private
    folders, where a drill keeps what it restored.
    Raise SecretError, with `where`, if there is no secret or it is empty."""
    kind, _, rest = reference.partition(":")
    if in_tool_mode():
        text = _from_credentials(reference, where)
    elif kind == "env":
        text = _from_environment(rest, where)
    elif kind == "file":
        text = _from_file((folder or Path()) / _expanded(rest, where), where)
    elif kind == "cmd":
        text = _from_command(rest, where, folder)
    else:
        raise SecretError(
            "not a secret reference", where=where, should="should be env:NAME, file:PATH or cmd:COMMAND"
        )
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretError(f"{reference} is empty", where=where, should="a secret has at least one character")
    return Secret(text)


def _expanded(path: str, where: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise SecretError(
            "begins with ~ and no known user's name", where=where, should="should be the whole path of a file"
        ) from None


def hub_token(fleet: Fleet) -> Secret | None:
    """Return the hub's token, or None if the fleet file names none. Raise SecretError as in `resolve`."""
    reference = fleet.file.downloads.hub_token
    if reference is None:
        return None
    return resolve(reference, where=f"{fleet.path} downloads.hub_token", folder=fleet.path.parent)


def _from_credentials(reference: str, where: str) -> str:
    try:
        return delivered(reference).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SecretError(
            "this secret isn't on this control host",
            where=where,
            should="an apply from a controller delivers the secrets that the tool needs",
            next="rackwright apply, from a controller",
        ) from None


def _from_environment(name: str, where: str) -> str:
    text = os.environ.get(name)
    if text is None:
        raise SecretError(
            f"the environment variable {name} is not set",
            where=where,
            should="should contain the secret",
            next=f"export {name}=…, or use file: or cmd:",
        )
    return text


def _from_file(path: Path, where: str) -> str:
    should = "should be a file that you may read, with the secret and nothing else"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        what = f"{path} can't be read: {error.strerror}"
    except UnicodeDecodeError:
        what = f"{path} is not UTF-8 text"
    raise SecretError(what, where=where, should=should)


def _from_command(command: str, where: str, folder: Path | None) -> str:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SecretError(f"the command can't be read: {error}", where=where, should="check its quotes") from None
    if not words:
        raise SecretError("the command is empty", where=where, should="should be like cmd:pass show ops")
    try:
        done = subprocess.run(
            words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS, check=False
        )
        text = done.stdout.decode()
    except OSError as error:
        what = f"{words[0]} can't be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        what = f"{words[0]} didn't finish within {COMMAND_SECONDS} seconds"
    except UnicodeDecodeError:
        what = f"{words[0]} printed something that is not UTF-8 text"
    else:
        if done.returncode == 0:
            return text
        # Its output may contain the secret: operators see it if they run the command themselves.
        what = f"{words[0]} ended with exit status {done.returncode}"
    raise SecretError(what, where=where, should="should print the secret and nothing else", next=command)
