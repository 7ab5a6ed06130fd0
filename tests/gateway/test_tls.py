"""The TLS that both proxies offer: Mozilla's intermediate profile, and nothing else."""

from __future__ import annotations

import subprocess

import pytest

from tests.gateway.stack import Stack


@pytest.fixture(params=["gateway", "host proxy"])
def port(request: pytest.FixtureRequest, stack: Stack) -> int:
    return stack.settings.port if request.param == "gateway" else stack.proxied.replicas[0].port


def agreed(stack: Stack, port: int, *options: str) -> str:
    """Return openssl's report of a handshake with these options, made as a gateway would make it."""
    certificate = stack.folder / "gateway-client"
    own = ["-cert", f"{certificate}.crt", "-key", f"{certificate}.key.cred", "-CAfile", f"{certificate}.ca.crt"]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-verify_return_error", *own, *options]
    done = subprocess.run(command, input="", capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else "refused"


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (["-tls1_3"], True),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], True),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], False),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], False),
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], False),
        (["-tls1_3", "-groups", "X25519"], True),
        (["-tls1_3", "-groups", "P-384"], True),
        (["-tls1_3", "-groups", "P-521"], False),
    ],
)
def test_old_versions_ciphers_and_curves_are_refused(
    stack: Stack, port: int, options: list[str], *, taken: bool
) -> None:
    assert (agreed(stack, port, *options) != "refused") is taken


def test_no_session_is_taken_up_by_a_ticket(stack: Stack, port: int) -> None:
    assert "TLS session ticket" not in agreed(stack, port, "-tls1_2")


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"]])
def test_http_1_1_is_agreed_on(stack: Stack, port: int, offered: list[str]) -> None:
    assert "ALPN protocol: http/1.1" in agreed(stack, port, "-alpn", ",".join(offered))
