"""The TLS that both proxies offer: a profile of Mozilla's to clients, TLS 1.3 to other hosts, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.gateway.stack import Stack, second_gateway


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


@pytest.fixture
def modern(stack: Stack) -> Iterator[Stack]:
    before = stack.settings
    stack.write(before.model_copy(update={"tls": "modern"}))
    stack.gateway.reload()
    yield stack
    stack.write(before)
    stack.gateway.reload()


TLS_1_2 = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]


def test_clients_may_use_tls_1_2_and_hosts_of_the_fleet_may_not(stack: Stack) -> None:
    assert "Protocol  : TLSv1.2" in agreed(stack, stack.settings.port, *TLS_1_2)
    assert agreed(stack, stack.proxied.replicas[0].port, *TLS_1_2) == "refused"


def test_a_modern_gateway_speaks_tls_1_3_alone(modern: Stack) -> None:
    assert agreed(modern, modern.settings.port, *TLS_1_2) == "refused"
    assert "New, TLSv1.3" in agreed(modern, modern.settings.port)
    assert modern.send().status == 200


def test_gateways_speak_tls_1_3_with_each_other(stack: Stack) -> None:
    with second_gateway(stack) as second:
        for port in (stack.settings.peers_port, second.settings.peers_port):
            assert agreed(stack, port, *TLS_1_2) == "refused"
            assert "New, TLSv1.3" in agreed(stack, port)


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (["-tls1_3"], True),
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


def test_no_session_is_taken_up_by_a_ticket(stack: Stack) -> None:
    assert "TLS session ticket" not in agreed(stack, stack.settings.port, "-tls1_2")


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"]])
def test_http_1_1_is_agreed_on(stack: Stack, port: int, offered: list[str]) -> None:
    assert "ALPN protocol: http/1.1" in agreed(stack, port, "-alpn", ",".join(offered))
