from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.downloads import download_files, route_from_here, route_from_hosts
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.host_spec import Credentials
from rackwright.fleet.lock import Lock
from tests.fleet.fleets import make_fleet
from tests.gateway.certificates import CertificateAuthority

ARMORED = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx\n"
MIRROR = {"url": "https://mirror/debian", "suites": ["trixie"]}


def fleet_at(folder: Path, **site: object):
    hosts = {
        "gate1": {"address": "10.0.0.9", "service": "10.1.0.9"},
        "gpu1": {"address": "gpu1.acme.internal", "service": "fd00::1"},
    }
    return make_fleet(folder / "site.yml", hosts=hosts, downloads={"apt_existing": "replace", **site})


def problems(folder: Path, **site: object) -> list[str]:
    with pytest.raises(FleetError) as caught:
        download_files(fleet_at(folder, **site))
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_files_are_read_beside_the_fleet_file(tmp_path: Path) -> None:
    pem = CertificateAuthority(tmp_path).pem
    (tmp_path / "ca.pem").write_text(pem)
    (tmp_path / "key.asc").write_bytes(ARMORED)
    fleet = fleet_at(tmp_path, ca_bundle="ca.pem", apt_mirror=[MIRROR | {"key": "key.asc"}, MIRROR])
    found = download_files(fleet)
    assert found.ca_bundle == pem
    first, second = fleet.file.downloads.apt_mirrors
    assert (keyring := found.keyring(first)) is not None
    assert keyring.content == ARMORED
    assert found.keyring(second) is None


def test_every_file_that_is_not_good_is_named_with_what_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    (tmp_path / "key.asc").write_text("-----BEGIN PGP PRIVATE KEY BLOCK-----\n")
    assert problems(
        tmp_path, ca_bundle="ca.pem", apt_mirror=[MIRROR | {"key": "key.asc"}, MIRROR | {"key": "no"}]
    ) == [
        "site.yml downloads.ca_bundle: ca.pem can't be used; should be PEM with one or more certificates",
        "site.yml downloads.apt_mirror.key: key.asc can't be used; "
        "should have public keys only, but it contains a private key",
        "site.yml downloads.apt_mirror.key: no can't be read: No such file or directory",
    ]


def test_a_bundle_with_a_private_key_is_refused(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"
    (tmp_path / "ca.pem").write_text(CertificateAuthority(tmp_path).pem + key)
    (only,) = problems(tmp_path, ca_bundle="ca.pem")
    assert "but it contains a private key" in only


@pytest.mark.parametrize("content", [b"\x99\x01\x0d", b"\xc6\x33", ARMORED])
def test_a_keyring_is_openpgp(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    found = download_files(fleet_at(tmp_path, apt_mirror=MIRROR | {"key": "key"}))
    assert [keyring.content for keyring in found.keyrings.values()] == [content]


def test_the_fleets_own_addresses_never_go_through_the_proxy(tmp_path: Path) -> None:
    fleet = fleet_at(tmp_path, proxy="http://proxy:3128", no_proxy=["mirror.acme.internal"], ca_bundle="ca.pem")
    for route in (route_from_here(fleet), route_from_hosts(fleet)):
        assert route.proxy_for("https://huggingface.co/x") == "http://proxy:3128"
        for place in ("10.0.0.9", "10.1.0.9", "gpu1.acme.internal", "[fd00::1]", "llm.acme.internal", "127.0.0.1"):
            assert route.proxy_for(f"https://{place}:443/") is None
        assert route.proxy_for("https://mirror.acme.internal/") is None
    assert route_from_here(fleet).ca_bundle == str(tmp_path / "ca.pem")
    assert route_from_hosts(fleet).ca_bundle == "/etc/rackwright/ca-bundle.pem"


def test_a_host_gets_the_mirrors_that_are_for_it(tmp_path: Path) -> None:
    fleet = fleet_at(
        tmp_path, apt_mirror=[MIRROR | {"on": "gpu1"}, MIRROR | {"url": "https://all/debian", "on": ["gpu1"]}]
    )
    lock = Lock.model_validate(
        {
            "fleet": "acme",
            "models": {"assistant": {"source": "hf:acme/tiny", "digest": "d" * 64, "files": []}},
            "runtimes": {"llama_cpp-b1": {"kind": "llama_cpp", "version": "b1", "files": []}},
            "ports": {"gpu1": {"assistant@1": 8100}},
        }
    )
    models = host_specs(fleet, lock, credentials=Credentials(download_files=download_files(fleet)))
    assert [mirror.url for mirror in models["gpu1"].downloads.mirrors] == [
        "https://mirror/debian",
        "https://all/debian",
    ]
    assert models["gpu1"].downloads.replace
    assert (models["gate1"].downloads.mirrors, models["gate1"].downloads.replace) == ((), False)
