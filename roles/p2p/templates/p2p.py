"""Receive one model's files from other hosts and pass them on, with libtorrent, during one peer-to-peer transfer.

systemd runs this as a transient unit with the host's own Python. Its runtime folder has plan.json, peers.json (read
again when it changes), ca.pem, certificate.pem, key.pem, and `torrent`, which the first host makes. It writes
status.json. It imports only libtorrent and Python's standard library.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import libtorrent as lt

RUN = Path(os.environ["RUNTIME_DIRECTORY"])
TICK_SECONDS = 0.25
"""Longest time between two looks at the transfer."""
STALL_SECONDS = 3
"""If no byte arrives for this long, the next earlier host is asked, too."""
PATIENCE_SECONDS = 30
"""Longest time until only the nearest host is asked again; the time grows if an earlier switch was too soon."""
RESUME_SECONDS = 0.5
# ffdhe2048 of RFC 7919: libtorrent requires a file with parameters, whatever TLS negotiates.
DH = """-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    # TLS already encrypts the connection.
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "allow_multiple_connections_per_ip": True,
    "choking_algorithm": 0,
    "unchoke_slots_limit": 100,
    "min_reconnect_time": 1,
    "max_failcount": 1_000_000,
    "peer_connect_timeout": 5,
    "handshake_timeout": 10,
    "peer_timeout": 20,
    "inactivity_timeout": 600,
    "request_timeout": 10,
    "piece_timeout": 5,
    "request_queue_time": 1,
    "send_buffer_watermark": 4 * 2**20,
    "rate_limit_ip_overhead": False,
    "aio_threads": 2,
    "hashing_threads": 1,
    "user_agent": "rackwright",
    "alert_mask": lt.alert.category_t.error_notification
    | lt.alert.category_t.storage_notification
    | lt.alert.category_t.status_notification,
}


class Failed(Exception):
    """The reason why this host can't get the files."""


@dataclass(frozen=True)
class Plan:
    what: str
    torrent: str
    """The torrent's name, which is in every certificate of this transfer."""
    folder: str
    """Where the files are or will be, each named by its sha256."""
    address: str
    port: int
    rate: int
    """Bytes per second in each direction; 0: no limit."""
    files: dict[str, int]
    """sha256 → bytes."""
    first: bool
    """Whether this host already has the files."""
    idle: int
    """Seconds without a byte until it exits on its own."""


def main() -> None:
    # An orderly exit, so that the next run knows what has arrived.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    plan = Plan(**json.loads((RUN / "plan.json").read_text()))
    status = Status()
    try:
        status.tell("making" if plan.first else "waiting")
        if plan.first and not (RUN / "torrent").exists():
            make_torrent(plan)
        torrent = lt.torrent_info(str(RUN / "torrent"))
        refuse_other_files(plan, torrent)
        PeerToPeer(plan, status, torrent).run()
    except (Failed, OSError, RuntimeError) as error:
        status.tell("failed", why=str(error))
        sys.exit(f"{plan.what}: {error}")


class Status:
    """The status file that the controller reads: one JSON object, replaced atomically."""

    def __init__(self) -> None:
        self.known: dict[str, object] = {"bytes": 0, "rate": 0, "peers": 0, "why": ""}

    def tell(self, state: str, **more: object) -> None:
        self.known |= {"state": state, **more}
        replace(RUN / "status.json", json.dumps(self.known).encode())


def replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}")
    new.write_bytes(content)
    new.replace(path)


def piece_size(total: int) -> int:
    """Return a size so small that a chain of hosts waits little, and so large that the list of pieces stays short."""
    size = 256 * 1024
    while size < 8 * 2**20 and total / size > 2000:
        size *= 2
    return size


def make_torrent(plan: Plan) -> None:
    """Make the torrent from the files on this host, for the other hosts."""
    storage = lt.file_storage()
    for name, size in plan.files.items():
        storage.add_file(f"{plan.torrent}/{name}", size)
    made = lt.create_torrent(storage, piece_size(storage.total_size()), lt.create_torrent.v1_only)
    made.set_root_cert((RUN / "ca.pem").read_text())
    made.set_priv(True)
    # libtorrent expects a folder with the torrent's name, but the files are directly in the plan's folder.
    link = RUN / plan.torrent
    link.unlink(missing_ok=True)
    link.symlink_to(plan.folder)
    lt.set_piece_hashes(made, str(RUN))
    replace(RUN / "torrent", lt.bencode(made.generate()))


def refuse_other_files(plan: Plan, torrent: lt.torrent_info) -> None:
    """Raise Failed unless the torrent, which another host made, has exactly the plan's files, in the plan's order."""
    files = torrent.files()
    found = [(Path(files.file_path(index)).name, files.file_size(index)) for index in range(files.num_files())]
    if found != list(plan.files.items()):
        raise Failed("the torrent's files are not those of the lock")


