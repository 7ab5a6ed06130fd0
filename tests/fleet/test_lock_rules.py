"""Attacks by somebody who can change only the lock: none is read, so nothing is sent or downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.lock import AdapterLock, DriverLock, Lock, ModelLock, RuntimeLock, ToolLock, model_digest
from rackwright.fleet.lock_file import HEADER, mismatches, read_lock, require_sound, write_lock
from rackwright.fleet.lock_rules import release_url
from rackwright.fleet.yaml_file import write_stored
from rackwright.package_set import Package
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet
from tests.fleet.test_lock_file import make_lock

A, COMMIT, OTHER = "a" * 64, "c" * 40, "d" * 40
HUB = "https://huggingface.co"
Change = Callable[[Lock], Lock]


def file(path: str, url: str, **changes: object) -> File:
    return File.model_construct(**{"path": path, "size": 9, "sha256": A, "url": url, **changes})


def model(source: str, *files: File, revision: str | None = None) -> ModelLock:
    return ModelLock.model_construct(source=source, revision=revision, digest=model_digest(files), files=files)


def of_model(source: str, *files: File, revision: str | None = None) -> Lock:
    return make_lock(models={"assistant": model(source, *files, revision=revision)})


def of_runtime(kind: str, build: str | None, *files: File) -> Lock:
    runtime = RuntimeLock.model_construct(kind=kind, version="b1", build=build, files=files)
    return make_lock(runtimes={f"{kind}-b1": runtime})


def of_tool(*files: File, **changes: str) -> Lock:
    said = {"version": "0.1.0+aaaaaaaa", "digest": A, "python": "3.13", "files": files}
    return make_lock(tool=ToolLock.model_construct(**{**said, **changes}))


def of_driver(question: str, url: str, **changes: str) -> Lock:
    package = Package(name="libcuda1", version="580-1", architecture="amd64", size=1, sha256=A, url=url)
    said = {
        "question": question,
        "system": "debian 13",
        "architecture": "amd64",
        "modules": "open",
        "hosts": ("gpu1",),
        "version": "580.95.05",
        "kernel": "6.12.1",
        "kernel_package": "linux-image-amd64",
        "install": ("libcuda1",),
        "packages": (package,),
    }
    driver = DriverLock.model_construct(**{**said, **changes})
    return make_lock(drivers={driver.name: driver})


def of_previous(entry: ModelLock) -> Lock:
    now = make_lock().models["assistant"]
    return make_lock(models={"assistant": now.model_copy(update={"previous": entry})})


def of_adapter(source: str, *files: File) -> Lock:
    adapter = AdapterLock(source=source, digest=model_digest(files), files=files, rank=8)
    now = make_lock().models["assistant"]
    return make_lock(models={"assistant": now.model_copy(update={"adapters": {"support": adapter}})})


def hub(path: str, repository: str = "acme/tiny", commit: str = COMMIT, hub: str = HUB) -> str:
    return f"{hub}/{repository}/resolve/{commit}/{path}"


SECRET = "file:///root/.ssh/id_ed25519"
WEB = f"https://acme.org/m.gguf#sha256={A}"
ATTACKS = {
    "a controller file for a hub's file": (
        of_model("hf:acme/tiny", file("m.gguf", SECRET), revision=COMMIT),
        f"models.assistant.files.0.url: of m.gguf is {SECRET}, should be https://HUB/acme/tiny/resolve/{COMMIT}/m.gguf",
    ),
    "another controller file": (
        of_model("file:models/m.gguf", file("m.gguf", "file:../.ssh/id_ed25519")),
        "of m.gguf is file:../.ssh/id_ed25519, should be file:models/m.gguf, as its source says",
    ),
    "a controller file beside the source": (
        of_model("file:models", file("a.json", "file:models/../secret.json")),
        "of a.json is file:models/../secret.json, should be file:models/a.json",
    ),
    "a controller file of another name": (
        of_model("file:models/keys.json", file("m.gguf", "file:models/keys.json")),
        "should be file:models/keys.json/m.gguf",
    ),
    "another repository": (
        of_model("hf:acme/tiny", file("m.gguf", hub("m.gguf", "evil/tiny")), revision=COMMIT),
        "is https://huggingface.co/evil/tiny/",
    ),
    "another commit than its own": (
        of_model("hf:acme/tiny", file("m.gguf", hub("m.gguf", commit=OTHER)), revision=COMMIT),
        f"should be {hub('m.gguf')}",
    ),
    "another commit than the source's": (
        of_model(f"hf:acme/tiny@{OTHER}", file("m.gguf", hub("m.gguf")), revision=COMMIT),
        f"models.assistant.revision: is {COMMIT}, but its source asks for {OTHER}",
    ),
    "no commit": (
        of_model("hf:acme/tiny", file("m.gguf", hub("m.gguf"))),
        "models.assistant.revision: is None, should be a commit of 40",
    ),
    "a commit that is a path": (
        of_model("hf:acme/tiny", file("m.gguf", hub("m.gguf", commit="../x")), revision="../x"),
        "models.assistant.revision: is ../x, should be a commit of 40 hexadecimal digits",
    ),
    "another file of the commit": (
        of_model("hf:acme/tiny", file("m.gguf", hub("evil.gguf")), revision=COMMIT),
        f"should be {hub('m.gguf')}",
    ),
    "plain HTTP": (
        of_model("hf:acme/tiny", file("m.gguf", hub("m.gguf", hub="http://huggingface.co")), revision=COMMIT),
        "is http://huggingface.co/",
    ),
    "FTP": (
        of_model("hf:acme/tiny", file("m.gguf", hub("m.gguf", hub="ftp://huggingface.co")), revision=COMMIT),
        "is ftp://huggingface.co/",
    ),
    "another server": (of_model(WEB, file("m.gguf", "https://evil.org/m.gguf")), "should be https://acme.org/m.gguf"),
    "another name": (of_model(WEB, file("x.gguf", "https://acme.org/m.gguf")), "x.gguf, should be m.gguf"),
    "other bytes than the source's": (
        of_model(WEB, file("m.gguf", "https://acme.org/m.gguf", sha256="b" * 64)),
        f"m.gguf has sha256 {'b' * 64}, but its source says {A}",
    ),
    "a source that is none": (
        of_model("ftp://acme.org/m.gguf", file("m.gguf", "ftp://acme.org/m.gguf")),
        "models.assistant.source: Value error, should be hf:OWNER/REPO",
    ),
    "no files": (of_model("hf:acme/tiny", revision=COMMIT), "models.assistant.files: is empty"),
    "a pickle": (
        of_model("hf:acme/tiny", file("m.bin", hub("m.bin")), revision=COMMIT),
        "models.assistant.files.0: m.bin: should be safetensors, GGUF or a text file",
    ),
    "a name that begins with a dash": (
        of_model("hf:acme/tiny", file("-m.gguf", hub("-m.gguf")), revision=COMMIT),
        "models.assistant.files.0.path: Value error, should have no name that begins with a dash",
    ),
    "a folder that begins with a dash": (
        of_model("hf:acme/tiny", file("a/--x/m.gguf", hub("a/--x/m.gguf")), revision=COMMIT),
        "should have no name that begins with a dash",
    ),
    "a name with ..": (
        of_model("file:models", file("../m.gguf", "file:models/../m.gguf")),
        "should be a relative path without ..",
    ),
    "a name with a control character": (
        of_model("file:models", file("m\x1b.gguf", "file:models/m\x1b.gguf")),
        "has a control character",
    ),
    "a name with a space": (
        of_model("file:models", file("m $x.gguf", "file:models/m $x.gguf")),
        "should have names of letters, digits and",
    ),
    "a negative size": (
        of_model("file:models", file("m.gguf", "file:models/m.gguf", size=-1)),
        "models.assistant.files.0.size: Input should be greater than or equal to 0",
    ),
    "what a rollback goes back to": (
        of_previous(model("hf:acme/tiny", file("m.gguf", SECRET), revision=COMMIT)),
        "models.assistant.previous.files.0.url: of m.gguf is file:///root",
    ),
    "an adapter": (
        of_adapter("file:support", file("adapter_config.json", "file:/etc/passwd")),
        "models.assistant.adapters.support.files.0.url: of adapter_config.json is file:/etc/passwd, should be "
        "file:support/adapter_config.json",
    ),
    "a controller file for the project's own build": (
        of_runtime("llama_cpp", None, file("llama-b1-bin-ubuntu-x64.tar.gz", SECRET)),
        f"runtimes.llama_cpp-b1.files.0.url: of llama-b1-bin-ubuntu-x64.tar.gz is {SECRET}, should be "
        f"{release_url('b1')}",
    ),
    "another controller file for a build": (
        of_runtime("llama_cpp", "file:b1.tgz", file("b1.tgz", "file:/etc/shadow")),
        "of b1.tgz is file:/etc/shadow, should be file:b1.tgz",
    ),
    "another server for a build": (
        of_runtime("llama_cpp", f"https://acme.org/b1.tgz#sha256={A}", file("b1.tgz", "https://evil.org/b1.tgz")),
        "should be https://acme.org/b1.tgz",
    ),
    "other bytes than the build's": (
        of_runtime(
            "llama_cpp", f"https://acme.org/b1.tgz#sha256={'b' * 64}", file("b1.tgz", "https://acme.org/b1.tgz")
        ),
        f"b1.tgz has sha256 {A}, but its build says {'b' * 64}",
    ),
    "two archives": (
        of_runtime("llama_cpp", "file:b1.tgz", *[file("b1.tgz", "file:b1.tgz")] * 2),
        "runtimes.llama_cpp-b1.files: are 2, should be one archive",
    ),
    "a build that is none": (
        of_runtime("llama_cpp", "http://acme.org/b1.tgz", file("b1.tgz", "http://acme.org/b1.tgz")),
        "runtimes.llama_cpp-b1.build: is http://acme.org/b1.tgz; should be hf:OWNER/REPO",
    ),
    "a controller file for an index's wheel": (
        of_runtime("vllm", None, file("vllm-1-py3-none-any.whl", "file:/root/vllm-1-py3-none-any.whl")),
        "should be https://… with vllm-1-py3-none-any.whl at its end",
    ),
    "a controller file for a wheel of a folder": (
        of_runtime("vllm", "file:wheels", file("vllm-1-py3-none-any.whl", "file:/root/vllm-1-py3-none-any.whl")),
        "should be file:wheels/vllm-1-py3-none-any.whl",
    ),
    "a wheel by plain HTTP": (
        of_runtime("vllm", None, file("vllm-1-py3-none-any.whl", "http://pypi.org/vllm-1-py3-none-any.whl")),
        "should be https://… with",
    ),
    "a wheel that is none": (
        of_runtime("vllm", None, file("vllm.tar.gz", "https://pypi.org/vllm.tar.gz")),
        "vllm.tar.gz is not the name of a wheel",
    ),
    "a version that the key doesn't have": (
        make_lock(
            runtimes={"llama_cpp-b1": make_lock().runtimes["llama_cpp-b1"].model_copy(update={"version": "b2"})}
        ),
        "runtimes.llama_cpp-b1: is llama_cpp-b2, not llama_cpp-b1",
    ),
    "a package by FTP": (of_driver("branch=580", "ftp://deb.org/x.deb"), "should begin with https:// or http://"),
    "a host's file for a package": (of_driver("branch=580", "file:///etc/shadow"), "has the URL file:///etc/shadow"),
    "a host's file beside the driver's folder": (
        of_driver("branch=580 path=/srv/driver source=path", "file:///srv/driver2/x.deb"),
        "should begin with https:// or http:// or file:///srv/driver/",
    ),
    "a host's file above the driver's folder": (
        of_driver("branch=580 path=/srv/driver source=path", "file:///srv/driver/../../etc/shadow"),
        "or file:///srv/driver/, without ..",
    ),
    "a host's file above the driver's folder, with escapes": (
        of_driver("branch=580 path=/srv/driver source=path", "file:///srv/driver/%2e%2e/%2E%2e%2fetc/shadow"),
        "or file:///srv/driver/, without ..",
    ),
    "a tool that is a path": (
        of_tool(version="../../x+aaaaaaaa"),
        "tool.version: Value error, should be a version and eight hexadecimal digits",
    ),
    "a tool with another digest": (
        of_tool(digest="b" * 64),
        "tool.digest: doesn't begin like that of 0.1.0+aaaaaaaa",
    ),
    "a wheel of the tool from the controller": (
        of_tool(file("x-1-py3-none-any.whl", "file:../x-1-py3-none-any.whl")),
        "should be https://… with x-1-py3-none-any.whl at its end",
    ),
    "a wheel of the tool that is none": (
        of_tool(file("x.sh", "https://evil.org/x.sh")),
        "x.sh is not the name of a wheel",
    ),
    "a kernel that is a path": (
        of_driver("branch=580", "https://deb.org/x.deb", kernel="../x"),
        "kernel: String should match pattern",
    ),
    "a package name that is an option": (
        of_driver("branch=580", "https://deb.org/x.deb", install=("--allow-unauthenticated",)),
        "install.0: Value error, should be the name of a Debian package",
    ),
}


def test_a_new_lock_that_would_be_refused_is_no_lock(tmp_path: Path) -> None:
    lock, message = ATTACKS["another controller file"]
    with pytest.raises(FleetError) as caught:
        require_sound(tmp_path / "site.lock", lock)
    assert message in str(caught.value)
    assert "the lock is unchanged" in str(caught.value)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(("lock", "message"), ATTACKS.values(), ids=ATTACKS)
def test_a_lock_that_was_changed_alone_is_refused(tmp_path: Path, lock: Lock, message: str) -> None:
    write_stored(tmp_path / "site.lock", HEADER, lock)
    with pytest.raises(FleetError) as caught:
        read_lock(tmp_path / "site.lock")
    assert message in str(caught.value)
    assert all("then rackwright lock" in (problem.next or "") for problem in caught.value.problems)


HONEST = {
    "a tool": of_tool(file("x-1-py3-none-any.whl", "https://pypi.org/x-1-py3-none-any.whl")),
    "a file": of_model("file:../models/m.gguf", file("m.gguf", "file:../models/m.gguf")),
    "a folder": of_model("file:~/models/", file("a/m.gguf", "file:~/models/a/m.gguf")),
    "a URL": of_model(WEB, file("m.gguf", "https://acme.org/m.gguf")),
    "a name that a URL quotes": of_model("hf:acme/tiny", file("a@b+c.gguf", hub("a%40b%2Bc.gguf")), revision=COMMIT),
    "a commit": of_model(f"hf:acme/tiny@{COMMIT}", file("m.gguf", hub("m.gguf")), revision=COMMIT),
    "a driver's folder": of_driver("branch=580 path=/srv/driver source=path", "file:///srv/driver/./x.deb"),
    "a package by plain HTTP": of_driver("branch=580", "http://deb.debian.org/x.deb"),
}


@pytest.mark.parametrize("lock", HONEST.values(), ids=HONEST)
def test_what_rackwright_lock_writes_is_read(tmp_path: Path, lock: Lock) -> None:
    write_lock(tmp_path / "site.lock", lock)
    assert read_lock(tmp_path / "site.lock") == lock


@pytest.mark.parametrize("hub_of", ["https://evil.org", f"{HUB}/evil/x/resolve/{COMMIT}"])
def test_a_hub_that_is_not_the_fleet_files_is_named_with_the_file(tmp_path: Path, hub_of: str) -> None:
    url = hub("m.gguf", hub=hub_of)
    (problem,) = mismatches(
        make_fleet(tmp_path / "site.yml"), of_model("hf:acme/tiny", file("m.gguf", url), revision=COMMIT)
    )
    assert f"models.assistant.files: are not from {HUB}," in str(problem)
    assert f"m.gguf has {url}, should be {hub('m.gguf')}" in str(problem)


def test_wheels_from_elsewhere_do_not_take_the_place_of_a_folder(tmp_path: Path) -> None:
    wheel = file("vllm-1-py3-none-any.whl", "https://evil.org/vllm-1-py3-none-any.whl")
    runtime = RuntimeLock(kind="vllm", version="0.32.0", build="file:wheels", python="3.13", files=(wheel,))
    lock = make_lock(runtimes={"vllm-0.32.0": runtime})
    fleet = make_fleet(tmp_path / "site.yml", runtime={"kind": "vllm", "version": "0.32.0", "build": "file:wheels"})
    said = f"runtimes.vllm-0.32.0.files: are not all in wheels: {wheel.path} has {wheel.url}"
    # The folder may be on another machine only.
    assert [said in str(problem) for problem in mismatches(fleet, lock)] == [True]
    (tmp_path / "wheels").mkdir()
    assert [said in str(problem) for problem in mismatches(fleet, lock)] == [True]
    (tmp_path / "wheels").rmdir()
    # A requirements file.
    (tmp_path / "wheels").write_text("vllm==0.32.0\n")
    assert mismatches(fleet, lock) == ()
