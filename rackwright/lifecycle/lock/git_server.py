"""A git server over SSH, with a deploy key of its own: nothing of this machine's user takes part.

There is no working tree, so neither hooks, filters nor links of the repository do anything here.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from rackwright.errors import RackwrightError
from rackwright.lifecycle.backup.private_folder import private_folder
from rackwright.terminal import visible
from rackwright.values.secrets import Secret

SECONDS = 120
"""For one question to the server. A hub of models isn't in such a repository."""
_ROOM = 2**28
"""Bytes that must be free in memory for the repository to be there."""
_MOST = 2**20
"""Bytes of an answer."""
_LINES, _WIDTH = 3, 200
"""How much of git's words an error has."""
_ALWAYS = (
    "fatal: Could not read from remote repository.",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
)
"""What git says after ssh has failed, whatever the reason."""
_ALIAS = "rackwright-git-server"
_SETTINGS = {
    "credential.helper": "",
    "gc.auto": "0",
    "protocol.allow": "never",
    "protocol.ssh.allow": "always",
}


class Rejected(RackwrightError):
    """The branch has got another commit since it was looked at."""


@dataclass(frozen=True)
class GitServer:
    url: str
    folder: Path
    """A private folder, with an empty repository."""
    environment: Mapping[str, str]

    def head(self, branch: str) -> str | None:
        """Return the id of the branch's last commit, None if there is no such branch."""
        return self._asked(f"refs/heads/{branch}")

    def default(self) -> str | None:
        """Return the id of the last commit of the default branch, None if the repository is empty."""
        return self._asked("HEAD")

    def has(self, commit: str) -> bool:
        """Fetch the commit without its history; return False if the server doesn't give it."""
        return self._run("fetch", "-q", "--no-tags", "--depth=1", "--", self.url, commit).ok

    def fetch(self, commit: str) -> None:
        """Fetch the commit without its history. Raise RackwrightError if the server doesn't give it."""
        self._run("fetch", "-q", "--no-tags", "--depth=1", "--", self.url, commit).check(self.url, "fetching")

    def file(self, commit: str, path: str) -> bytes | None:
        """Return the file's content in a commit that was fetched, None if it isn't a file there."""
        listed = self._run("ls-tree", "-z", commit, "--", path).output.decode(errors="replace")
        about = listed.partition("\t")[0].split()
        if len(about) != 3 or about[1] != "blob":
            return None
        return self._run("cat-file", "blob", about[2], most=64 * _MOST).output

    def commit(self, parent: str, path: str, content: bytes, message: str, author: Mapping[str, str]) -> str:
        """Return a commit after `parent`, which was fetched, in which only this file has another content."""
        index = {"GIT_INDEX_FILE": str(self.folder / "index")}
        blob = self._made("hash-object", "-w", "--stdin", stdin=content)
        self._made("read-tree", parent, more=index)
        self._made("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", more=index)
        tree = self._made("write-tree", more=index)
        return self._made("commit-tree", tree, "-p", parent, "-F", "-", stdin=message.encode(), more=author)

    def push(self, commit: str, branch: str, over: str | None) -> None:
        """Make this commit the branch's last one. Raise Rejected if that is no longer `over` (None: no branch)."""
        lease = f"--force-with-lease=refs/heads/{branch}:{over or ''}"
        done = self._run("push", "-q", "--no-verify", lease, "--", self.url, f"{commit}:refs/heads/{branch}")
        if not done.ok and any(word in done.said for word in ("stale info", "fetch first", "non-fast-forward")):
            raise Rejected(f"{branch} has got another commit", where=self.url)
        done.check(self.url, "pushing")

    def _asked(self, ref: str) -> str | None:
        done = self._run("ls-remote", "-q", "--", self.url, ref)
        done.check(self.url, "asking for its branches")
        lines = (line.split("\t") for line in done.output.decode(errors="replace").splitlines())
        return next((line[0] for line in lines if line[1:] == [ref] and _is_id(line[0])), None)

    def _made(self, *words: str, stdin: bytes = b"", more: Mapping[str, str] | None = None) -> str:
        """Return the id of an object that git has made here."""
        done = self._run(*words, stdin=stdin, more=more)
        done.check(self.url, f"making the commit ({words[0]})")
        return done.output.decode(errors="replace").strip()

    def _run(
        self, *words: str, stdin: bytes = b"", more: Mapping[str, str] | None = None, most: int = _MOST
    ) -> _Done:
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = ["git", "--git-dir", str(self.folder / "repository"), *settings, *words]
        return _run(command, {**self.environment, **(more or {})}, self.folder, stdin, most)