class PeerToPeer:
    def __init__(self, plan: Plan, status: Status, torrent: lt.torrent_info) -> None:
        self.plan, self.status, self.torrent = plan, status, torrent
        self.folder = Path(plan.folder)
        self.session = session(plan)
        self.handle = self.session.add_torrent(self._parameters(torrent))
        (RUN / "dh.pem").write_text(DH)
        self.handle.set_ssl_certificate(*(str(RUN / f"{name}.pem") for name in ("certificate", "key", "dh")))
        self.handle.resume()
        self.peers = Peers(self.session, self.handle)
        self.hashes = Hashes(plan, self.folder)
        self.moved: tuple[int, ...] = ()
        self.moved_at = time.monotonic()
        self.saved_at, self.saving = 0.0, False
        self.known: tuple[bytes, int] | None = None

    def _parameters(self, torrent: lt.torrent_info) -> lt.add_torrent_params:
        parameters = lt.add_torrent_params()
        kept = self.folder / "resume"
        if kept.exists():
            # From another transfer of the same files: its pieces count, not its torrent's name.
            with suppress(RuntimeError):
                parameters.have_pieces = lt.read_resume_data(kept.read_bytes()).have_pieces
        if self.plan.first:
            parameters.flags = lt.torrent_flags.seed_mode
        else:
            parameters.flags = lt.torrent_flags.sequential_download
        parameters.flags |= lt.torrent_flags.paused | lt.torrent_flags.disable_dht | lt.torrent_flags.apply_ip_filter
        parameters.flags |= lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
        parameters.ti = torrent
        parameters.save_path = str(self.folder)
        for index, name in enumerate(self.plan.files):
            torrent.rename_file(index, name)
        return parameters

    def run(self) -> None:
        """Receive and pass on until nothing has been transferred for a while, or the unit is stopped."""
        while True:
            self._alerts()
            self._look()
            self.session.wait_for_alert(round(TICK_SECONDS * 1000))

    def _alerts(self) -> None:
        for alert in self.session.pop_alerts():
            if isinstance(alert, lt.save_resume_data_alert):
                # The data may not be on disk yet. An alert's parameters are invalid after the next pop_alerts.
                self.known = lt.write_resume_data_buf(alert.params), without_gap(alert.params.have_pieces)
                self.handle.flush_cache()
            elif isinstance(alert, lt.cache_flushed_alert):
                self._keep()
            elif isinstance(alert, lt.file_error_alert | lt.torrent_error_alert | lt.listen_failed_alert):
                raise Failed(alert.message())

    def _look(self) -> None:
        now, state = time.monotonic(), self.handle.status()
        if self.hashes.wrong:
            # After a power failure, resume data may list too much; or the disk is failing. The next run starts over.
            (self.folder / "resume").unlink(missing_ok=True)
            raise Failed(self.hashes.wrong)
        # Without resume data, files from an earlier run are checked first. This takes time and counts as progress.
        moved = state.total_payload_download, state.total_payload_upload, self.hashes.read, state.progress_ppm
        if moved != self.moved:
            self.moved, self.moved_at = moved, now
        if now - self.moved_at > self.plan.idle:
            self._idle()
        due = state.is_seeding or now - self.saved_at > RESUME_SECONDS
        if due and not self.saving and self.hashes.whole < self.hashes.size:
            self.saved_at, self.saving = now, True
            self.handle.save_resume_data()
        self.peers.look(now, state)
        self.status.tell(
            self._word(state),
            bytes=state.total_wanted_done,
            rate=state.download_payload_rate,
            peers=state.num_peers,
        )

    def _keep(self) -> None:
        """Have the data on disk hashed, and save the resume data for the next run."""
        self.saving = False
        if self.known:
            resume, pieces = self.known
            self.hashes.grow(min(pieces * self.torrent.piece_length(), self.torrent.total_size()))
            replace(self.folder / "resume", resume)

    def _word(self, state: lt.torrent_status) -> str:
        if self.plan.first or self.hashes.all_right:
            return "done"
        if state.is_seeding:
            return "hashing"
        return "receiving" if state.total_wanted_done else "waiting"

    def _idle(self) -> None:
        if self._word(self.handle.status()) == "done":
            sys.exit(0)
        raise Failed(f"nothing has arrived for {self.plan.idle} s")


def without_gap(have: list[bool]) -> int:
    """Return how many pieces there are before the first missing one."""
    return next((index for index, there in enumerate(have) if not there), len(have))


