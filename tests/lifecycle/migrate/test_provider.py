"""What a provider lists: every page, counted; and whatever else it may answer."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rackwright.errors import SecretError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.migrate import provider_client
from rackwright.lifecycle.migrate.provider import provider_objects
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.provider_objects import Objects, ProviderObjects
from tests.gateway.certificates import CertificateAuthority
from tests.lifecycle.migrate.desks import FLEET
from tests.lifecycle.migrate.ends import plan_of
from tests.loopback_tls import bundle, server_files
from tests.stand_in_cloud import ADMIN_KEY, KEY, Fault, StandInCloud, stand_in_cloud

DAY = 86_400


@pytest.fixture
def cloud() -> Iterator[StandInCloud]:
    with stand_in_cloud(*server_files()) as running:
        running.objects = {
            "/v1/files": [{"id": f"file-{n}", "bytes": 1000, "created_at": 5000 - n} for n in range(250)],
            "/v1/vector_stores": [
                {"id": f"vs-{n}", "usage_bytes": 10, "file_counts": {"total": 3}, "created_at": 7} for n in range(2)
            ],
            "/v1/batches": [{"id": "batch-1", "created_at": 9}],
            "/v1/organization/usage/completions": [
                {"results": [{"num_model_requests": 2, "input_tokens": 100, "output_tokens": 10}]} for _ in range(40)
            ],
            "/v1/organization/costs": [{"results": [{"amount": {"value": "0.5", "currency": "usd"}}]}] * 40,
        }
        running.models = {"gpt-4o-mini": {"shutdown_date": "2027-01-15"}, "gpt-4o": {}}
        yield running


@pytest.fixture
def listed(cloud: StandInCloud, tmp_path: Path) -> Callable[..., ProviderObjects]:
    """Return what lists a cloud's objects with these keys."""
    path = tmp_path / "site.yml"
    # Certificates are for names. The stand-in's is for localhost, too.
    url = cloud.url.replace("127.0.0.1", "localhost") + "/v1"
    path.write_text(FLEET.replace("https://api.openai.com/v1", url).replace("key: ", "ca: ca.pem\n    key: "))
    shutil.copy(bundle(), tmp_path / "ca.pem")

    def list_all(key: str = KEY, admin: str = "", **provider: object) -> ProviderObjects:
        (tmp_path / "provider-key").write_text(key)
        if admin:
            (tmp_path / "admin").write_text(admin)
            provider["admin_key"] = "file:admin"
        return provider_objects(fleet(path), plan(**provider))

    return list_all


def fleet(path: Path) -> Fleet:
    return load_fleet(path)


def plan(**provider: object) -> Plan:
    return Plan.model_validate({**plan_of().model_dump(mode="json"), "provider": provider})


def by_kind(found: ProviderObjects) -> dict[str, Objects]:
    return {one.kind: one for one in found.objects}


def test_every_page_is_counted(listed: Callable[..., ProviderObjects]) -> None:
    found = listed()
    assert found.host == "localhost"
    kinds = by_kind(found)
    assert kinds["files"] == Objects(kind="files", access="listed", count=250, bytes=250_000, oldest=4751)
    assert kinds["vector stores"] == Objects(
        kind="vector stores", access="listed", count=2, bytes=20, files=6, oldest=7
    )
    assert kinds["batches"] == Objects(kind="batches", access="listed", count=1, oldest=9)
    assert kinds["fine-tuning jobs"] == Objects(kind="fine-tuning jobs", access="listed")
    assert [(one.name, one.access, one.shutdown_date) for one in found.models] == [
        ("gpt-4o-mini", "listed", "2027-01-15"),
        ("gpt-4o", "listed", None),
    ]


def test_usage_needs_an_admin_key(listed: Callable[..., ProviderObjects], cloud: StandInCloud) -> None:
    refused = listed()
    assert (refused.usage, refused.usage_problem) == (None, "")
    usage = listed(admin=ADMIN_KEY).usage
    assert usage is not None
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (80, 4000, 400)
    assert usage.costs == {"USD": pytest.approx(20)}
    assert any("limit=31" in one.path and "page=31" in one.path for one in cloud.received)


def test_a_wrong_key_is_no_crash(listed: Callable[..., ProviderObjects], cloud: StandInCloud) -> None:
    found = listed(key="sk-wrong")
    assert {one.access for one in found.objects} == {"needs an admin key"}
    assert {one.access for one in found.models} == {"needs an admin key"}
    assert "sk-wrong" not in found.model_dump_json()
    # An admin key that may list them is used then.
    assert by_kind(listed(key="sk-wrong", admin=ADMIN_KEY))["files"].count == 250


