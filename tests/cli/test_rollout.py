from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest

from rackwright.cli.common import console as console_module
from rackwright.errors import RackwrightError
from rackwright.fleet.load import load_fleet
from rackwright.lifecycle.notify import deliver
from rackwright.lifecycle.reboot import resume as reboots
from rackwright.lifecycle.reboot.procedure import reboots_of
from rackwright.lifecycle.rollout import opened
from rackwright.lifecycle.session import session as session_module
from rackwright.lifecycle.update import resume
from rackwright.state.audit import write_audit
from rackwright.state.journal import Event
from rackwright.state.lease import Owner
from rackwright.state.lease_session import LeaseSession, now
from rackwright.state.rollout import AnyRollout, HostPart, HostRollout, Rollout, write_rollout
from rackwright.state.store import FileStore
from tests.cli.command_line import rackwright
from tests.loopback_tls import bundle
from tests.shells import LocalShell
from tests.webhook_receiver import webhook_receiver

BEN = Owner(who="ben@desk", machine="desk", why="model update assistant", run="20261125T040501Z-ffff")


@pytest.fixture
def store(monkeypatch, tmp_path):
    """The control host's folders, under tmp_path."""
    store = FileStore(LocalShell(), str(tmp_path / "control"))

    @contextmanager
    def control_store(fleet):
        yield store, store.shell

    monkeypatch.setattr(opened, "control_store", control_store)
    monkeypatch.setattr(
        opened, "write_audit", lambda shell, act: write_audit(shell, act, folder=str(tmp_path / "var"))
    )
    return store


def begin(store):
    """Open a rollout that has a journal and no other files; return Ben's lease."""
    lease = store.acquire(BEN)
    LeaseSession(store, lease, now()).write(Event.OPENED, BEN.run, detail=BEN.why)
    return lease


def test_one_of_which_nothing_is_kept_can_be_left_as_the_error_says(site, store, tmp_path):
    store.release(begin(store))
    lost = rackwright("-f", site, "rollout", "abort", "-y")
    assert f"the file of the rollout {BEN.run} is missing" in lost.stderr
    assert "next: rackwright rollout abort --leave" in lost.stderr
    done = rackwright("-f", site, "rollout", "abort", "--leave", "-y", "--reason", "disk died")
    assert done.stdout == "model update assistant: aborted\n"
    assert rackwright("-f", site, "rollout", "status").stdout == "no rollout is open\n"
    assert store.entries()[-1].detail == "unchanged: disk died"
    assert f"left the rollout {BEN.run} as it was; reason: disk died" in (tmp_path / "var/audit.log").read_text()


MODELS = ("assistant",)


@pytest.mark.parametrize("verb", ["resume", "abort"])
@pytest.mark.parametrize(
    ("begun", "words", "agreed"), [((), (), ()), ((), ("--allow-outage",), MODELS), (MODELS, (), MODELS)]
)
def test_an_outage_can_be_agreed_to_when_it_is_ended(site, monkeypatch, verb, begun, words, agreed):
    """A pause at the last healthy replica says to run the same command with --allow-outage."""
    rollout = Rollout.model_construct(
        id="r7", what="model update assistant", who="ben", models=MODELS, outages=begun, after=None
    )
    done = []

    def carry_out(site, rollout, *_, **__):
        done.append(rollout.outages)
        return ()

    monkeypatch.setattr(opened, "required", lambda _: SimpleNamespace(rollout=rollout))
    monkeypatch.setattr(resume, verb, carry_out)
    monkeypatch.setattr(session_module, "open_session", lambda *_, **__: nullcontext())
    assert rackwright("-f", site, "rollout", verb, "-y", *words).exit_code == 0
    assert done == [agreed]


def test_a_rollout_can_not_be_left_while_another_operator_has_the_lease(site, store):
    begin(store)
    done = rackwright("-f", site, "rollout", "abort", "--leave", "-y")
    assert (done.exit_code, store.entries()[-1].event) == (11, Event.OPENED)


def test_where_none_is_open_there_is_nothing_to_leave(site, store):
    done = rackwright("-f", site, "rollout", "abort", "--leave", "-y")
    assert (done.exit_code, "no rollout is open" in done.stderr) == (2, True)


# A rollout that changes hosts.

REBOOT = HostRollout(
    procedure="reboot",
    id=BEN.run,
    what="apply --reboot",
    who=BEN.who,
    when="2026-11-25T04:05:01Z",
    hosts=(
        HostPart(name="gpu1", why="no module runs", boot="id", replicas=("gpu1/assistant@1",)),
        HostPart(name="gpu2", why="no module runs", boot="id"),
    ),
)
UPDATE = Rollout.model_construct(
    id=BEN.run, what="model update assistant", who=BEN.who, when=REBOOT.when, models=MODELS, after=None
)


def begin_reboot(store):
    """Open a rollout of hosts, in which one has been drained; return its lease."""
    lease = store.acquire(BEN)
    lease_session = LeaseSession(store, lease, now())
    write_rollout(lease_session, REBOOT)
    lease_session.write(Event.OPENED, BEN.run, detail=REBOOT.what)
    lease_session.write(Event.INTENT, BEN.run, subject="gpu1", phase="drain", detail="no new requests")
    return lease


