"""An engine that obeys at first, and then does to its host what it is asked for. Runs in the sandbox of a real unit.

Arguments: its socket, its name, the socket of another engine, a program in Perl. GET /attack/KIND attacks.
"""

# A bare host has python3-minimal, without pathlib.
# ruff: noqa: PTH108, PTH120, PTH211

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

OWN, NAME, OTHER, PERL = sys.argv[1:]
FOLDER = os.path.dirname(OWN)
METRICS = b"llamacpp:n_decode_total 1\nllamacpp:requests_processing 0\n"
PLANTED = ("unit.sha256", "gpus.conf", "interface.env")
endless = set[str]()


def link() -> str:
    os.unlink(OWN)
    os.symlink(OTHER, OWN)
    return "done"


def hard_link() -> str:
    try:
        os.link(OTHER, f"{FOLDER}/hard.sock")
    except OSError as error:
        return str(error.errno)
    return "done"


def plant() -> str:
    """Put a pipe, from which reading never ends, wherever the host might expect a file of its own."""
    for name in PLANTED:
        if os.path.lexists(f"{FOLDER}/{name}"):
            os.unlink(f"{FOLDER}/{name}")
        os.mkfifo(f"{FOLDER}/{name}")
    return "done"


def io_uring() -> str:
    return subprocess.run(["/usr/bin/perl", "-e", PERL], capture_output=True, text=True, check=True).stdout


def never_end() -> str:
    endless.update(("/metrics", "/v1/completions"))
    return "done"


def crash() -> str:
    os.abort()


ATTACKS: dict[str, Callable[[], str]] = {
    "crash": crash,
    "link": link,
    "hard-link": hard_link,
    "plant": plant,
    "io_uring": io_uring,
    "never-end": never_end,
}


def answer(path: str) -> Iterator[bytes]:
    while path in endless:
        yield b"llamacpp:n_decode_total 1\n" * 65536
    if path.startswith("/attack/"):
        yield ATTACKS[path.removeprefix("/attack/")]().encode()
    elif path == "/metrics":
        yield METRICS
    else:
        yield b'{"choices": [{"text": "%s"}]}' % NAME.encode()


def serve(connection: socket.socket) -> None:
    with connection:
        path = connection.recv(65536).split(b" ")[1].decode()
        parts = answer(path)
        # An engine that crashes has answered nothing.
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + next(parts))
        for part in parts:
            connection.sendall(part)


listener = socket.socket(socket.AF_UNIX)
listener.bind(OWN)
listener.listen(64)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
