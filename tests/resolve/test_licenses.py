"""Licenses, from the fleet file and the model cards of a stand-in hub (tests/stand_in_hub.py) into the lock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rackwright.errors import ExitCode, FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, lock_digest
from rackwright.fleet.lock_file import mismatches, read_lock, write_lock
from rackwright.resolve.hub_answer import Card
from rackwright.resolve.licenses import is_allowed, license_of_card
from rackwright.resolve.lock import resolve_lock
from tests.fleet.fleets import make_fleet
from tests.fleet.test_load import GOOD
from tests.stand_in_hub import COMMIT, StandInHub

TINY = {"m.gguf": b"GGUF" * 1000}
ADAPTER = {"adapter_config.json": json.dumps({"r": 8}).encode(), "adapter_model.safetensors": b"a"}
APACHE = {"license": "apache-2.0"}


@pytest.fixture
def hub():
    with StandInHub({"acme/tiny": TINY, "acme/lora": ADAPTER, "acme/whole": {"a.safetensors": b"a"}}) as hub:
        hub.cards["acme/tiny"] = APACHE
        yield hub


@pytest.fixture(autouse=True)
def beside(tmp_path: Path) -> None:
    (tmp_path / "llama.tar.gz").write_bytes(b"archive")
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "vllm-1.0-py3-none-any.whl").write_bytes(b"wheel")


def fleet_of(
    folder: Path,
    hub: StandInHub,
    *licenses: str,
    source: str = "hf:acme/tiny",
    said: str | None = None,
    runtime: dict[str, object] | None = None,
) -> Fleet:
    runtime = runtime or {"kind": "llama_cpp", "version": "b1", "build": "file:llama.tar.gz"}
    model = {
        "source": source,
        "runtime": runtime,
        "place": [{"on": "gpu1"}],
        "names": ["assistant"],
        "context": 4096,
        "license": said,
    }
    allowed = {"licenses": list(licenses)} if licenses else {}
    return make_fleet(folder / "site.yml", models={"assistant": model}, downloads=hub.site, **allowed)


def with_adapter(folder: Path, hub: StandInHub, *licenses: str, said: str | None = None) -> Fleet:
    runtime = {"kind": "vllm", "version": "1.0", "build": "file:wheels", "adapters": {"sql": "hf:acme/lora"}}
    return fleet_of(folder, hub, *licenses, source="hf:acme/whole", said=said, runtime=runtime)


def refused(fleet: Fleet, previous: Lock | None = None) -> list[str]:
    with pytest.raises(FleetError) as caught:
        resolve_lock(fleet, previous)
    assert caught.value.exit_code == ExitCode.FLEET_INVALID
    return [str(problem) for problem in caught.value.problems]


def unlicensed(lock: Lock) -> Lock:
    """A lock from before locks had licenses."""
    models = {}
    for name, model in lock.models.items():
        adapters = {served: one.model_copy(update={"license": None}) for served, one in model.adapters.items()}
        models[name] = model.model_copy(update={"license": None, "adapters": adapters})
    return lock.model_copy(update={"models": models})


CARDS = {
    "one": ({"license": "apache-2.0"}, "apache-2.0"),
    "capitals": ({"license": "MIT"}, "mit"),
    "other, with its name": ({"license": "other", "license_name": "Qwen-Research"}, "qwen-research"),
    "several": ({"license": ["mit", "other"], "license_name": "acme"}, "mit, acme"),
    "other, without": ({"license": "other"}, None),
    "unknown": ({"license": "unknown"}, None),
    "none": ({}, None),
    "an empty list": ({"license": []}, None),
    "no text": ({"license": {"a": 1}}, None),
    "what steers a terminal": ({"license": "mit\x1b[2J"}, None),
}


@pytest.mark.parametrize(("card", "license"), CARDS.values(), ids=CARDS)
def test_what_a_card_says_is_read(card, license):
    assert license_of_card(Card.model_validate(card)) == license
    assert license_of_card(None) is None


def test_each_of_several_must_be_allowed():
    assert is_allowed("mit, acme", ("acme", "mit"))
    assert not is_allowed("mit, acme", ("mit",))
    assert is_allowed(None, ())
    assert not is_allowed(None, ("mit",))


def test_the_lock_has_the_license_of_the_card_and_its_digest_stays(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub, "Apache-2.0")
    lock = resolve_lock(fleet, None)
    assert lock.models["assistant"].license == "apache-2.0"
    assert mismatches(fleet, lock) == ()
    assert lock_digest(lock) == lock_digest(unlicensed(lock))
    write_lock(tmp_path / "site.lock", lock)
    assert read_lock(tmp_path / "site.lock") == lock
    write_lock(tmp_path / "old.lock", unlicensed(lock))
    assert "license:" not in (tmp_path / "old.lock").read_text()


def test_a_license_that_is_not_allowed_is_refused_with_where_it_was_read(tmp_path, hub):
    (told,) = refused(fleet_of(tmp_path, hub, "mit", "bsd-3-clause"))
    assert told == (
        f"{tmp_path}/site.yml models.assistant.source: hf:acme/tiny has the license apache-2.0, according to its "
        f"model card at {hub.url}; licenses allows mit, bsd-3-clause; add this license there, or choose "
        "another source\n  next: rackwright lock"
    )


def test_one_that_is_not_known_is_refused_with_what_to_write(tmp_path, hub):
    hub.cards["acme/tiny"] = {"license": "other"}
    (told,) = refused(fleet_of(tmp_path, hub, "mit"))
    assert f"the license of hf:acme/tiny is unknown: its model card at {hub.url} names no license" in told
    assert "write models.assistant.license, or choose another source" in told
    (told,) = refused(fleet_of(tmp_path, hub, "mit", source="file:m.gguf"))
    assert "the license of file:m.gguf is unknown: such a source has no model card" in told


@pytest.mark.parametrize("source", ["hf:acme/tiny", "file:m.gguf"])
def test_what_the_fleet_file_says_counts_where_there_is_no_card(tmp_path, hub, source):
    hub.cards.clear()
    fleet = fleet_of(tmp_path, hub, "mit", source=source, said="MIT")
    lock = resolve_lock(fleet, None)
    assert lock.models["assistant"].license == "mit"
    hub.asked.clear()
    assert resolve_lock(fleet, lock) == lock
    assert hub.asked == []


def test_another_word_counts_from_then_on(tmp_path, hub):
    hub.cards.clear()
    lock = resolve_lock(fleet_of(tmp_path, hub, said="mit"), None)
    fleet = fleet_of(tmp_path, hub, said="apache-2.0")
    assert len(mismatches(fleet, lock)) == 1
    assert resolve_lock(fleet, lock).models["assistant"].license == "apache-2.0"


def test_a_word_that_was_taken_back_no_longer_counts(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub, source="file:m.gguf", said="mit"), None)
    assert resolve_lock(fleet_of(tmp_path, hub, source="file:m.gguf"), lock).models["assistant"].license is None


def test_a_card_that_says_something_else_is_an_error_that_names_both(tmp_path, hub):
    (told,) = refused(fleet_of(tmp_path, hub, said="mit"))
    assert "models.assistant.license: is mit, but the model card of hf:acme/tiny says apache-2.0" in told
    lock = resolve_lock(fleet_of(tmp_path, hub), None)
    (told,) = refused(fleet_of(tmp_path, hub, said="mit"), lock)
    assert "is mit, but the model card" in told


def test_a_lock_of_before_is_asked_for_its_licenses_alone_and_only_where_some_are_allowed(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub), None)
    hub.commits["main"] = "2" * 40
    hub.commits["then"] = COMMIT
    hub.asked.clear()
    assert resolve_lock(fleet_of(tmp_path, hub), unlicensed(lock)) == unlicensed(lock)
    assert hub.asked == []
    allowing = fleet_of(tmp_path, hub, "apache-2.0")
    assert mismatches(allowing, unlicensed(lock)) == ()
    assert resolve_lock(allowing, unlicensed(lock)) == lock
    assert hub.asked == [f"GET /api/models/acme/tiny/revision/{COMMIT}?blobs=true"]


def test_a_locked_license_that_is_no_longer_allowed_is_a_mismatch(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub), None)
    (problem,) = mismatches(fleet_of(tmp_path, hub, "mit"), lock)
    assert str(problem) == (
        f"{tmp_path}/site.lock models.assistant.license: is apache-2.0, but the fleet file's licenses are mit\n"
        "  next: rackwright lock"
    )
    (problem,) = mismatches(fleet_of(tmp_path, hub, said="mit"), lock)
    assert "license: is apache-2.0, but the fleet file says mit" in str(problem)


def test_adapters_have_licenses_too(tmp_path, hub):
    hub.cards |= {"acme/whole": APACHE, "acme/lora": {"license": "cc-by-nc-4.0"}}
    (told,) = refused(with_adapter(tmp_path, hub, "apache-2.0"))
    assert "models.assistant.runtime.adapters.sql: hf:acme/lora has the license cc-by-nc-4.0" in told
    lock = resolve_lock(with_adapter(tmp_path, hub), None)
    assert lock.models["assistant"].adapters["sql"].license == "cc-by-nc-4.0"
    assert lock_digest(lock) == lock_digest(unlicensed(lock))
    (problem,) = mismatches(with_adapter(tmp_path, hub, "apache-2.0"), lock)
    assert "models.assistant.adapters.sql.license: is cc-by-nc-4.0" in str(problem)


def test_an_adapter_without_a_card_has_the_models_word(tmp_path, hub):
    lock = resolve_lock(with_adapter(tmp_path, hub, "mit", said="mit"), None)
    assert lock.models["assistant"].adapters["sql"].license == "mit"


@pytest.mark.parametrize(
    ("licenses", "said", "expected"),
    [
        ("[]", "mit", "licenses: is empty; should have at least one entry"),
        ("['a,b']", "mit", "should be an id from model cards, like apache-2.0; for `other`, its license_name"),
        ("[apache-2.0]", "mit", "models.assistant.license: is not one of the licenses that this file allows"),
    ],
)
def test_what_a_fleet_file_may_not_say(tmp_path, licenses, said, expected):
    path = tmp_path / "fleet.yml"
    source = "    source: hf:acme/tiny\n"
    text = GOOD.replace("models:\n", f"licenses: {licenses}\nmodels:\n")
    path.write_text(text.replace(source, f"{source}    license: {said}\n"))
    with pytest.raises(FleetError) as caught:
        load_fleet(path)
    assert expected in str(caught.value)


def test_case_does_not_matter(tmp_path):
    path = tmp_path / "fleet.yml"
    source = "    source: hf:acme/tiny\n"
    text = GOOD.replace("models:\n", "licenses: [Apache-2.0]\nmodels:\n")
    path.write_text(text.replace(source, f"{source}    license: APACHE-2.0\n"))
    file = load_fleet(path).file
    assert (file.licenses, file.models["assistant"].license) == (("apache-2.0",), "apache-2.0")
