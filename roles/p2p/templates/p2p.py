"""Have one model's files arrive from other hosts, and pass them on: libtorrent for the time of one p2p.

Run by systemd as a transient unit, by the host's own Python. In its runtime folder: plan.json, peers.json (read again
when it changes), ca.pem, certificate.pem, key.pem, and `torrent`, which the first host makes. It writes status.json.
Nothing but libtorrent and what comes with Python is imported.
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
"""Between two looks at what has come, at most."""
STALL_SECONDS = 3
"""Without a byte for so long, the next earlier host is asked as well."""
PATIENCE_SECONDS = 30
"""At most so long an earlier host is asked although the nearest is there again, where that was too early before."""
RESUME_SECONDS = 0.5
# ffdhe2048 of RFC 7919: libtorrent wants a file of these, whatever TLS agrees on.
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
    # TLS is around it already.
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
    """Why this host doesn't get the files."""


@dataclass(frozen=True)
class Plan:
    what: str
    torrent: str
    """Its name, which every certificate of this p2p bears."""
    folder: str
    """Where the files are, or arrive, each under its sha256."""
    address: str
    port: int
    rate: int
    """Bytes a second, each way; 0: no limit."""
    files: dict[str, int]
    """sha256 → bytes."""
    first: bool
    """Whether this host has them already."""
    idle: int
    """Seconds without a byte until it ends by itself."""


def main() -> None:
    # Ended in order: what has arrived is known to the next run.
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
    """What the controller reads: one JSON object, replaced in one step."""

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
    """Small enough that a chain of hosts has little to wait for, large enough that a list of them stays short."""
    size = 256 * 1024
    while size < 8 * 2**20 and total / size > 2000:
        size *= 2
    return size


def make_torrent(plan: Plan) -> None:
    """Make the torrent from the files that this host has, and leave it for the others."""
    storage = lt.file_storage()
    for name, size in plan.files.items():
        storage.add_file(f"{plan.torrent}/{name}", size)
    made = lt.create_torrent(storage, piece_size(storage.total_size()), lt.create_torrent.v1_only)
    made.set_root_cert((RUN / "ca.pem").read_text())
    made.set_priv(True)
    # libtorrent looks for a folder of the torrent's name; ours has the files themselves.
    link = RUN / plan.torrent
    link.unlink(missing_ok=True)
    link.symlink_to(plan.folder)
    lt.set_piece_hashes(made, str(RUN))
    replace(RUN / "torrent", lt.bencode(made.generate()))


def refuse_other_files(plan: Plan, torrent: lt.torrent_info) -> None:
    """Raise Failed unless the torrent, which another host made, has the plan's files in its order, and no more."""
    files = torrent.files()
    found = [(Path(files.file_path(index)).name, files.file_size(index)) for index in range(files.num_files())]
    if found != list(plan.files.items()):
        raise Failed("the torrent has other files than the lock")


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
            # Of another p2p of the same files: what was had then counts, not the torrent's name.
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
        """Pass on what is there until nobody has asked for anything for a while, or the unit is stopped."""
        while True:
            self._alerts()
            self._look()
            self.session.wait_for_alert(round(TICK_SECONDS * 1000))

    def _alerts(self) -> None:
        for alert in self.session.pop_alerts():
            if isinstance(alert, lt.save_resume_data_alert):
                # What libtorrent has may not be on disk yet. An alert's parameters go with the next alerts.
                self.known = lt.write_resume_data_buf(alert.params), without_gap(alert.params.have_pieces)
                self.handle.flush_cache()
            elif isinstance(alert, lt.cache_flushed_alert):
                self._keep()
            elif isinstance(alert, lt.file_error_alert | lt.torrent_error_alert | lt.listen_failed_alert):
                raise Failed(alert.message())

    def _look(self) -> None:
        now, state = time.monotonic(), self.handle.status()
        if self.hashes.wrong:
            # A resume that promised too much after a power cut, or a disk that fails: the next run begins anew.
            (self.folder / "resume").unlink(missing_ok=True)
            raise Failed(self.hashes.wrong)
        # What arrived before is checked first where nothing says what of it is right: that takes its time, too.
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
        """What is on disk can be hashed, and the next run goes on from it."""
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
    """Return how many of these stand before the first that isn't there."""
    return next((index for index, there in enumerate(have) if not there), len(have))


def session(plan: Plan) -> lt.session:
    """Return a session that speaks TLS on one port and asks nobody where others are."""
    address = f"[{plan.address}]" if ":" in plan.address else plan.address
    settings = SETTINGS | {
        "listen_interfaces": f"{address}:{plan.port}s",
        "outgoing_interfaces": plan.address,
        "download_rate_limit": plan.rate,
        "upload_rate_limit": plan.rate,
    }
    # No plugin: others are told by nobody but the plan.
    made = lt.session(settings, flags=0)
    # Private addresses are of a class without limits, unless all are of the first one that has them.
    everyone = lt.ip_filter()
    for first, last in (("0.0.0.0", "255.255.255.255"), ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")):  # noqa: S104
        everyone.add_rule(first, last, 1 << lt.session.global_peer_class_id)
    made.set_peer_class_filter(everyone)
    return made


class Peers:
    """The host before us in the chain; when nothing comes from it, those before it as well, until it is there again.

    Who asks an earlier one shares its line with those between: so it is done no longer than it must be.
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
            # If that was too early, the next time is later.
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
        """A connection to one that isn't asked ends: libtorrent ends those to addresses that are filtered out."""
        self.asked = so_many
        others = lt.ip_filter()
        for address, _ in self.listed[so_many:]:
            others.add_rule(address, address, 1)
        self.session.set_ip_filter(others)

    def _nearest_is_with_us(self, state: lt.torrent_status) -> bool:
        """What it lacks of what we have comes in a second: asked alone, it lets nobody wait."""
        nearest, enough = self.listed[0][0], state.total_wanted_done - state.download_payload_rate
        return any(
            peer.ip[0] == nearest and peer.progress * state.total_wanted >= enough
            for peer in self.handle.get_peer_info()
        )


class Hashes:
    """The sha256 of each file, taken while it arrives: files come in order, and what is read was just written."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.folder, self.size = folder, 0 if plan.first else sum(plan.files.values())
        self.files = list(plan.files.items())
        self.read, self.wrong, self.all_right = 0, "", False
        self.whole = 0
        """Bytes from the beginning of the first file without a gap, on disk."""
        self.grown = threading.Event()
        if not plan.first:
            threading.Thread(target=self._hash_all, daemon=True).start()

    def grow(self, whole: int) -> None:
        """So much can be hashed."""
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
            # Without a buffer, which would keep what stood there before the bytes arrived.
            stream = stream or (self.folder / name).open("rb", buffering=0)
            content = stream.read(min(until - done, 2**20))
            made.update(content)
            done, self.read = done + len(content), self.read + len(content)
        if stream:
            stream.close()
        return made.hexdigest()


if __name__ == "__main__":
    main()
