"""Clouds in the fleet file: what they may be, which models they answer, and what follows for gateways."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.errors import FleetError, SecretError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.cloud_access import access_to_clouds
from rackwright.fleet.hosts.compose import host_specs
from rackwright.fleet.hosts.tool_secrets import references_of_tool
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.naming import unknown_model
from rackwright.fleet.public_files import named_files
from rackwright.fleet.references import secret_references
from rackwright.lifecycle.key import Terms, add_key
from rackwright.roles.cloud.settings import Proxy
from rackwright.roles.gateway.configuration import models_json, models_map
from tests.gateway.certificates import CertificateAuthority

FILE = """\
fleet: acme
hosts:
  gate1: {address: 10.20.0.10}
  gate2: {address: 10.20.0.12}
  gpu1: {address: 10.20.0.11}
clouds:
  openai: {url: https://api.openai.com/v1, key: env:CLOUD_KEY, names: [gpt-4o-mini, gpt-4o]}
models:
  chat: {cloud: openai, names: [gpt-4o-mini]}
gateway: {on: [gate1, gate2], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/8], clients_from: [10.0.0.0/8]}
"""
BIG = """\
  big:
    source: hf:acme/tiny
    runtime: {kind: vllm, version: 0.32.0, adapters: {big-sql: hf:acme/sql}}
    place: [{on: gpu1, gpus: 0}]
    names: [gpt-4o]
    context: 4096
    cloud: openai