def test_a_provider_that_cant_be_reached_from_here(
    listed: Callable[..., ProviderObjects], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = listed(url="https://localhost:1/v1")
    assert {one.problem for one in (*refusing.objects, *refusing.models)} == {"no connection to localhost"}
    assert refusing.usage_problem == "no connection to localhost"

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    unresolved = listed(url="https://api.acme.test/v1")
    assert {one.access for one in (*unresolved.objects, *unresolved.models)} == {"failed"}
    assert unresolved.objects[0].problem == "this machine can't resolve api.acme.test"
    assert unresolved.usage_problem == "this machine can't resolve api.acme.test"


def test_a_model_that_is_gone(listed: Callable[..., ProviderObjects], cloud: StandInCloud) -> None:
    del cloud.models["gpt-4o"]
    gone = listed().models[1]
    assert (gone.access, gone.problem) == ("not offered", "HTTP 404")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (Fault("status", status=500, times=-1), "HTTP 500"),
        (Fault("garbled", times=-1), "the answer isn't JSON"),
        (Fault("huge", times=-1), "an answer has more than 8 MiB"),
        (Fault("redirect", times=-1, location="https://127.0.0.1:1/"), "HTTP 302"),
        (Fault("reset", times=-1), "it doesn't answer"),
        (Fault("status", status=429, times=-1, retry_after="86400"), "it asks to wait 86400 s"),
    ],
)
def test_what_it_may_answer_instead(
    listed: Callable[..., ProviderObjects],
    cloud: StandInCloud,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    problem: str,
) -> None:
    monkeypatch.setattr(provider_client, "pause", lambda seconds: None)
    monkeypatch.setattr(provider_client, "TRIES", 2)
    fault.path = "/v1/files"
    cloud.faults.append(fault)
    kinds = by_kind(listed())
    assert (kinds["files"].access, kinds["files"].problem) == ("failed", problem)
    assert kinds["batches"].count == 1


def test_it_waits_as_it_is_asked(listed: Callable[..., ProviderObjects], cloud: StandInCloud) -> None:
    cloud.faults.append(Fault("status", status=429, retry_after="1", path="/v1/files"))
    assert by_kind(listed())["files"].count == 250
    first, second = cloud.received[:2]
    assert (first.status, second.status) == (429, 200)
    assert second.at - first.at >= 1


def test_a_list_that_fails_in_the_middle(listed: Callable[..., ProviderObjects], cloud: StandInCloud) -> None:
    cloud.objects["/v1/files"][99]["id"] = "file-x"
    cloud.faults.append(Fault("status", status=400, times=-1, path="/v1/none"))
    pages = []

    class Failing(dict[str, object]):
        pass

    original = cloud.fault

    def fault(path: str, key: str) -> Fault | None:
        if path == "/v1/files":
            pages.append(path)
        return Fault("status", status=418) if len(pages) == 2 and path == "/v1/files" else original(path, key)

    cloud.fault = fault  # type: ignore[method-assign]
    files = by_kind(listed())["files"]
    assert (files.access, files.count, files.problem) == ("partly", 100, "HTTP 418")


def test_a_list_without_an_end(
    listed: Callable[..., ProviderObjects], cloud: StandInCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is the same each time, and more pages than are read."""
    monkeypatch.setattr(provider_client, "MOST_PAGES", 2)
    files = by_kind(listed())["files"]
    assert (files.access, files.count) == ("partly", 200)
    monkeypatch.setattr(provider_client, "MOST_PAGES", 1000)
    cloud.objects["/v1/files"] = [{"id": "same", "bytes": 1} for _ in range(300)]
    files = by_kind(listed())["files"]
    assert files.access == "partly"
    assert files.count <= 300


def test_hostile_values(listed: Callable[..., ProviderObjects], cloud: StandInCloud) -> None:
    cloud.objects["/v1/files"] = [
        {"id": 7, "bytes": "many", "created_at": "x"},
        {"id": "b", "bytes": -1, "created_at": 1e300},
        {"id": "c", "bytes": True, "created_at": None},
        {"id": "c", "bytes": 10**400, "created_at": -(10**400)},
        {"id": "d", "bytes": 5, "created_at": 6},
    ]
    cloud.objects["/v1/organization/costs"] = [{"results": [{"amount": {"value": "1e999", "currency": "\x1b["}}, 7]}]
    cloud.models = {"gpt-4o-mini": {"shutdown_date": "\x1b[31m"}, "gpt-4o": {"shutdown_date": 1_800_000_000}}
    found = listed(admin=ADMIN_KEY)
    assert by_kind(found)["files"] == Objects(kind="files", access="listed", count=5, bytes=5, oldest=6)
    assert found.usage is not None
    assert found.usage.costs == {}
    assert [one.shutdown_date for one in found.models] == [None, "2027-01-15"]
    assert "\\u001b" not in json.dumps(found.model_dump(mode="json"))


def test_an_untrusted_certificate(
    listed: Callable[..., ProviderObjects], cloud: StandInCloud, tmp_path: Path
) -> None:
    CertificateAuthority(tmp_path).issue("other", ("localhost",), client=False)
    cloud.present(tmp_path / "other.crt", tmp_path / "other.key.cred")
    found = listed()
    assert {one.problem for one in found.objects} == {"its certificate isn't trusted"}
    assert not cloud.received


def test_a_key_of_several_lines(listed: Callable[..., ProviderObjects], cloud: StandInCloud) -> None:
    with pytest.raises(SecretError, match="is not an API key") as refused:
        listed(admin="sk-a\nsk-b")
    assert "sk-a" not in str(refused.value)
    assert not cloud.received
