"""The lock, over a stand-in hub on loopback (tests/stand_in_hub.py): nothing leaves the machine."""

from __future__ import annotations

import hashlib
import logging
import re
import ssl
from functools import partial
from pathlib import Path

import pytest

from rackwright.errors import ExitCode, FleetError, RackwrightError
from rackwright.fleet import lock_rules
from rackwright.fleet.lock import model_digest
from rackwright.fleet.lock_file import mismatches, read_lock, write_lock
from rackwright.fleet.source import HubSource
from rackwright.resolve import hub as hub_module
from rackwright.resolve.hub import Hub
from rackwright.resolve.lock import resolve_lock
from rackwright.resolve.model_files import choose
from rackwright.resolve.web import Web
from rackwright.route import Route
from rackwright.values.secrets import Secret
from tests.fleet.fleets import make_fleet
from tests.gateway.certificates import CertificateAuthority
from tests.stand_in_hub import COMMIT, StandInHub

GGUF = partial(choose, glob=None, loads=(".gguf",))
SAFETENSORS = partial(choose, glob=None, loads=(".safetensors",))
TINY = {"README.md": b"read", "config.json": b"{}", "m.gguf": b"GGUF" * 1000}
WHOLE = {"model.safetensors": b"s" * 5000, "config.json": b'{"a": 1}', "tokenizer.json": b"{}", "x.bin": b"pickle"}


@pytest.fixture
def hub():
    with StandInHub({"acme/tiny": TINY, "acme/whole": WHOLE, "acme/pickled": {"pytorch_model.bin": b"p"}}) as hub:
        yield hub


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "llama.tar.gz"
    path.write_bytes(b"archive" * 10)
    return path