gateway:"""
OWN = "is this fleet's own; name the provider's API, or remove the cloud openai"
URL = (
    "should be an https URL like https://api.openai.com/v1, with a DNS name instead of an address, without a query, "
    "a password or a / at its end"
)


def loaded(folder: Path, text: str = FILE) -> Fleet:
    (folder / "acme.yml").write_text(text)
    return load_fleet(folder / "acme.yml")


def problems(folder: Path, *changes: tuple[str, str]) -> list[str]:
    text = FILE
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    with pytest.raises(FleetError) as error:
        loaded(folder, text)
    return [str(one).replace(f"{folder}/", "") for one in error.value.problems]


def lock(fleet: Fleet) -> Lock:
    return Lock(fleet="acme", models={}, runtimes={}, ports={})


def test_a_fleet_may_have_only_models_of_a_cloud(tmp_path: Path) -> None:
    fleet = loaded(tmp_path)
    assert (list(fleet.file.routed), fleet.file.models, fleet.replicas) == (["chat"], {}, ())
    specs = host_specs(fleet, lock(fleet))
    gateway, cloud = specs["gate1"].gateway, specs["gate1"].cloud
    assert gateway is not None
    assert cloud is not None
    assert models_map(gateway) == "gpt-4o-mini chat||chat|0|openai\n"
    assert '"gpt-4o-mini"' in models_json(gateway)
    assert (cloud.clouds, cloud.gateways, cloud.replicas) == (gateway.clouds, (ip_address("10.20.0.12"),), ())
    assert {"rackwright-cloud.service", "rackwright-cloud.timer"} <= {*specs["gate1"].layout.keep_units}
    assert {"/etc/rackwright/cloud/openai.key.cred", "/etc/rackwright/cloud/follow"} <= {
        *specs["gate1"].layout.keep_files
    }
    assert specs["gpu1"].cloud is None
    assert not [one for one in specs["gpu1"].layout.keep_files if "cloud" in one]


def test_a_url_says_host_port_and_path(tmp_path: Path) -> None:
    text = FILE.replace("https://api.openai.com/v1", "https://acme.openai.azure.com:8443/openai/v1")
    (cloud,) = host_specs(fleet := loaded(tmp_path, text), lock(fleet))["gate1"].gateway.clouds  # type: ignore[union-attr]
    assert (cloud.host, cloud.port, cloud.path) == ("acme.openai.azure.com", 8443, "/openai/v1")


def test_a_model_may_have_replicas_and_a_cloud_and_adapters_stay_with_the_replicas(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, FILE.replace("gateway:", BIG))
    assert (list(fleet.file.routed), list(fleet.file.models)) == (["chat", "big"], ["big"])
    assert fleet.file.models["big"].cloud == "openai"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://api.openai.com/v1", URL),
        ("https://10.1.2.3/v1", URL),
        ("https://api.openai.com/v1/", URL),
        ("https://api.openai.com/v1?x=1", URL),
        ("https://api.openai.com:70000/v1", "has a port that doesn't exist; should be 1 to 65535"),
        ("https://llm.acme.internal/v1", f"llm.acme.internal {OWN}"),
    ],
)  # fmt: skip
def test_a_url_must_be_a_providers(tmp_path: Path, url: str, said: str) -> None:
    expected = [f"acme.yml:7 clouds.openai.url: {said}"]
    assert problems(tmp_path, ("https://api.openai.com/v1", f'"{url}"')) == expected


def test_what_a_cloud_may_not_be(tmp_path: Path) -> None:
    assert problems(tmp_path, ("cloud: openai", "cloud: opena")) == [
        "acme.yml:9 models.chat.cloud: unknown cloud 'opena'; did you mean 'openai'?"
    ]
    assert problems(tmp_path, ("names: [gpt-4o-mini]}", "names: [claude]}")) == [
        "acme.yml:9 models.chat.names[0]: the cloud openai has no model 'claude'; "
        "add it to clouds.openai.names, if the provider has it"
    ]
    assert problems(tmp_path, ("[gpt-4o-mini, gpt-4o]", "[gpt-4o-mini, gpt-4o-mini]")) == [
        "acme.yml:7 clouds.openai.names[1]: the name 'gpt-4o-mini' appears twice; remove one of them"
    ]
    assert problems(tmp_path, ("env:CLOUD_KEY", "sk-abc")) == [
        "acme.yml:7 clouds.openai.key: "
        "should be a reference: env:NAME, file:PATH or cmd:COMMAND, never the secret itself"
    ]
    assert problems(tmp_path, ("names: [gpt-4o-mini, gpt-4o]", "names: [gpt-4o-mini], ca: no.pem, auth: basic")) == [
        "acme.yml:7 clouds.openai.auth: should be 'bearer' or 'api-key'",
        "acme.yml:7 clouds.openai.ca: no such file: no.pem; a relative path starts at the fleet file's folder",
    ]


def test_a_model_without_a_cloud_needs_an_engine(tmp_path: Path) -> None:
    said = problems(tmp_path, ("chat: {cloud: openai, ", "chat: {"))
    assert [one.partition(": ")[2] for one in said] == [
        "missing key 'source'", "missing key 'runtime'", "missing key 'place'", "missing key 'context'"
    ]  # fmt: skip
    assert all(one.startswith("acme.yml:9 models.chat:") for one in said)


def test_embeddings_of_two_models_are_never_mixed(tmp_path: Path) -> None:
    embed = BIG.replace(
        "kind: vllm, version: 0.32.0, adapters: {big-sql: hf:acme/sql}", "kind: vllm, version: 0.32.0"
    )
    assert problems(tmp_path, ("gateway:", embed.replace("    cloud:", "    task: embed\n    cloud:"))) == [
        "acme.yml:17 models.big.cloud: "
        "embeddings of the cloud and of the replicas can't be compared with each other; "
        "make two models of it, with names of their own"
    ]
    loaded(tmp_path, FILE.replace("names: [gpt-4o-mini]}", "names: [gpt-4o-mini], task: embed}"))


def test_each_name_belongs_to_one_model(tmp_path: Path) -> None:
    again = "  again: {cloud: openai, names: [gpt-4o-mini]}\ngateway:"
    assert problems(tmp_path, ("gateway:", again)) == [
        "acme.yml:10 models.again.names[0]: model chat already has the name 'gpt-4o-mini', at acme.yml:9; "
        "each name belongs to one model"
    ]


def test_a_proxy_leads_to_clouds_unless_they_are_excepted(tmp_path: Path) -> None:
    proxied = FILE + "downloads: {proxy: 'http://proxy.acme.internal:3128'%s}\n"
    fleet = loaded(tmp_path, proxied % "")
    spec = host_specs(fleet, lock(fleet))["gate1"]
    assert spec.cloud is not None
    assert spec.gateway is not None
    assert spec.cloud.proxy == Proxy(host="proxy.acme.internal", port=3128)
    assert (spec.gateway.clouds[0].proxied, spec.gateway.clouds[0].servers) == (True, ("proxy.443",))
    assert {"rackwright-cloud.openai.socket", "rackwright-cloud.openai@.service"} <= {*spec.layout.keep_units}
    assert "rw_cloud" in spec.layout.keep_users
    fleet = loaded(tmp_path, proxied % ", no_proxy: [openai.com]")
    spec = host_specs(fleet, lock(fleet))["gate1"]
    assert spec.cloud is not None
    assert (spec.cloud.proxy, spec.cloud.clouds[0].proxied) == (None, False)
    assert "rw_cloud" not in spec.layout.keep_users
    said = problems(tmp_path, ("clouds:", "downloads: {proxy: 'https://proxy.acme.internal:3128'}\nclouds:"))
    assert said == [
        "acme.yml:6 downloads.proxy: gateways reach clouds through a proxy only by http://; "
        "write http://, or add the clouds' domains to no_proxy"
    ]


def test_its_key_is_a_secret_that_is_resolved_when_a_gateway_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text(CertificateAuthority(tmp_path).pem)
    text = FILE.replace("names: [gpt-4o-mini, gpt-4o]", "names: [gpt-4o-mini], ca: ca.pem")
    fleet = loaded(tmp_path, text)
    assert secret_references(fleet) == {"clouds.openai.key": "env:CLOUD_KEY"}
    assert "ca.pem" in named_files(fleet)
    access = access_to_clouds(fleet)
    monkeypatch.setenv("CLOUD_KEY", "sk-1")
    found = access()["openai"]
    assert (found.key.reveal(), found.ca) == ("sk-1", (tmp_path / "ca.pem").read_text())
    assert "sk-1" not in repr(found)


@pytest.mark.parametrize("key", ["a b", "a\nb", "é", "x" * 1001])
def test_a_key_that_would_become_something_else_in_a_header_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("CLOUD_KEY", key)
    with pytest.raises(SecretError, match="is not an API key") as error:
        access_to_clouds(loaded(tmp_path))()
    assert key not in str(error.value)


def test_a_file_without_cas_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_KEY", "sk-1")
    (tmp_path / "ca.pem").write_text("hello")
    text = FILE.replace("names: [gpt-4o-mini, gpt-4o]", "names: [gpt-4o-mini], ca: ca.pem")
    with pytest.raises(FleetError, match=r"clouds\.openai\.ca.*one or more certificates"):
        access_to_clouds(loaded(tmp_path, text))()


def test_a_host_with_the_tool_gets_the_key(tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2bYhyEp6T5g8nRAlmyUG1EG6xjTpC0WvT5d8gWQGj4"
    tool = (
        "  ops1: {address: 10.20.0.20}\nclouds:",
        f"people: {{ops: {{role: operator, keys: [{key}]}}}}\n"
        "control: [ops1]\nunattended: {on: ops1, person: ops, key: env:TOOL_KEY}\n",
    )
    fleet = loaded(tmp_path, FILE.replace("clouds:", tool[0]) + tool[1])
    assert references_of_tool(fleet)["clouds.openai.key"] == "env:CLOUD_KEY"


def test_a_key_may_be_limited_to_a_model_of_a_cloud(tmp_path: Path) -> None:
    fleet = loaded(tmp_path)
    key, _ = add_key(fleet, "ci", Terms(owner="team", models=("chat",)))
    assert key.models == ("chat",)
    with pytest.raises(UsageError, match="no model of that name"):
        add_key(fleet, "other", Terms(owner="team", models=("chats",)))


def test_a_command_for_engines_says_that_only_a_cloud_answers(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, FILE.replace("gateway:", BIG))
    assert "only a cloud answers this model" in str(unknown_model(fleet, "chat"))
    assert "did you mean big?" in str(unknown_model(fleet, "bigg"))
