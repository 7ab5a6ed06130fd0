"""A host that reaches only a mirror and a proxy: with `downloads:`, a fleet comes up there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rackwright.lab import artefacts, fleet_file
from rackwright.lab.hosts import Lab
from rackwright.roles.downloads.settings import AptMirror, Keyring, Settings
from rackwright.route import Route
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.mirror import HUB, INDEX, PIP, WHEEL, Mirror, mirror
from tests.lab.operator import Operator

pytestmark = pytest.mark.lab
HOST = "closed"
SOURCES = "/etc/apt/sources.list.d"

_FLEET = """fleet: lab
{site}
defaults:
{baseline}hosts: {{closed: {{address: {address}, ssh: {{user: {user}, key: {key}}}}}}}
models:
  assistant:
    source: hf:acme/smol
    runtime: {{kind: llama_cpp, version: {release}, parallel: 2, build: "{hub}/plain/llama.tar.gz#sha256={sha256}"}}
    place: [{{on: closed, gpus: 0}}]
    names: [assistant]
    context: 512
gateway: {{on: [closed], domain: llm.lab.internal}}
firewall: {{admin_from: [{controller}/32], clients_from: [{subnet}]}}
rollout: {{drain_timeout: 30s, soak: 2s}}
"""
_SITE = """downloads:
  hub: {hub}
  proxy: {proxy}
  no_proxy: [{address}]
  ca_bundle: lab-ca.pem
  apt_mirror: {{url: {apt}, suites: [lab], key: archive.asc}}
  apt_existing: replace
  package_index: {index}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("site", HOST, "mirror") as lab:
        yield lab