def fleet_at(tmp_path: Path, hub: StandInHub | None, **sections: object):
    downloads = hub.site if hub else {}
    sections.setdefault("runtime", {"kind": "llama_cpp", "version": "b1", "build": "file:llama.tar.gz"})
    return make_fleet(tmp_path / "site.yml", downloads={**downloads, **sections.pop("downloads", {})}, **sections)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_branch_becomes_a_commit_and_its_gguf_a_url_with_size_and_sha256(tmp_path, hub, archive):
    fleet = fleet_at(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    model = lock.models["assistant"]
    (file,) = model.files
    assert model.revision == COMMIT
    assert (file.path, file.size, file.sha256) == ("m.gguf", 4000, sha256(TINY["m.gguf"]))
    assert file.url == f"{hub.url}/acme/tiny/resolve/{COMMIT}/m.gguf"
    assert model.digest == model_digest(model.files)
    assert lock.ports == {"gpu1": {"assistant@1": 8100}}
    assert hub.asked == [
        "GET /api/models/acme/tiny/revision/main?blobs=true",
        f"GET /acme/tiny/resolve/{COMMIT}/m.gguf",
    ]
    assert mismatches(fleet, lock) == ()


def test_a_resolved_lock_survives_being_written_and_read(tmp_path, hub, archive):
    lock = resolve_lock(fleet_at(tmp_path, hub), None)
    write_lock(tmp_path / "site.lock", lock)
    assert read_lock(tmp_path / "site.lock") == lock


def test_a_file_of_the_controller_is_hashed_in_place(tmp_path, archive):
    (tmp_path / "my models").mkdir()
    path = tmp_path / "my models" / "m.gguf"
    path.write_bytes(TINY["m.gguf"])
    told = []
    fleet = fleet_at(tmp_path, None, source="file:my models/m.gguf")
    lock = resolve_lock(fleet, None, on_progress=lambda *said: told.append(said))
    (file,) = lock.models["assistant"].files
    assert (file.path, file.size, file.sha256) == ("m.gguf", 4000, sha256(TINY["m.gguf"]))
    assert file.url == "file:my models/m.gguf"
    assert ("m.gguf", 4000, 4000) in told
    (build,) = lock.runtimes["llama_cpp-b1"].files
    assert (build.path, build.sha256, build.url) == ("llama.tar.gz", sha256(b"archive" * 10), "file:llama.tar.gz")


def test_safetensors_come_with_small_files_that_are_fetched_to_be_hashed(hub):
    found = Hub(hub.url, hub.web).settle(HubSource("acme/whole", "v1"), where="x", choice=SAFETENSORS)
    assert found.revision == "1" * 40
    assert [(file.path, file.sha256) for file in found.files] == [
        (path, sha256(WHOLE[path])) for path in ("config.json", "model.safetensors", "tokenizer.json")
    ]
    assert not any("safetensors" in asked or "x.bin" in asked for asked in hub.asked)


def test_an_answered_question_asks_nobody_again(tmp_path, hub, archive):
    fleet = fleet_at(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = "2" * 40
    hub.asked.clear()
    archive.unlink()
    assert resolve_lock(fleet, lock) == lock
    assert hub.asked == []


def test_upgrade_moves_a_branch_to_its_newest_commit(tmp_path, hub, archive):
    fleet = fleet_at(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = "2" * 40
    hub.repositories["acme/tiny"] = {**TINY, "m.gguf": b"GGUF2"}
    upgraded = resolve_lock(fleet, lock, upgrade=True)
    assert upgraded.models["assistant"].revision == "2" * 40
    assert upgraded.models["assistant"].digest != lock.models["assistant"].digest


def test_a_changed_question_is_asked(tmp_path, hub, archive):
    lock = resolve_lock(fleet_at(tmp_path, hub), None)
    again = resolve_lock(fleet_at(tmp_path, hub, source="hf:acme/tiny@v1"), lock)
    assert again.models["assistant"].revision == "1" * 40


def test_another_hub_keeps_commit_and_bytes(tmp_path, hub, archive):
    lock = resolve_lock(fleet_at(tmp_path, hub), None)
    moved = fleet_at(tmp_path, None, downloads={"hub": "https://mirror.lan/hf"})
    hub.asked.clear()
    again = resolve_lock(moved, lock)
    assert again.models["assistant"].files[0].url == f"https://mirror.lan/hf/acme/tiny/resolve/{COMMIT}/m.gguf"
    assert again.models["assistant"].digest == lock.models["assistant"].digest
    assert mismatches(moved, lock)
    assert not mismatches(moved, again)
    assert hub.asked == []


def test_the_projects_own_build_is_read_once_to_be_hashed(tmp_path, hub, monkeypatch):
    monkeypatch.setattr(lock_rules, "RELEASES", f"{hub.url}/moved")
    hub.plain["b1/llama-b1-bin-ubuntu-x64.tar.gz"] = b"release"
    fleet = fleet_at(tmp_path, hub, runtime={"kind": "llama_cpp", "version": "b1"})
    lock = resolve_lock(fleet, None)
    (file,) = lock.runtimes["llama_cpp-b1"].files
    assert (file.path, file.size, file.sha256) == ("llama-b1-bin-ubuntu-x64.tar.gz", 7, sha256(b"release"))
    hub.asked.clear()
    assert resolve_lock(fleet, lock, upgrade=True).runtimes == lock.runtimes
    assert not any("llama" in asked for asked in hub.asked)


def test_the_projects_own_build_is_named_by_its_release():
    assert lock_rules.release_url("b1") == (
        "https://github.com/ggml-org/llama.cpp/releases/download/b1/llama-b1-bin-ubuntu-x64.tar.gz"
    )


def test_the_size_behind_a_url_is_asked_by_head_or_else_by_a_range(hub):
    hub.plain["m.gguf"] = b"x" * 777
    assert hub.web.size(f"{hub.url}/moved/m.gguf") == 777
    hub.head = False
    assert hub.web.size(f"{hub.url}/plain/m.gguf") == 777


def test_all_models_without_an_answer_are_named_at_once(tmp_path, hub, archive):
    models = {
        name: {
            "source": f"hf:acme/{name}",
            "runtime": {"kind": "llama_cpp", "version": "b1", "build": "file:none"},
            "place": [{"on": "gate1"}],
            "names": [name],
            "context": 4096,
        }
        for name in ("missing", "whole", "pickled")
    }
    with pytest.raises(FleetError) as caught:
        resolve_lock(fleet_at(tmp_path, hub, models=models), None)
    told = [str(problem) for problem in caught.value.problems]
    assert told[0].startswith(f"{tmp_path}/site.yml models.missing.source: {hub.url} has no acme/missing@main")
    assert "models.whole.source: acme/whole has .safetensors weights only" in told[1]
    assert "models.pickled.source: acme/pickled has only pickled weights" in told[2]
    assert told[3].startswith(f"{tmp_path}/site.yml models.missing.runtime.build: {tmp_path}/none can't be read")
    assert caught.value.exit_code == ExitCode.FLEET_INVALID


def test_two_builds_of_one_version_are_refused(tmp_path, hub, archive):
    fleet = fleet_at(tmp_path, hub, replicas={"gpu1": ["a@1", "b@1"]})
    other = fleet.file.models["b"].model_copy(
        update={"runtime": fleet.file.models["b"].runtime.model_copy(update={"build": "file:other.tgz"})}
    )
    file = fleet.file.model_copy(update={"routed": {**fleet.file.routed, "b": other}})
    with pytest.raises(FleetError, match=r"models\.b\.runtime\.build: is another build of llama_cpp b1"):
        resolve_lock(type(fleet)(fleet.path, file, fleet.replicas, fleet.sources, {}), None)


def test_a_token_goes_to_the_hub_and_into_no_log(hub, caplog):
    caplog.set_level(logging.DEBUG)
    hub.token = "hf_secret"
    with pytest.raises(FleetError, match="a private or gated repository needs"):
        Hub(hub.url, hub.web).settle(HubSource("acme/whole"), where="x", choice=SAFETENSORS)
    Hub(hub.url, hub.web, Secret("hf_secret")).settle(HubSource("acme/whole"), where="x", choice=SAFETENSORS)
    assert hub.tokens[1:] == ["Bearer hf_secret"] * 3
    assert "hf_secret" not in caplog.text


def test_a_token_does_not_follow_a_redirect_to_another_server(hub):
    with StandInHub({}, plain_http=True) as other:
        hub.redirect = f"{other.url}/plain/x"
        with pytest.raises(RackwrightError, match="redirected to an address that is not https"):
            hub.web.digest(f"{hub.url}/acme/tiny/resolve/main/config.json", limit=100, token=Secret("t"))
        assert other.asked == []


def test_a_token_is_left_behind_when_the_server_changes(hub):
    with StandInHub({}) as other:
        other.plain["x"] = b"x"
        hub.redirect = f"{other.url}/plain/x"
        hub.web.digest(f"{hub.url}/acme/tiny/resolve/main/config.json", limit=100, token=Secret("t"))
        assert (hub.tokens, other.tokens) == (["Bearer t"], [None])


def test_what_an_operator_keeps_in_netrc_is_not_sent(hub, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    hub.plain["x"] = b"x"
    hub.web.size(f"{hub.url}/plain/x")
    assert hub.tokens == [None]


@pytest.mark.parametrize("repository", ["acme/a--b", "acme/a..b"])
def test_a_name_that_no_repository_can_have_is_named(hub, repository):
    with pytest.raises(FleetError, match=f"x: {re.escape(repository)} can't be a repository"):
        Hub(hub.url, hub.web).settle(HubSource(repository), where="x", choice=GGUF)
    assert hub.asked == []


def test_a_server_that_is_no_hub_is_named(hub):
    hub.commits["main"] = ""
    with pytest.raises(RackwrightError, match=r"127\.0\.0\.1: doesn't answer like a model hub: sha: "):
        Hub(hub.url, hub.web).settle(HubSource("acme/tiny"), where="x", choice=GGUF)


def test_a_download_that_ends_early_is_an_error(hub):
    hub.plain["x"] = b"x" * 100
    hub.cut = 10
    with pytest.raises(RackwrightError, match=r"closed the connection too early|ended after 90 of 100 bytes"):
        hub.web.digest(f"{hub.url}/plain/x", limit=1000)


def test_a_small_file_that_is_large_is_not_read_to_its_end(hub, monkeypatch):
    monkeypatch.setattr(hub_module, "SMALL", 4)
    with pytest.raises(RackwrightError, match="has more than"):
        Hub(hub.url, hub.web).settle(HubSource("acme/whole"), where="x", choice=SAFETENSORS)


def test_an_unreachable_hub_is_named_with_what_to_check(tmp_path, archive):
    with StandInHub({}) as gone:
        fleet = fleet_at(tmp_path, gone)
    with pytest.raises(RackwrightError) as caught:
        resolve_lock(fleet, None)
    assert str(caught.value) == (
        "127.0.0.1: can't be reached\n  next: check downloads.hub, downloads.proxy and the network, then try again"
    )


def test_a_proxys_password_is_in_no_error_and_no_log(hub, caplog):
    caplog.set_level(logging.DEBUG)
    with StandInHub({}, plain_http=True) as gone:
        proxied = Route(proxy=gone.url.replace("http://", "http://user:pa55word@"))
    for ask in (
        lambda web: Hub("https://hub.invalid", web).settle(HubSource("a/b"), where="x", choice=GGUF),
        lambda web: web.size("https://hub.invalid/x"),
    ):
        with pytest.raises(RackwrightError) as caught:
            ask(Web(proxied))
        assert "hub.invalid" in str(caught.value)
        assert "pa55word" not in f"{caught.value} {caught.value.__cause__} {Web(proxied)!r}"
    assert "pa55word" not in caplog.text


def test_a_private_ca_is_trusted_where_the_fleet_file_names_it_and_nowhere_else(tmp_path):
    ca = CertificateAuthority(tmp_path)
    ca.issue("hub", ("127.0.0.1",), client=False)
    (tmp_path / "ca.pem").write_text(ca.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "hub.crt", tmp_path / "hub.key.cred")
    with StandInHub({"acme/tiny": TINY}, tls=context) as hub:
        url, source = f"{hub.url}/acme/tiny/resolve/main/config.json", HubSource("acme/tiny")
        trusting = Web(Route(ca_bundle=str(tmp_path / "ca.pem")))
        assert trusting.digest(url, limit=100) == (2, sha256(b"{}"))
        assert Hub(hub.url, trusting).settle(source, where="x", choice=GGUF).revision == COMMIT
        for ask in (
            lambda web: web.digest(url, limit=100),
            lambda web: Hub(hub.url, web).settle(source, where="x", choice=GGUF),
        ):
            with pytest.raises(RackwrightError, match="not trusted on this machine\n  next: add its CA to") as caught:
                ask(Web())
            assert caught.value.problems[0].where == "127.0.0.1"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_what_bypasses_the_fleet_files_proxy_bypasses_the_environments_proxy_too(hub, monkeypatch, variable):
    with StandInHub({}, plain_http=True) as gone:
        monkeypatch.setenv(variable, gone.url)
        route = Route(proxy=gone.url, no_proxy=("127.0.0.0/8",), ca_bundle=hub.site["ca_bundle"])
    assert Web(route).digest(f"{hub.url}/acme/tiny/resolve/main/config.json", limit=100)[0] == 2
    assert Hub(hub.url, Web(route)).settle(HubSource("acme/tiny"), where="x", choice=GGUF).revision == COMMIT


def test_a_bundle_that_is_not_good_is_named_before_anything_is_asked(tmp_path, hub, archive):
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(FleetError, match=r"downloads\.ca_bundle: .*ca\.pem can't be used; should be PEM"):
        resolve_lock(fleet_at(tmp_path, hub, downloads={"ca_bundle": "ca.pem"}), None)
    assert hub.asked == []
