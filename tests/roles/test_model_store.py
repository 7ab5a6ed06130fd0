from __future__ import annotations

import re
import shlex

import pytest
from pydantic import ValidationError

from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.stored_folder import FreeRoom, OpenFolders, ReadThrough, Room, Stored, StoredFolder
from rackwright.roles.model_store.role import model_store
from rackwright.roles.model_store.settings import StoredModel
from rackwright.route import Route
from rackwright.values.secrets import Secret
from tests.fakes import play
from tests.roles.serving import MODEL, STORE, WEIGHTS

_NO_ROOM = re.compile(
    "has 0.00 GB free, should have 0.27 GB: 0.00 GB are still to be fetched, 0.27 GB must stay free"
)
_MISSING = {StoredFolder: Stored(), FreeRoom: Room(free=10**12)}


def test_a_whole_model_is_left_alone() -> None:
    packages = ("curl", "ca-certificates")
    facts = {InstalledPackages: packages, StoredFolder: Stored(MODEL.digest, {"m.gguf": 10})}
    assert play(model_store, facts=facts, settings=STORE, route=Route()).changed == []


def test_a_folder_with_a_file_of_another_size_is_fetched_anew() -> None:
    facts = {**_MISSING, StoredFolder: Stored(MODEL.digest, {"m.gguf": 9})}
    assert any(
        "Fetch assistant m.gguf (0 MB)" in name
        for name in play(model_store, facts=facts, settings=STORE, route=Route()).changed
    )


def test_folders_that_users_may_enter_are_closed_and_no_file_is_touched() -> None:
    facts = {
        InstalledPackages: ("curl", "ca-certificates"),
        StoredFolder: Stored(MODEL.digest, {"m.gguf": 10}),
        OpenFolders: ("/srv/models/assistant", "/srv/models/earlier"),
    }
    played = play(model_store, facts=facts, settings=STORE, route=Route())
    paths = "/srv/models/assistant /srv/models/earlier"
    assert played.commands == [f"chown -h root:root -- {paths} && chmod u=rwx,go=,a-st -- {paths}"]
    assert played.diffs["Close the weights to users"].splitlines() == [
        "/srv/models/assistant: only root may enter",
        "/srv/models/earlier: only root may enter",
    ]


def test_who_only_reads_a_shared_folder_closes_nothing() -> None:
    settings = STORE.model_copy(update={"models": (MODEL.model_copy(update={"writer": "gpu1"}),)})
    facts = {
        StoredFolder: Stored(MODEL.digest, {"m.gguf": 10}),
        ReadThrough: True,
        OpenFolders: ("/srv/models/assistant",),
    }
    assert play(model_store, facts=facts, settings=settings, route=Route()).changed == []


def test_the_token_is_in_no_command_and_the_signed_part_of_a_url_in_no_diff() -> None:
    played = play(model_store, facts=_MISSING, settings=STORE, route=Route(), token=Secret("hf_secret"))
    assert "hf_secret" not in "\n".join(played.commands)
    assert "signed" not in "".join(played.diffs.values())
    assert not any("</dev/null" in command for command in played.commands if "fetch assistant" in command)


def test_the_token_goes_to_no_other_host_than_the_hub() -> None:
    elsewhere = WEIGHTS.model_copy(update={"url": "https://huggingface.co.evil.example/m.gguf"})
    settings = STORE.model_copy(update={"models": (MODEL.model_copy(update={"files": (elsewhere,)}),)})
    played = play(model_store, facts=_MISSING, settings=settings, route=Route(), token=Secret("hf_secret"))
    assert any(command.endswith("</dev/null") for command in played.commands)


def test_too_little_space_is_told_in_gigabytes_before_anything_is_fetched() -> None:
    with pytest.raises(AssertionError, match="failed"):
        play(
            model_store,
            facts={StoredFolder: Stored(), FreeRoom: Room(free=10)},
            answers={_NO_ROOM: {"stdout": [], "stderr": [], "success": False}},
            settings=STORE,
            route=Route(),
        )


@pytest.mark.parametrize("shared", [True, False])
def test_a_shared_folder_that_is_not_mounted_is_not_written(shared: bool) -> None:
    facts = {StoredFolder: Stored(), FreeRoom: Room(free=10**12, mounted=False)}
    settings = STORE.model_copy(update={"shared": True}) if shared else STORE
    commands = play(model_store, facts=facts, settings=settings, route=Route()).commands
    told = [command for command in commands if "on the host'\"'\"'s own disk, should be mounted" in command]
    assert bool(told) is shared
    assert all(command.endswith(">&2; false") for command in told)


@pytest.mark.parametrize("path", ["model.bin", "model.pt", "a.pkl", "x.ckpt", "code.py", "m.gguf.zip"])
def test_what_can_run_code_on_load_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="should be safetensors, GGUF or a text"):
        StoredModel(name="a", digest="d" * 64, files=(WEIGHTS.model_copy(update={"path": path}),))


def test_a_folder_that_another_host_writes_is_read_through_once_and_not_changed() -> None:
    settings = STORE.model_copy(update={"models": (MODEL.model_copy(update={"writer": "gpu1"}),)})
    played = play(model_store, facts={StoredFolder: Stored(), ReadThrough: False}, settings=settings, route=Route())
    assert played.changed == ["Read assistant dddddddddddddddd, written by gpu1"]
    (command,) = played.commands
    assert command.startswith("sh -c ")
    words = shlex.split(command)
    assert words[4:7] == ["assistant", "/srv/models/assistant/dddddddddddddddd", MODEL.digest]
    assert words[7:9] == ["gpu1", "/var/lib/rackwright/read/assistant/dddddddddddddddd"]
    assert words[10:] == [WEIGHTS.sha256, "m.gguf"]
    assert list(played.diffs.values()) == [
        "assistant: 1 files, 0.000 GB in /srv/models/assistant/dddddddddddddddd, by gpu1\n"
    ]
    whole = {StoredFolder: Stored(MODEL.digest, {"m.gguf": 10}), ReadThrough: True}
    assert play(model_store, facts=whole, settings=settings, route=Route()).changed == []
    never_read = {**whole, ReadThrough: False}
    assert play(model_store, facts=never_read, settings=settings, route=Route()).changed == played.changed


def test_what_has_arrived_is_put_in_place_by_its_digest() -> None:
    played = play(model_store, facts=_MISSING, settings=STORE, route=Route())
    words = shlex.split(played.commands[-1])
    assert words[4:] == [
        "/srv/models/.incoming",
        "/srv/models/assistant/dddddddddddddddd",
        MODEL.digest,
        WEIGHTS.sha256,
        "m.gguf",
    ]
    assert list(played.diffs.values())[-1] == (
        "assistant: 1 files, 0.000 GB in /srv/models/assistant/dddddddddddddddd\n"
    )


def test_one_file_is_told_by_its_model_and_path() -> None:
    (words,) = (
        shlex.split(command)
        for command in play(model_store, facts=_MISSING, settings=STORE, route=Route()).commands
        if WEIGHTS.url in command
    )
    assert words[4] == "assistant m.gguf"
