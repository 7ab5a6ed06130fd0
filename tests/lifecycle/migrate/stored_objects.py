"""What a stand-in for a provider stores, one of each kind at least, and a desk that reaches it."""

from __future__ import annotations

import shutil
from typing import Any

from rackwright.lifecycle.migrate.export.opened import export_path
from rackwright.lifecycle.migrate.export.procedure import Asked, export
from rackwright.migrate.export.export_list import ExportList
from rackwright.migrate.export.export_result import Exported
from rackwright.migrate.export.part_files import decrypted
from tests.lifecycle.migrate.desks import Desk
from tests.loopback_tls import bundle
from tests.stand_in_cloud import KEY, StandInCloud

FILES = 5


def store(cloud: StandInCloud) -> None:
    """Put objects of each kind into the stand-in."""
    cloud.contents = {f"file-{n}": f"line {n}\n".encode() * (n + 1) for n in range(FILES)}
    cloud.objects = {
        "/v1/files": [
            {"id": f"file-{n}", "bytes": 7 * (n + 1), "filename": f"{n}.jsonl", "purpose": "batch"}
            for n in range(FILES)
        ],
        "/v1/batches": [{"id": "batch_1", "input_file_id": "file-0", "output_file_id": "file-1"}],
        "/v1/fine_tuning/jobs": [
            {
                "id": "ftjob-1",
                "status": "succeeded",
                "training_file": "file-2",
                "fine_tuned_model": "ft:small:acme::1",
            }
        ],
        "/v1/fine_tuning/jobs/ftjob-1/events": [{"id": f"ftevent-{n}", "message": f"step {n}"} for n in range(150)],
        "/v1/vector_stores": [{"id": "vs_1", "name": "Manuals", "file_counts": {"total": 2}}],
        "/v1/vector_stores/vs_1/files": [{"id": "file-3"}, {"id": "file-4"}],
        "/v1/vector_stores/vs_1/files/file-3/content": [{"id": "c1", "type": "text", "text": "first chunk"}],
        "/v1/vector_stores/vs_1/files/file-4/content": [{"id": "c2", "type": "text", "text": "zweiter Teil: ü"}],
        "/v1/chat/completions": [{"id": f"chatcmpl-{n}", "choices": [], "metadata": {}} for n in range(3)],
        **{
            f"/v1/chat/completions/chatcmpl-{n}/messages": [{"id": f"m{n}", "role": "user", "content": "Hello"}]
            for n in range(3)
        },
        "/v1/responses": [{"id": "resp_1", "status": "completed"}],
        "/v1/responses/resp_1/input_items": [{"id": "msg_1", "content": "Hi"}],
        "/v1/conversations": [{"id": "conv_1"}],
        "/v1/conversations/conv_1/items": [{"id": "msg_2", "content": "Hi"}],
    }


def reach(desk: Desk, cloud: StandInCloud) -> None:
    """Let the desk's fleet file name the stand-in."""
    url = cloud.url.replace("127.0.0.1", "localhost") + "/v1"
    text = desk.path.read_text().replace("https://api.openai.com/v1", url)
    desk.path.write_text(text.replace('key: "file', 'ca: ca.pem\n    key: "file'))
    shutil.copy(bundle(), desk.folder / "ca.pem")
    (desk.folder / "provider-key").write_text(KEY)


def run(desk: Desk, **asked: Any) -> Exported:
    return export(desk.open(), Asked(**asked))


def exports_of(desk: Desk) -> ExportList:
    return ExportList(export_path(desk.open().folder)).load()


def content(desk: Desk, kind: str, id: str, piece: str) -> bytes:
    """Return what the export has."""
    listed = exports_of(desk)
    line = listed.earlier(kind, id)
    assert line is not None, (kind, id)
    found = line.piece(piece)
    assert found is not None, piece
    return b"".join(decrypted(listed.path, desk.open().folder.key, found))


def what_is_there(desk: Desk) -> dict[tuple[str, str], tuple[tuple[str, str], ...]]:
    """Return each whole object with the sha256 of its pieces, and check that all can be read."""
    listed = exports_of(desk)
    found, key = {}, desk.open().folder.key
    for line in listed.complete():
        found[line.kind, line.id] = tuple((one.name, one.sha256) for one in line.pieces)
        for one in line.pieces:
            assert sum(map(len, decrypted(listed.path, key, one))) == one.bytes
    return found
