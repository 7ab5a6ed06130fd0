from __future__ import annotations

import hashlib

from rackwright.fleet.lock import Lock, ModelLock, lock_digest, model_digest
from rackwright.values.file import File

A, B = "a" * 64, "b" * 64
FILES = (
    File(path="b.gguf", size=2, sha256=B, url="https://hub/b.gguf"),
    File(path="a.json", size=1, sha256=A, url="https://hub/a.json"),
)


def lock(**changes: object) -> Lock:
    model = ModelLock(source="hf:acme/tiny", revision="c" * 40, digest=model_digest(FILES), files=FILES)
    return Lock(fleet="acme", models={"assistant": model}, runtimes={}, ports={}).model_copy(update=changes)


def test_a_models_digest_is_of_the_sorted_lines_sha256_size_path():
    text = f"{A} 1 a.json\n{B} 2 b.gguf\n"
    assert model_digest(FILES) == hashlib.sha256(text.encode()).hexdigest()
    assert model_digest(reversed(FILES)) == model_digest(FILES)


def test_where_bytes_come_from_does_not_change_a_models_digest():
    moved = [file.model_copy(update={"url": "https://mirror/x"}) for file in FILES]
    assert model_digest(moved) == model_digest(FILES)


def test_a_locks_digest_does_not_depend_on_order_and_sees_every_port():
    one = lock(ports={"gpu1": {"a@1": 8100, "b@1": 8101}, "gpu2": {}})
    other = lock(ports={"gpu2": {}, "gpu1": {"b@1": 8101, "a@1": 8100}})
    assert lock_digest(one) == lock_digest(other)
    assert lock_digest(one) != lock_digest(lock(ports={"gpu1": {"a@1": 8101, "b@1": 8100}, "gpu2": {}}))


def test_an_engine_is_pointed_at_the_first_gguf_file_or_the_folder():
    assert lock().models["assistant"].weights == "b.gguf"
    assert ModelLock(source="file:x", digest=A, files=FILES[1:]).weights == "."