def session(plan: Plan) -> lt.session:
    """Return a session that uses TLS on one port and doesn't discover peers."""
    address = f"[{plan.address}]" if ":" in plan.address else plan.address
    settings = SETTINGS | {
        "listen_interfaces": f"{address}:{plan.port}s",
        "outgoing_interfaces": plan.address,
        "download_rate_limit": plan.rate,
        "upload_rate_limit": plan.rate,
    }
    # No plugins: only the plan names peers.
    made = lt.session(settings, flags=0)
    # libtorrent exempts private addresses from rate limits, so put all addresses into the global class.
    everyone = lt.ip_filter()
    for first, last in (("0.0.0.0", "255.255.255.255"), ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")):  # noqa: S104
        everyone.add_rule(first, last, 1 << lt.session.global_peer_class_id)
    made.set_peer_class_filter(everyone)
    return made


class Peers:
    """The previous host in the chain; if nothing arrives from it, also earlier ones, until it is back.

    A host that asks an earlier one shares that host's bandwidth with the hosts between them, so this must be short.
    """

    def __init__(self, session: lt.session, handle: lt.torrent_handle) -> None:
        self.session, self.handle = session, handle
        self.listed: list[tuple[str, int]] = []
        self.read_at, self.asked, self.bytes, self.bytes_at, self.called_at = -1, 1, 0, time.monotonic(), 0.0
        self.patience, self.back_at = STALL_SECONDS, 0.0

    def look(self, now: float, state: lt.torrent_status) -> None:
        if state.is_seeding:
            return
        self._read()
        if state.total_payload_download != self.bytes:
            self.bytes, self.bytes_at = state.total_payload_download, now
        elif now - self.bytes_at > STALL_SECONDS and self.asked < len(self.listed):
            self.bytes_at, self.back_at = now, now + self.patience
            self._ask(self.asked + 1)
        if self.asked > 1 and now > self.back_at and self._nearest_is_with_us(state):
            # In case this is too early, wait longer the next time.
            self.patience, self.bytes_at = min(2 * self.patience, PATIENCE_SECONDS), now
            self._ask(1)
        if now - self.called_at >= 1 or not state.num_peers:
            self.called_at = now
            for peer in self.listed[: self.asked]:
                self.handle.connect_peer(peer)

    def _read(self) -> None:
        changed = (RUN / "peers.json").stat().st_mtime_ns
        if changed != self.read_at:
            self.read_at = changed
            self.listed = [(address, port) for address, port in json.loads((RUN / "peers.json").read_text())]
            self._ask(1)

    def _ask(self, so_many: int) -> None:
        """Ask only this many hosts. libtorrent closes connections to the others, whose addresses are filtered out."""
        self.asked = so_many
        others = lt.ip_filter()
        for address, _ in self.listed[so_many:]:
            others.add_rule(address, address, 1)
        self.session.set_ip_filter(others)

    def _nearest_is_with_us(self, state: lt.torrent_status) -> bool:
        """Return whether the nearest host has almost all of our data, so that asking only it causes no wait.

        What it still lacks arrives there within a second.
        """
        nearest, enough = self.listed[0][0], state.total_wanted_done - state.download_payload_rate
        return any(
            peer.ip[0] == nearest and peer.progress * state.total_wanted >= enough
            for peer in self.handle.get_peer_info()
        )


class Hashes:
    """Hashes each file while it arrives. Files arrive in order, so data is read right after it was written."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.folder, self.size = folder, 0 if plan.first else sum(plan.files.values())
        self.files = list(plan.files.items())
        self.read, self.wrong, self.all_right = 0, "", False
        self.whole = 0
        """Contiguous bytes on disk from the beginning of the first file."""
        self.grown = threading.Event()
        if not plan.first:
            threading.Thread(target=self._hash_all, daemon=True).start()

    def grow(self, whole: int) -> None:
        """Allow this many bytes to be hashed."""
        self.whole = whole
        self.grown.set()

    def _hash_all(self) -> None:
        try:
            for name, size in self.files:
                if (found := self._hash(name, size)) != name:
                    self.wrong = f"sha256 is {found}, should be {name}"
                    (self.folder / name).unlink(missing_ok=True)
                    return
            self.all_right = True
        except OSError as error:
            self.wrong = str(error)

    def _hash(self, name: str, size: int) -> str:
        made, done = hashlib.sha256(), 0
        stream = None
        while done < size:
            until = min(size, done + self.whole - self.read)
            if until <= done:
                self.grown.wait()
                self.grown.clear()
                continue
            # Unbuffered: a buffer would keep old content from before the bytes arrived.
            stream = stream or (self.folder / name).open("rb", buffering=0)
            content = stream.read(min(until - done, 2**20))
            made.update(content)
            done, self.read = done + len(content), self.read + len(content)
        if stream:
            stream.close()
        return made.hexdigest()


if __name__ == "__main__":
    main()
