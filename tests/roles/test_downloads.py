from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.operations.facts.apt_sources import AptSources, Sources
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.roles.downloads.configuration import apt_conf, apt_sources, pip_conf, uv_toml
from rackwright.roles.downloads.role import downloads
from rackwright.roles.downloads.settings import MARK, AptMirror, Keyring, Settings, inrelease
from rackwright.route import Route
from tests.fakes import Played, play

ROOT = Path(__file__).parents[2]
KEYRING = Keyring(content=b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\n")
MIRROR = AptMirror(
    url="https://mirror.acme.internal/debian",
    suites=("trixie", "trixie-updates", "extra/"),
    components=("main", "non-free"),
    keyring=KEYRING,
)
SETTINGS = Settings(
    route=Route(
        proxy="http://proxy:3128", no_proxy=("mirror.acme.internal",), ca_bundle="/etc/rackwright/ca-bundle.pem"
    ),
    ca_bundle="-----BEGIN CERTIFICATE-----\n",
    mirrors=(MIRROR,),
    replace=True,
    package_index="https://pypi.acme.internal/simple",
)
_DEBIAN = Sources(others=("sources.list", "sources.list.d/debian.sources"))


def text(content: bytes) -> Found:
    return Found("regular file", 0o644, "root", "root", "0" * 64, content)


def played(settings: Settings, **facts: object) -> Played:
    known = {PathState: None, AptSources: Sources()} | {
        {"sources": AptSources, "pip": (PathState, "/etc/pip.conf")}[name]: value for name, value in facts.items()
    }
    return play(downloads, facts=known, settings=settings)


def test_without_settings_nothing_changes() -> None:
    assert played(Settings(), sources=_DEBIAN).changed == []


def test_the_mirrors_prove_themselves_before_the_hosts_own_sources_go() -> None:
    done = played(SETTINGS, sources=_DEBIAN)
    order = [
        "ca-bundle.pem",
        "rackwright-downloads",
        "keyrings",
        "apt-get -q update --error-on=any",
        "mv -fT -- /etc/apt/sources.list /",
    ]
    text = "\n".join(done.commands)
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert done.diffs["Set other apt sources aside, or restore them"] == (
        "- /etc/apt/sources.list\n- /etc/apt/sources.list.d/debian.sources"
    )


def test_without_a_mirror_what_was_set_aside_comes_back() -> None:
    found = Sources(others=("sources.list",), aside=("sources.list.d/debian.sources",), keyrings=(KEYRING.path,))
    done = played(Settings(), sources=found)
    assert done.commands == [
        "mkdir -p -- /etc/apt/sources.list.d",
        "mv -fT -- /var/lib/rackwright/apt-sources/sources.list.d/debian.sources "
        "/etc/apt/sources.list.d/debian.sources",
        "rm -f -- /var/lib/apt/periodic/update-success-stamp",
        f"rm -f -- {KEYRING.path}",
    ]


def test_kept_sources_stay() -> None:
    done = played(SETTINGS.model_copy(update={"replace": False}), sources=_DEBIAN)
    assert not [command for command in done.commands if "/var/lib/rackwright/apt-sources" in command]


@pytest.mark.parametrize(
    ("settings", "content"), [(SETTINGS, b"[global]\nindex-url = x\n"), (Settings(), b"# mine\n")]
)
def test_a_pip_conf_of_the_hosts_own_is_left_alone(settings: Settings, content: bytes) -> None:
    done = played(settings, pip=text(content))
    assert not [command for command in done.commands if "pip.conf" in command]
    named = {"Set pip's package index": "/etc/pip.conf is not from rackwright, and is used instead of rackwright's"}
    assert done.notes == (named if settings.package_index else {})


def test_our_own_pip_conf_is_kept_up_and_taken_away() -> None:
    ours = text(MARK.encode() + b"[global]\nindex-url = old\n")
    assert "Set pip's package index" in played(SETTINGS, pip=ours).changed
    assert "rm -rf --one-file-system -- /etc/pip.conf" in played(Settings(), pip=ours).commands


def test_apts_sources_name_suites_components_and_key() -> None:
    assert apt_sources(SETTINGS) == (
        f"Types: deb\nURIs: {MIRROR.url}\nSuites: extra/\nSigned-By: {KEYRING.path}\n\n"
        f"Types: deb\nURIs: {MIRROR.url}\nSuites: trixie trixie-updates\nComponents: main non-free\n"
        f"Signed-By: {KEYRING.path}\n"
    )


def test_a_keyrings_name_tells_apt_its_form_and_changes_with_it() -> None:
    binary = Keyring(content=b"\x99\x01")
    assert KEYRING.path.endswith(".asc")
    assert binary.path.endswith(".gpg")
    assert binary.path != Keyring(content=b"\x99\x02").path


def test_where_apt_begins_to_read() -> None:
    assert inrelease(MIRROR, "trixie") == "https://mirror.acme.internal/debian/dists/trixie/InRelease"
    assert inrelease(MIRROR, "extra/") == "https://mirror.acme.internal/debian/extra/InRelease"
    assert inrelease(MIRROR, "./") == "https://mirror.acme.internal/debian/InRelease"


def test_apt_reaches_a_mirror_without_the_proxy_where_no_proxy_says_so() -> None:
    conf = apt_conf(SETTINGS) or ""
    assert 'Acquire::https::Proxy "http://proxy:3128";' in conf
    assert 'Acquire::https::Proxy::mirror.acme.internal "DIRECT";' in conf
    assert 'Acquire::https::CAInfo "/etc/rackwright/ca-bundle.pem";' in conf
    through = SETTINGS.model_copy(update={"route": Route(proxy="http://proxy:3128")})
    assert "DIRECT" not in (apt_conf(through) or "")
    assert apt_conf(Settings()) is None


def test_pip_is_told_index_authorities_and_proxy() -> None:
    values = "index-url = https://pypi.acme.internal/simple\ncert = /etc/rackwright/ca-bundle.pem\n"
    assert pip_conf(SETTINGS) == f"{MARK}[global]\n{values}proxy = http://proxy:3128\n"
    past = SETTINGS.model_copy(update={"route": Route(proxy="http://proxy:3128", no_proxy=("acme.internal",))})
    assert "proxy" not in (pip_conf(past) or "")


def test_uv_itself_reads_what_it_is_told(tmp_path: Path) -> None:
    uv = subprocess.run([ROOT / ".ci/uv"], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "uv.toml").write_text(uv_toml(SETTINGS) or "")
    asked = [uv, "--offline", "--config-file", str(tmp_path / "uv.toml"), "pip", "compile", "--no-header", "-"]
    done = subprocess.run([*asked, "-q"], input="", capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