@contextmanager
def git_server(url: str, host_key: str, key: Secret) -> Iterator[GitServer]:
    """Yield the server. The key is in a file of a private folder, which is removed afterwards.

    Raise RackwrightError if git isn't installed.
    """
    # The repository may be large, so it isn't in memory, unless there is room.
    with private_folder(room=_ROOM) as folder:
        (folder / "known_hosts").write_text(f"{_ALIAS} {host_key}\n")
        # OpenSSH refuses a key without its last newline.
        _write_private(folder / "key", f"{key.reveal()}\n")
        server = GitServer(url, folder, _environment(folder))
        _run(
            ["git", "init", "-q", "--bare", "--template=", str(folder / "repository")],
            server.environment,
            folder,
            b"",
            _MOST,
        ).check(url, "making a repository here")
        yield server


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _environment(folder: Path) -> dict[str, str]:
    """Return the whole environment of git: paths, and no secret."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": shlex.join(_ssh()),
        "GIT_SSH_VARIANT": "ssh",
    }


def _ssh() -> Iterator[str]:
    # Relative to git's folder: ssh would expand percent signs in the path of that folder.
    yield from ("ssh", "-F", "/dev/null", "-i", "./key")
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "15",
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": _ALIAS,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "ServerAliveCountMax": "3",
        "ServerAliveInterval": "10",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": "./known_hosts",
    }
    for name, value in options.items():
        yield from ("-o", f"{name}={value}")


@dataclass(frozen=True)
class _Done:
    ok: bool
    output: bytes
    said: str
    """What git wrote to standard error, its last part."""

    def check(self, where: str, doing: str) -> None:
        """Raise RackwrightError with git's last words if it failed."""
        if not self.ok:
            said = (line.strip() for line in self.said.splitlines())
            lines = [visible(line)[:_WIDTH] for line in said if line and line not in _ALWAYS]
            raise RackwrightError(f"{doing} failed: {'; '.join(lines[-_LINES:]) or 'git said nothing'}", where=where)


def _run(command: list[str], environment: Mapping[str, str], folder: Path, stdin: bytes, most: int) -> _Done:
    """Run git. What it prints goes to files, so that an endless answer takes no memory."""
    with TemporaryFile() as given, TemporaryFile() as output, TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=given,
                stdout=output,
                stderr=errors,
                # Without a terminal, ssh can't ask for anything; and a signal reaches it, too.
                start_new_session=True,
            )
        except OSError as error:
            raise RackwrightError(
                f"git can't be run: {error.strerror}", should="should be installed", next="apt install git"
            ) from None
        late = _ended_late(process)
        output.seek(0)
        content = output.read(most + 1)
        said = _last(errors.seek(0, os.SEEK_END), errors)
    if late:
        return _Done(False, b"", f"no answer within {SECONDS} s")
    if len(content) > most:
        return _Done(False, b"", f"the answer has more than {most} bytes")
    return _Done(process.returncode == 0, content, said)


def _last(size: int, stream: object) -> str:
    stream.seek(max(0, size - 4096))  # type: ignore[attr-defined]
    return bytes(stream.read(4096)).decode(errors="replace")  # type: ignore[attr-defined]


def _ended_late(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end; return whether it was ended here because it took too long. Nothing of it goes on."""
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        return True
    else:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_id(text: str) -> bool:
    return len(text) in (40, 64) and all(character in "0123456789abcdef" for character in text)