@pytest.fixture(scope="module")
def way_out(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    made = artefacts.ensure(lambda _: None)
    repositories = {"acme/smol": {"model.gguf": made.model.path.read_bytes()}}
    plain = {"llama.tar.gz": made.runtime.path.read_bytes()}
    with mirror(lab, "mirror", tmp_path_factory.mktemp("ca"), repositories, plain) as found:
        # Packages that apt kept from earlier runs would need no download.
        lab.exec(HOST, "apt-get clean; rm -rf /var/lib/apt/lists/*")
        lab.exec(HOST, "echo 'Acquire::Retries \"0\";' > /etc/apt/apt.conf.d/90lab")
        found.closes(HOST)
        yield found


@pytest.fixture(scope="module")
def host(lab: Lab) -> LabHost:
    return LabHost(lab, lab.fleet(), HOST)


@pytest.fixture(scope="module")
def operator(lab: Lab, way_out: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """An operator whose fleet file has all settings of the site."""
    path, fleet = tmp_path_factory.mktemp("fleet") / "test.yml", lab.fleet()
    runtime = artefacts.ensure(lambda _: None).runtime
    text = _FLEET.format(
        baseline=fleet_file.BASELINE,
        site=_SITE.format(
            hub=way_out.hub, proxy=way_out.proxy, address=way_out.address, apt=way_out.apt, index=way_out.index
        ),
        address=fleet.hosts[HOST],
        user=fleet.user,
        key=fleet.key,
        release=artefacts.RELEASE,
        hub=way_out.hub,
        sha256=runtime.sha256,
        controller=fleet.controller,
        subnet=fleet.subnet,
    )
    path.write_text(text)
    path.with_suffix(".known_hosts").write_text(fleet.known_hosts.read_text())
    (path.parent / "lab-ca.pem").write_text(way_out.ca.pem)
    (path.parent / "archive.asc").write_text(way_out.key())
    return Operator(path)


def without_site(operator: Operator, way_out: Mirror) -> str:
    """Return the fleet file with no settings of the site except its hub."""
    head, _, rest = operator.path.read_text().partition("downloads:")
    return f"{head}downloads: {{hub: {way_out.hub}}}\nhosts:{rest.partition('hosts:')[2]}"


def role(settings: Settings) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.roles.downloads.role import downloads

        downloads(settings=settings)

    return deploy


def installing(package: str) -> Callable[[], None]:
    def deploy() -> None:
        from rackwright.operations.packages import installed

        installed(name="Install", packages=(package,))

    return deploy


def test_without_the_downloads_keys_nothing_is_reached(operator: Operator, way_out: Mirror, host: LabHost) -> None:
    whole = operator.path.read_text()
    operator.path.write_text(without_site(operator, way_out))
    assert f"{HUB}: can't be reached" in operator("lock", check=1).err
    operator.path.write_text(whole)
    assert host.apply(installing("socat")).failed_hosts == (HOST,)
    assert not host.holds(f"curl -q -m 5 {way_out.hub} || curl -q -m 5 -k https://deb.debian.org")
    assert not way_out.tunnels()


def test_check_asks_mirror_index_and_hub_as_downloads_will(operator: Operator, way_out: Mirror) -> None:
    operator("lock")
    whole = operator.path.read_text()
    operator.path.write_text(whole.replace("/simple", "/nothing"))
    said = operator("check", check=12).out
    operator.path.write_text(whole)
    for url in (f"{way_out.apt}/dists/lab/InRelease", way_out.hub):
        assert f"ok   {HOST}       reaches    {url} answers" in said
    assert f"https://{INDEX}/nothing/: 404\n     next: check downloads.package_index and downloads.proxy" in said


def test_a_mirror_with_an_unknown_signature_changes_nothing(way_out: Mirror, host: LabHost) -> None:
    before = host.tell(f"ls {SOURCES}")
    keyring = Keyring(content=way_out.key("stranger").encode())
    foreign = AptMirror(url=way_out.apt, suites=("lab",), components=("main",), keyring=keyring)
    route = Route(ca_bundle="/etc/rackwright/ca-bundle.pem")
    host.tell("install -d /etc/rackwright")
    settings = Settings(route=route, ca_bundle=way_out.ca.pem, mirrors=(foreign,), replace=True)
    run = host.apply(role(settings))
    assert run.failed_hosts == (HOST,)
    assert any("is not signed" in line for step in run.steps for line in step.output)
    assert host.tell(f"ls {SOURCES}") == before
    host.applied(role(Settings()))


def test_a_whole_apply_goes_through(operator: Operator, way_out: Mirror, host: LabHost) -> None:
    host.tell("mkdir -p /etc/uv; echo '# mine' > /etc/uv/uv.toml")
    said = operator("apply", "--yes", "--json").json
    assert said["failed"] == 0
    assert "/debian/dists/lab/InRelease" in way_out.fetched(host.address)
    assert any("haproxy" in path for path in way_out.fetched(host.address))
    assert f"{HUB}:{way_out.hub_port}" in way_out.tunnels()
    assert host.tell(f"ls {SOURCES}") == "rackwright.sources"
    assert host.tell("cat /etc/uv/uv.toml") == "# mine"
    assert "/etc/uv/uv.toml is not from rackwright" in operator("plan", "--check").out


def test_pip_takes_from_the_index_through_the_proxy(operator: Operator, way_out: Mirror, host: LabHost) -> None:
    host.tell(f"cd /tmp && apt-get -qq download {PIP} && for d in *.deb; do dpkg-deb -x $d /; done")
    host.tell("cd /tmp && python3 -m pip download -q --no-deps sitetest")
    assert host.holds(f"test -s /tmp/{WHEEL}")
    assert f"{INDEX}:443" in way_out.tunnels()


def test_without_the_keys_the_host_is_as_it_was(operator: Operator, way_out: Mirror, host: LabHost) -> None:
    operator.path.write_text(without_site(operator, way_out))
    operator("apply", "--yes", "--only", "downloads")
    assert host.tell(f"ls {SOURCES}") == "0000debian.sources"
    assert not host.holds("ls /etc/pip.conf /etc/rackwright/ca-bundle.pem /etc/apt/keyrings/rackwright-* ")
    assert not host.holds("ls /etc/apt/apt.conf.d/rackwright-downloads || ls /var/lib/rackwright/apt-sources/*/*")
    assert host.tell("cat /etc/uv/uv.toml") == "# mine"
    operator("plan", "--only", "downloads", "--check")