def test_status_shows_each_hosts_phases(site, store):
    store.release(begin_reboot(store))
    done = rackwright("-f", site, "rollout", "status")
    first, second, *journal, last = done.stdout.splitlines()
    assert (done.exit_code, first) == (
        0,
        f"apply --reboot, started by ben@desk at 2026-11-25T04:05:01Z (rollout {BEN.run})",
    )
    assert second == "no one is working on it now"
    assert [line.partition("  ")[2] for line in journal] == [
        "-  opened: apply --reboot",
        "gpu1  drain: no new requests",
    ]
    assert last == "next: rackwright rollout resume, or rackwright rollout abort"


def test_status_says_who_works_on_it(site, store):
    begin_reboot(store)
    lines = rackwright("-f", site, "rollout", "status").stdout.splitlines()
    assert lines[1] == "ben@desk is working on it now"
    assert not lines[-1].startswith("next:")


def test_the_document_names_the_procedure_and_its_hosts(site, store):
    store.release(begin_reboot(store))
    found = rackwright("-f", site, "--json", "rollout", "status").document["rollout"]
    journal = found.pop("journal")
    assert found == {
        "id": BEN.run,
        "what": "apply --reboot",
        "who": "ben@desk",
        "when": "2026-11-25T04:05:01Z",
        "unattended": None,
        "procedure": "reboot",
        "models": [],
        "hosts": ["gpu1", "gpu2"],
        "lease": None,
    }
    assert [(line["event"], line["subject"], line["phase"], line["detail"]) for line in journal] == [
        ("opened", None, None, "apply --reboot"),
        ("intent", "gpu1", "drain", "no new requests"),
    ]


def test_the_document_of_an_update_names_its_models(site, monkeypatch):
    monkeypatch.setattr(opened, "opened", lambda _: opened.OpenRollout(UPDATE, (), None))
    found = rackwright("-f", site, "--json", "rollout", "status").document["rollout"]
    assert (found["procedure"], found["models"], found["hosts"]) == ("update", ["assistant"], [])


def test_one_that_nobody_watches_is_shown_as_such(site, store):
    lease = store.acquire(BEN)
    lease_session = LeaseSession(store, lease, now())
    setting = "unattended.allow.outage (model assistant)"
    write_rollout(lease_session, REBOOT.model_copy(update={"unattended": (setting,)}))
    lease_session.write(Event.OPENED, BEN.run, detail=REBOOT.what)
    shown = rackwright("-f", site, "rollout", "status").stdout
    assert shown.startswith("apply --reboot, unattended, started by ben@desk at ")
    assert rackwright("-f", site, "--json", "rollout", "status").document["rollout"]["unattended"] == [setting]


def test_where_none_is_open_the_document_is_empty(site, store):
    assert rackwright("-f", site, "--json", "rollout", "status").document["rollout"] is None


@pytest.fixture
def done(monkeypatch):
    """What is called to end a rollout, with which lock; none of it touches a host."""
    calls = []

    def ended(what, result):
        def end(session, rollout, console, *words, unattended=None, not_stale=False):
            unattended_run = ("unattended",) if unattended else ()
            calls.append((what, rollout, *(word for word in words if word is not reboots_of), *unattended_run))
            return result

        return end

    @contextmanager
    def open_session(fleet, *, lock, **_):
        calls.append(lock)
        yield

    monkeypatch.setattr(session_module, "open_session", open_session)
    monkeypatch.setattr(reboots, "resume", ended("resume hosts", ("gpu1", "gpu2")))
    monkeypatch.setattr(reboots, "abort", ended("abort hosts", None))
    replica = SimpleNamespace(address="gpu1/assistant@1")
    monkeypatch.setattr(resume, "resume", ended("resume update", (replica,)))
    monkeypatch.setattr(resume, "abort", ended("abort update", None))
    return calls


def required(monkeypatch, rollout: AnyRollout):
    monkeypatch.setattr(opened, "required", lambda _: SimpleNamespace(rollout=rollout))


def test_a_rollout_of_hosts_is_resumed_with_the_fleets_lock(site, monkeypatch, done):
    required(monkeypatch, REBOOT)
    ran = rackwright("-f", site, "--json", "rollout", "resume", "-y")
    assert ran.document["rollout"] == BEN.run
    assert (ran.document["what"], ran.document["changed"]) == ("apply --reboot", ["gpu1", "gpu2"])
    assert done == [None, ("resume hosts", REBOOT)]
    ran = rackwright("-f", site, "rollout", "resume", "-y")
    assert (ran.exit_code, ran.stdout) == (0, "apply --reboot: gpu1, gpu2\n")


def test_a_resume_that_changed_nothing_more_says_so(site, monkeypatch, done):
    monkeypatch.setattr(reboots, "resume", lambda *_, **__: ())
    required(monkeypatch, REBOOT)
    assert rackwright("-f", site, "rollout", "resume", "-y").stdout == "apply --reboot: nothing was left to change\n"


