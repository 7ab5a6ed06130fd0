import io
import tarfile
import zipfile
from pathlib import Path

from rackwright.lab.artefacts import repack


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_the_archive_has_programs_with_libraries_beside_them_and_each_only_once(tmp_path: Path) -> None:
    server = wheel(
        tmp_path / "server.whl",
        {
            "x/bin/llama-server": b"program",
            "x/bin/libllama.so": b"library",
            "x/bin/libllama.so.0": b"library",
            "x/bin/libllama.so.0.1": b"library",
            "x/bin/libggml-cpu.so.0": b"needs AMX",
            "x/__init__.py": b"",
        },
    )
    ggml = wheel(tmp_path / "ggml.whl", {"l/libggml-cpu.so.0": b"needs AVX2", "l/other.so": b""})
    repack(server, ggml, tmp_path / "one.tar.gz")
    repack(server, ggml, tmp_path / "two.tar.gz")
    packed = (tmp_path / "one.tar.gz").read_bytes()
    assert packed == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        found = {entry.name.removeprefix("llama-b10434/"): entry.linkname for entry in tar}
        cpu = tar.extractfile("llama-b10434/libggml-cpu.so.0")
        assert cpu is not None
        assert cpu.read() == b"needs AVX2"
    assert found == {
        "llama-server": "",
        "libllama.so.0.1": "",
        "libllama.so.0": "libllama.so.0.1",
        "libllama.so": "libllama.so.0.1",
        "libggml-cpu.so.0": "",
    }
