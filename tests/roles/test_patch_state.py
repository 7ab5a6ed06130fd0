"""The look at a host's packages: the script's quoting, its exclusions, and the parser."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from rackwright.roles.patch.fetch import fetch_function
from rackwright.roles.patch.parse_state import parse_state, without_user
from rackwright.roles.patch.scope import decided_by, left_regex
from rackwright.roles.patch.state import Cves, Space, script
from tests.lifecycle.patch.states import SHA, STATE


def test_a_host_says_what_changes_with_files_security_and_the_way_back() -> None:
    found = parse_state(STATE)
    assert [
        (one.name, one.change.before, one.change.package.version, one.security, one.back, one.unpacked)
        for one in found.offered
    ] == [
        ("libssl3t64", "3.5.1-1", "3.5.1-1+deb13u1", True, "archive", 7_168_000),
        ("linux-image-6.12.57+deb13-amd64", None, "6.12.57-1", True, None, 0),
        ("tzdata", "2025b-4+deb13u1", "2026a-0+deb13u1", False, "none", 1_433_600),
    ]
    assert found.offered[0].change.package.size == 2_438_000
    assert found.kept_back == ("linux-image-lab", "small-conflicting")
    assert found.held == {"linux-image-lab": "nvidia-580", "held-by-ops": ""}
    assert (found.broken, found.locked) == ({"small-half": "half-configured"}, ("apt-get (4711)",))
    assert found.space["/var"] == Space(1_000_000, "/var")
    assert found.services == ("rackwright-assistant@1.service", "ssh.service")
    assert (found.running, found.reboot) == ("6.12.48+deb13-amd64", "libc6 linux-image-amd64")
    assert found.boot
    assert not found.boot.can_arm
    assert found.cves == Cves(
        closed=frozenset({("CVE-2026-0001", "libssl3t64")}),
        left=frozenset({("CVE-2026-0002", "libssl3t64"), ("TEMP-0841856-B18BAF", "bash")}),
    )


@pytest.mark.parametrize(
    ("origin", "security"),
    [
        ("Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security", True),
        ("Ubuntu:24.04/noble-security, Ubuntu:24.04/noble-updates", True),
        ("Ubuntu:24.04/noble-updates", False),
        ("Debian-Security:12/oldstable-security", True),
        ("Acme:security-tools", False),
    ],
)
def test_security_is_what_a_security_suite_has(origin: str, security: bool) -> None:
    found = parse_state(STATE.replace("Debian:13.2/stable-updates", origin))
    assert found.offered[2].security is security


def test_what_a_host_does_not_know_is_unknown() -> None:
    lines = [line for line in STATE.splitlines() if not line.startswith("asked ")]
    found = parse_state("\n".join([*lines[:-1], "unknown curl: (6) Could not resolve host", "end"]))
    assert (found.services, found.cves) == (None, None)
    assert found.cves_unknown == "curl: (6) Could not resolve host"


def test_a_password_in_a_source_is_not_kept() -> None:
    url = parse_state(STATE).offered[0].change.package.url
    assert url == "http://mirror.internal/debian/pool/main/o.deb"
    assert "secret" not in repr(parse_state(STATE))
    assert without_user("E: https://u:p@a.b/x https://c@d/y") == "E: https://a.b/x https://d/y"
    # An @ in a password should be %40, but isn't always.
    assert without_user("E: https://u:p@ss@a.b/x@1") == "E: https://a.b/x@1"
    said = STATE.replace("asked debsecan", "unknown curl: can't get http://ops:secret@mirror/x")
    assert parse_state(said).cves_unknown == "curl: can't get http://mirror/x"


def test_the_same_package_of_two_architectures_has_two_ways_back() -> None:
    foreign = "Inst tzdata:i386 [2025b-4+deb13u1] (2026a-0+deb13u1 Debian:13.2/stable-updates [i386])"
    file = f"'http://mirror.internal/i.deb' tzdata_2026a-0+deb13u1_i386.deb 260000 SHA256:{SHA}"
    found = parse_state(STATE.replace("Conf tzdata", f"{foreign}\n{file}\nback tzdata:i386 cache\nConf tzdata"))
    assert [(one.change.package.architecture, one.back) for one in found.offered][-2:] == [
        ("all", "none"),
        ("i386", "cache"),
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda text: text.removesuffix("end\n"), "its answer is incomplete"),
        (lambda text: "", "its answer is incomplete"),
        (lambda text: f"Remv bash [5.2]\n{text}", "apt would remove bash"),
        (lambda text: text.replace("'http://mirror.internal/t.deb'", "x"), "no URI with a sha256 of tzdata"),
        (lambda text: text.replace("Inst tzdata [", "Inst TZ$(x) ["), "can't be read: Inst TZ"),
        (lambda text: text.replace("running ", "walking "), "0 lines of running"),
    ],
)
def test_an_answer_that_is_not_whole_is_refused(change: object, error: str) -> None:
    assert callable(change)
    with pytest.raises(ValueError, match=error.replace("(", "[(]").replace("$", "[$]")):
        parse_state(change(STATE))


def test_control_characters_are_not_kept() -> None:
    found = parse_state(STATE.replace("ssh.service", "ssh\x1b[2J.service"))
    assert "ssh?[2J.service" in (found.services or ())


@pytest.mark.parametrize(
    ("name", "with_driver", "without"),
    [
        ("linux-image-amd64", "lock", None),
        ("linux-headers-6.12.48+deb13-amd64", "lock", None),
        ("linux-libc-dev", None, None),
        ("nvidia-open-kernel-dkms", "lock", "lock"),
        ("libcuda1", "lock", "lock"),
        ("libcurl4t64", None, None),
        ("cuda", "lock", "lock"),
        ("hip-runtime-amd", "lock", "lock"),
        ("hippotat-server", None, None),
        ("linux-nvidia-hwe-24.04", "lock", None),
        ("libcublas-12-8", "lock", "lock"),
        ("libggml0", "runtime update", "runtime update"),
        ("haproxy", None, None),
        ("openssl", None, None),
    ],
)
def test_driver_and_kernel_come_with_the_lock(name: str, with_driver: str | None, without: str | None) -> None:
    assert (decided_by(name, driver=True), decided_by(name, driver=False)) == (with_driver, without)
    for driver, by in ((True, with_driver), (False, without)):
        command = ["awk", "-v", f"left={left_regex(driver=driver)}", "$1 ~ left"]
        done = subprocess.run(command, input=f"{name}\n", capture_output=True, text=True, check=True)
        assert bool(done.stdout) == (by is not None)


def test_no_value_acts_in_the_script() -> None:
    evil = "a'b\"; $(touch /tmp/hit) `x`"
    text = script(driver=True, only_security=True, tracker=evil, curl_options=("--proxy", evil))
    assert subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True).stderr == ""
    head, _, _ = text.partition("# What patching would change")
    said = subprocess.run(
        ["sh", "-s"], input=f"{head}curl() {{ printf '%s|' \"$@\"; }}\nfetch U F; printf %s \"$tracker\"; }}\n",
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.endswith(f"--proxy|{evil}|-o|F|-K|-|{evil}")


def test_a_url_with_a_password_is_no_argument(tmp_path: Path) -> None:
    odd = tmp_path / 'secret"b$(d)'
    odd.write_text("content")
    log = 'curl() { echo "$*" >arguments; command curl "$@"; }\n'
    text = f"{log}{fetch_function()}fetch {shlex.quote(f'file://{odd}')} copy\n"
    done = subprocess.run(["sh", "-s"], input=text, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy").read_text() == "content"
    assert "secret" not in (tmp_path / "arguments").read_text()


@pytest.mark.parametrize("program", ["apt-get", "dpkg"])
def test_a_host_without_apt_says_so(tmp_path: Path, program: str) -> None:
    for other in {"apt-get", "apt-cache", "dpkg"} - {program}:
        (tmp_path / other).write_text("")
        (tmp_path / other).chmod(0o755)
    text = script(driver=True, only_security=False)
    done = subprocess.run(["/bin/sh", "-s"], input=text, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"{program} isn't installed; patching needs Debian or Ubuntu\n")


def test_shellcheck_finds_nothing() -> None:
    command = ["shellcheck", "-s", "sh", "-S", "warning", "-e", "SC2034,SC2046,SC2086,SC1091", "-"]
    done = subprocess.run(
        command, input=script(driver=True, only_security=False), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