def test_an_update_is_resumed_with_its_own_lock(site, monkeypatch, done):
    update = UPDATE.model_copy(update={"after": "the next lock"})
    required(monkeypatch, update)
    ran = rackwright("-f", site, "--json", "rollout", "resume", "-y")
    assert ran.document["changed"] == ["gpu1/assistant@1"]
    assert done == ["the next lock", ("resume update", update)]


@pytest.mark.parametrize("rollout", [REBOOT, UPDATE])
def test_an_unattended_resume_asks_nobody(site, monkeypatch, done, rollout):
    required(monkeypatch, rollout)
    ran = rackwright("-f", site, "rollout", "resume", "--unattended", answers="n\n")
    assert ran.exit_code == 0, ran.stderr
    assert (done[1][2], "Resume" in ran.stderr) == ("unattended", False)


@pytest.mark.parametrize("word", ["-y", "--allow-outage", "--not-stale"])
def test_an_unattended_resume_allows_no_option_that_agrees(site, monkeypatch, done, word):
    required(monkeypatch, REBOOT)
    ran = rackwright("-f", site, "rollout", "resume", "--unattended", word)
    assert (ran.exit_code, done) == (2, [])


@pytest.mark.parametrize(("words", "outages"), [((), ()), (("--allow-outage",), True)])
def test_an_outage_can_be_agreed_to_for_hosts(site, monkeypatch, done, words, outages):
    required(monkeypatch, REBOOT)
    rackwright("-f", site, "rollout", "resume", "-y", *words)
    (_, (_, rollout)) = done
    assert rollout.outages == (tuple(load_fleet(site).file.models) if outages else ())
    assert rollout.hosts == REBOOT.hosts


def test_a_rollout_of_hosts_is_aborted_as_the_hosts_run(site, monkeypatch, done):
    required(monkeypatch, REBOOT)
    ran = rackwright("-f", site, "--json", "rollout", "abort", "-y", "--reason", "not tonight")
    assert (ran.document["rollout"], ran.document["aborted"]) == (BEN.run, "not tonight")
    assert done == [None, ("abort hosts", REBOOT, "not tonight")]
    assert rackwright("-f", site, "rollout", "abort", "-y").stdout == "apply --reboot: aborted\n"


@pytest.mark.parametrize(
    ("rollout", "question"),
    [
        (REBOOT, "Abort apply --reboot, started by ben@desk, and let every host serve as it runs now?"),
        (UPDATE, "Abort model update assistant, started by ben@desk, and restore the previous version?"),
    ],
)
def test_nothing_is_aborted_before_the_operator_agrees(site, monkeypatch, done, rollout, question):
    asked = []

    def refuse(console, text, **_):
        asked.append(text)
        raise RackwrightError("not confirmed")

    monkeypatch.setattr(console_module.Console, "confirm", refuse)
    required(monkeypatch, rollout)
    assert rackwright("-f", site, "rollout", "abort").exit_code == 1
    assert rackwright("-f", site, "rollout", "resume").exit_code == 1
    assert asked == [question, f"Resume {rollout.what}, started by ben@desk?"]
    assert done == [None, None]


def test_a_rollout_of_hosts_can_be_left(site, store, tmp_path):
    store.release(begin_reboot(store))
    assert rackwright("-f", site, "rollout", "abort", "--leave", "-y").stdout == "apply --reboot: aborted\n"
    assert store.entries()[-1].event is Event.CLOSED
    assert f"left the rollout {BEN.run} as it was" in (tmp_path / "var/audit.log").read_text()


@pytest.fixture
def receiver(site, monkeypatch):
    """A receiver of the fleet's notices."""
    monkeypatch.setattr(deliver, "WAITS", ())
    with webhook_receiver() as started:
        site.write_text(f"{site.read_text()}notify: {{url: '{started.url}', ca: {bundle()}}}\n")
        yield started


def test_people_hear_that_a_patch_run_is_resumed_and_how_it_ends(site, monkeypatch, done, receiver):
    required(monkeypatch, REBOOT.model_copy(update={"procedure": "patch", "what": "patch run"}))
    assert rackwright("-f", site, "rollout", "resume", "-y").exit_code == 0
    assert [(one.document["summary"], one.document["run"]) for one in receiver.posted] == [
        ("rollout resume started: patch run, gpu1, gpu2", BEN.run),
        ("rollout resume ended: patch run: gpu1, gpu2", BEN.run),
    ]

    def fails(*_, **__):
        raise RackwrightError("not proven", where="gpu2")

    monkeypatch.setattr(reboots, "resume", fails)
    assert rackwright("-f", site, "rollout", "resume", "-y").exit_code == 1
    assert receiver.posted[-1].document["summary"] == "rollout resume failed: gpu2: not proven"


@pytest.mark.parametrize("rollout", [REBOOT, UPDATE])
def test_other_rollouts_are_resumed_without_a_notice(site, monkeypatch, done, receiver, rollout):
    required(monkeypatch, rollout)
    assert rackwright("-f", site, "rollout", "resume", "-y").exit_code == 0
    assert receiver.posted == []
