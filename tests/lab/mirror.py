"""A network with one way out: a lab host with an apt mirror, a package index and a forward proxy, all of them real.

The mirror (nginx) has Debian's own packages, indexed and signed again. Only the proxy (tinyproxy) can resolve the
names of the index and the hub. The hub is a stand-in, on the controller.
"""

from __future__ import annotations

import io
import re
import ssl
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rackwright.lab.hosts import Lab
from tests.gateway.certificates import CertificateAuthority
from tests.stand_in_hub import StandInHub

INDEX = "index.lab.internal"
HUB = "hub.lab.internal"
PROXY_PORT = 8888
WHEEL = "sitetest-1.0-py3-none-any.whl"
PACKAGES = "haproxy socat libgomp1"
"""What the tool installs and a fresh lab host lacks."""
PIP = "python3-pip libpython3.13-stdlib"

_SETUP = f"""set -eu
export DEBIAN_FRONTEND=noninteractive
d=/srv/www/debian; mkdir -p $d/pool/partial $d/dists/lab/main/binary-amd64
apt-get -qq update
fetch() {{ apt-get -qq -y --no-install-recommends --download-only -o Dir::Cache::archives=$1 install $2 >/dev/null; }}
fetch $d/pool '{PACKAGES}'
cd $d/pool && apt-get -qq download {PIP}
# Unpacked, not installed: their scripts take most of the time, and nothing here needs what they do.
mkdir -p /srv/tools/partial && fetch /srv/tools 'nginx tinyproxy-bin gpg gpg-agent'
for p in /srv/tools/*.deb; do dpkg-deb --extract $p /; done
ldconfig
cd $d && apt-ftparchive packages pool > dists/lab/main/binary-amd64/Packages
cd dists/lab && apt-ftparchive -o APT::FTPArchive::Release::Codename=lab release . > /tmp/Release
for who in archive stranger; do
  gpg -q --batch --passphrase '' --quick-generate-key $who@lab.internal ed25519 sign never
  gpg --armor --export $who@lab.internal > /srv/$who.asc
done
gpg -q --batch --default-key archive@lab.internal --clearsign -o InRelease /tmp/Release
"""
_NGINX = f"""events {{}}
http {{ server {{
  listen 443 ssl default_server;
  server_name {INDEX};
  ssl_certificate /srv/mirror.crt;
  ssl_certificate_key /srv/mirror.key;
  root /srv/www;
  location /simple/ {{ autoindex on; }}
}} }}
"""
_TINYPROXY = (
    'Port {port}\nTimeout 60\nMaxClients 50\nLogFile "/run/tinyproxy.log"\nConnectPort 443\nConnectPort {hub}\n'
)
_CLOSED = """table inet closed {{
  chain output {{
    type filter hook output priority 0; policy accept;
    oif lo accept
    ct state established,related accept
    ip daddr {mirror} tcp dport {{ 443, {port} }} accept
    reject
  }}
}}
"""


@dataclass(frozen=True)
class Mirror:
    """The way out, running on the lab host `name`."""

    lab: Lab
    name: str
    address: str
    ca: CertificateAuthority
    hub_port: int

    @property
    def proxy(self) -> str:
        return f"http://{self.address}:{PROXY_PORT}"

    @property
    def apt(self) -> str:
        return f"https://{self.address}/debian"

    @property
    def index(self) -> str:
        return f"https://{INDEX}/simple"

    @property
    def hub(self) -> str:
        return f"https://{HUB}:{self.hub_port}"

    def key(self, who: str = "archive") -> str:
        """Return the public key that signs the mirror, or an unrelated one."""
        return self.lab.exec(self.name, f"cat /srv/{who}.asc").out

    def fetched(self, source: str) -> set[str]:
        """Return the paths that the mirror has served to an address."""
        lines = self.lab.exec(self.name, "cat /var/log/nginx/access.log").out.splitlines()
        return {line.split()[6] for line in lines if line.startswith(f"{source} ") and line.split()[8] == "200"}

    def tunnels(self) -> set[str]:
        """Return HOST:PORT of every tunnel that was requested from the proxy."""
        return set(re.findall(r"CONNECT (\S+:\d+)", self.lab.exec(self.name, "cat /run/tinyproxy.log").out))

    def closes(self, host: str) -> None:
        """Limit the host to this mirror and this proxy from now on. It still answers incoming connections."""
        self.lab.exec(host, "nft -f -", input=_CLOSED.format(mirror=self.address, port=PROXY_PORT))


@contextmanager
def mirror(
    lab: Lab, name: str, folder: Path, repositories: Mapping[str, Mapping[str, bytes]], plain: Mapping[str, bytes]
) -> Iterator[Mirror]:
    """Make the lab host `name` the way out of this network, to a hub with these repositories and /plain/ files."""
    fleet, ca = lab.fleet(), CertificateAuthority(folder)
    address = fleet.hosts[name]
    ca.issue("mirror", (address, INDEX), client=False)
    ca.issue("hub", (HUB,), client=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hub.crt", folder / "hub.key.cred")
    with StandInHub(repositories, address=fleet.controller, tls=context) as hub:
        hub.plain.update(plain)
        made = Mirror(lab, name, address, ca, hub.port)
        lab.exec(name, _SETUP, timeout=300)
        lab.exec(name, f"printf '%s\\n' '127.0.0.1 {INDEX}' '{fleet.controller} {HUB}' >> /etc/hosts")
        _put(lab, name, "/srv/mirror.crt", (folder / "mirror.crt").read_text())
        _put(lab, name, "/srv/mirror.key", (folder / "mirror.key.cred").read_text())
        _put(lab, name, "/etc/nginx/nginx.conf", _NGINX)
        _put(lab, name, "/etc/tinyproxy.conf", _TINYPROXY.format(port=PROXY_PORT, hub=hub.port))
        wheel = f"/srv/www/simple/sitetest/{WHEEL}"
        lab.exec(name, f"mkdir -p $(dirname {wheel}) && base64 -d > {wheel}", input=_wheel())
        lab.exec(name, "mkdir -p /var/lib/nginx /var/log/nginx && nginx && tinyproxy -c /etc/tinyproxy.conf")
        yield made


def _put(lab: Lab, host: str, path: str, content: str) -> None:
    lab.exec(host, f"umask 077; cat > {path}", input=content)


def _wheel() -> str:
    import base64

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("sitetest.py", "")
        archive.writestr("sitetest-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sitetest\nVersion: 1.0\n")
        archive.writestr(
            "sitetest-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("sitetest-1.0.dist-info/RECORD", "")
    return base64.b64encode(content.getvalue()).decode()
