from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import pytest
from pydantic import ValidationError

from rackwright.errors import FleetError
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.sshd import DROP_IN, FOLDER, MAIN, PENDING, SSHD, Line, Sshd, SshdState
from rackwright.operations.sshd import INCLUDE
from rackwright.roles.sshd.configuration import (
    ALGORITHMS,
    KEYWORDS,
    acts,
    configuration,
    directives,
    opposed,
    overridden,
    unread,
)
from rackwright.roles.sshd.lockout import locks_out
from rackwright.roles.sshd.role import confirm_sshd, sshd
from rackwright.roles.sshd.settings import Settings
from tests.fakes import play

_KEYS = Settings()
_KEEP = Settings(existing="keep")
_FRESH = Sshd(present=True, included=True)
_WANTED = configuration(_KEYS, _FRESH)
_PENDING, _KEPT = "Allow keys only, until confirmed", "Confirm sshd's settings"
_SHOWN = "Show the banner before logins"


def facts(state: Sshd, drop_in: str | None = None) -> Mapping[object, object]:
    content = drop_in.encode() if drop_in is not None else None
    found = content and Found("regular file", 0o644, "root", "root", hashlib.sha256(content).hexdigest(), content)
    return {SshdState: state, (PathState, DROP_IN): found}


def told(*lines: Line) -> Sshd:
    return Sshd(present=True, included=True, lines=lines)


def said(settings: Settings, state: Sshd) -> dict[str, str]:
    return dict(
        line.split(" ", 1) for line in configuration(settings, state).splitlines() if not line.startswith("#")
    )


def test_keys_alone_are_admitted():
    values = said(_KEYS, _FRESH)
    off = (
        "PasswordAuthentication",
        "KbdInteractiveAuthentication",
        "HostbasedAuthentication",
        "PermitEmptyPasswords",
    )
    assert {values[keyword] for keyword in off} == {"no"}
    assert values["PubkeyAuthentication"] == "yes"
    assert values["PermitRootLogin"] == "prohibit-password"
    assert said(Settings(root_login="no"), _FRESH)["PermitRootLogin"] == "no"


def test_the_drop_in_includes_what_waits_before_it_says_anything_itself():
    assert _WANTED.splitlines()[0] == f"Include {PENDING}"
    for_all, _, for_auditors = _WANTED.partition("\nMatch Group rackwright-auditors\n")
    assert tuple(line.split()[0].lower() for line in for_all.splitlines()[2:]) == KEYWORDS
    assert all(line.startswith("    ") for line in for_auditors.splitlines())


def test_algorithms_are_only_taken_away_so_that_any_openssh_knows_them():
    assert all(directive.value.startswith("-") for directive in ALGORITHMS)


def test_what_this_tool_itself_speaks_is_left():
    import paramiko

    transport = paramiko.Transport
    offered = {
        "KexAlgorithms": transport._preferred_kex,
        "Ciphers": transport._preferred_ciphers,
        "MACs": transport._preferred_macs,
        "HostKeyAlgorithms": transport._preferred_keys,
    }
    for directive in ALGORITHMS:
        assert [name for name in offered[directive.keyword] if directive.allows(name)], directive.keyword


def test_where_the_host_is_stricter_it_stays_so():
    stricter = told(Line(f"{FOLDER}/50-own.conf:1", "permitrootlogin", "no", first=False))
    assert said(_KEYS, stricter)["PermitRootLogin"] == "no"
    looser = told(Line(f"{FOLDER}/50-own.conf:1", "permitrootlogin", "yes", first=False))
    assert said(_KEYS, looser)["PermitRootLogin"] == "prohibit-password"
    for_some = told(Line(f"{FOLDER}/50-own.conf:1", "permitrootlogin", "no", first=False, match="User x"))
    assert said(_KEYS, for_some)["PermitRootLogin"] == "prohibit-password"


def test_keep_takes_over_what_others_say_first():
    others = told(
        Line(f"{FOLDER}/50-a.conf:1", "passwordauthentication", "yes", first=False),
        Line(f"{FOLDER}/60-b.conf:1", "passwordauthentication", "no", first=False),
        Line(f"{FOLDER}/60-b.conf:2", "ciphers", "aes256-gcm@openssh.com", first=False),
    )
    values = said(_KEEP, others)
    assert (values["PasswordAuthentication"], values["Ciphers"]) == ("yes", "aes256-gcm@openssh.com")
    assert values["PermitEmptyPasswords"] == "no"
    assert opposed(_KEEP, others) == ()
    assert overridden(_KEEP, others) == ()


def test_what_ours_overrides_is_named_and_what_is_as_good_is_not():
    others = told(
        Line(f"{FOLDER}/50-a.conf:1", "challengeresponseauthentication", "yes", first=False),
        Line(f"{FOLDER}/50-a.conf:2", "permitrootlogin", "without-password", first=False),
        Line(f"{FOLDER}/50-a.conf:3", "macs", "hmac-sha2-512-etm@openssh.com", first=False),
        Line(f"{FOLDER}/50-a.conf:4", "macs", "hmac-sha2-512-etm@openssh.com,hmac-sha1", first=False),
        Line(f"{FOLDER}/50-a.conf:5", "macs", "-hmac-md5", first=False),
        Line(f"{FOLDER}/50-a.conf:6", "loglevel", "VERBOSE", first=False),
    )
    assert overridden(_KEYS, others) == (
        f"{FOLDER}/50-a.conf:1 KbdInteractiveAuthentication yes",
        f"{FOLDER}/50-a.conf:4 MACs hmac-sha2-512-etm@openssh.com,hmac-sha1",
        f"{FOLDER}/50-a.conf:5 MACs -hmac-md5",
    )


def test_what_wins_over_ours_is_named_with_its_place_and_left():
    first = told(Line(f"{MAIN}:1", "passwordauthentication", "yes", first=True))
    assert opposed(_KEYS, first) == (
        f"{MAIN}:1 says PasswordAuthentication yes and is read before rackwright's (no)",
    )
    for_some = told(Line(f"{MAIN}:9", "permitrootlogin", "yes", first=False, match="User a"))
    assert opposed(_KEYS, for_some) == (f"{MAIN}:9 says PermitRootLogin yes within `Match User a`",)
    as_good = told(Line(f"{MAIN}:9", "permitrootlogin", "no", first=True, match="User a"))
    assert opposed(_KEYS, as_good) == ()
    played = play(sshd, settings=_KEYS, facts=facts(first))
    assert played.notes == {
        _PENDING: f"{MAIN}:1 says PasswordAuthentication yes and is read before rackwright's (no)"
    }
    assert "passwordauthentication" not in played.commands[-1]
    assert acts(
        _KEYS, Sshd(present=True, included=True, lines=first.lines, effective={"passwordauthentication": "yes"})
    )


def test_a_block_that_is_read_first_and_lets_auditors_forward_is_named():
    first = Line(f"{FOLDER}/00-a.conf:2", "disableforwarding", "no", first=True, match="User ben")
    assert opposed(_KEYS, told(first)) == (
        f"{FOLDER}/00-a.conf:2 says DisableForwarding no within `Match User ben`, which may apply to auditors",
    )
    as_good, later = replace(first, value="yes"), replace(first, first=False)
    for_all = replace(first, match="")
    assert opposed(_KEYS, told(as_good, later, for_all)) == ()
    assert len(opposed(_KEEP, told(first))) == 1
    for keyword in ("allowtcpforwarding", "allowstreamlocalforwarding", "permittunnel"):
        assert len(opposed(_KEYS, told(replace(first, keyword=keyword, value="yes")))) == 1
    agent = replace(first, keyword="allowagentforwarding", value="yes")
    for settings in (_KEYS, _KEEP, Settings(agent_forwarding="yes")):
        assert len(opposed(settings, told(agent))) == 1
        assert opposed(settings, told(replace(agent, value="no"))) == ()


def test_a_folder_that_sshd_does_not_read_is_refused_with_what_to_write():
    problem = unread(Sshd(present=True))
    assert problem is not None
    assert problem.what == f"{MAIN} doesn't include {FOLDER}, or only within a Match block"
    assert problem.should == f"write `Include {FOLDER}/*.conf` as its first line"
    with pytest.raises(FleetError, match="as its first line"):
        play(sshd, settings=_KEYS, facts=facts(Sshd(present=True)))


def test_new_settings_are_checked_and_act_after_the_timer_that_reverts_them_is_armed():
    played = play(sshd, settings=_KEYS, facts=facts(_FRESH, "old\n"))
    assert played.uploads == {SSHD.new: _WANTED}
    script = played.commands[-1].partition("sockets()")[2]
    order = [
        "all_read",
        f"good {SSHD.new}",
        "save\n",
        "systemd-run --quiet --collect --unit=rackwright-sshd-revert --on-active=60",
        PENDING,
        "sshd -t",
        "says_so",
        "reload",
    ]
    places = [script.index(step) for step in order]
    assert places == sorted(places)
    assert played.diffs[_PENDING].splitlines()[3:5] == ["-old", f"+{INCLUDE}"]


def test_what_is_so_already_is_left_alone():
    good = Sshd(
        present=True, included=True, effective={"passwordauthentication": "no", "macs": "umac-128-etm@openssh.com"}
    )
    assert play(sshd, settings=_KEYS, facts=facts(good, _WANTED)).commands == []
    assert play(confirm_sshd, settings=_KEYS, facts=facts(good, _WANTED)).commands == []


@pytest.mark.parametrize("told", [{"passwordauthentication": "yes"}, {"ciphers": "aes128-ctr,aes256-cbc"}])
def test_a_drop_in_that_has_not_its_way_is_put_to_work_again(told):
    state = Sshd(present=True, included=True, effective=told)
    assert not acts(_KEYS, state)
    assert acts(_KEEP, state)
    played = play(sshd, settings=_KEYS, facts=facts(state, _WANTED))
    assert played.diffs[_PENDING] == "sshd's active settings differ from its drop-in: sshd reads its files again"


def test_a_change_that_was_left_behind_begins_again():
    state = Sshd(present=True, included=True, pending=True)
    assert play(sshd, settings=_KEYS, facts=facts(state, _WANTED)).changed == [_PENDING]
    assert play(confirm_sshd, settings=_KEYS, facts=facts(state, _WANTED)).changed == [_KEPT]


def test_keeping_stops_the_timer_before_it_writes_what_acts_at_boot():
    state = Sshd(present=True, included=True, pending=True)
    played = play(confirm_sshd, settings=_KEYS, facts=facts(state, f"{INCLUDE}\n"))
    assert f"systemctl stop {SSHD.timer}" in played.commands[0]
    assert f"cmp -s - {PENDING}" in played.commands[0]
    assert played.uploads == {f"{DROP_IN}.rackwright-new": _WANTED}
    assert played.commands[-1] == f"rm -f {PENDING}"


def test_not_managed_or_not_there_nothing_is_asked_or_done():
    assert play(sshd, settings=Settings(manage="no")).operations == []
    assert play(confirm_sshd, settings=Settings(manage="no")).operations == []
    assert play(sshd, settings=_KEYS, facts=facts(Sshd())).operations == []


def test_every_keyword_is_asked_of_sshd_and_said_for_both_kinds_of_root():
    assert [directive.keyword.lower() for directive in directives(_KEYS)] == list(KEYWORDS)
    others = (Settings(root_login="no"), Settings(agent_forwarding="yes"), Settings(banner="Keep out."))
    for settings in others:
        assert [directive.keyword.lower() for directive in directives(settings)] == list(KEYWORDS)


def test_a_session_is_logged_and_ends_if_its_client_is_gone():
    values = said(_KEYS, _FRESH)
    assert (values["LogLevel"], values["TCPKeepAlive"]) == ("VERBOSE", "no")
    assert (values["ClientAliveInterval"], values["ClientAliveCountMax"]) == ("300", "2")
    more = Line(f"{FOLDER}/90-site.conf:1", "loglevel", "DEBUG", first=False)
    assert said(_KEYS, told(more))["LogLevel"] == "DEBUG"


@pytest.mark.parametrize(
    ("value", "kept"), [("60", True), ("5m", True), ("0", False), ("10m", False), ("1m30s", True), ("x", False)]
)
def test_a_shorter_wait_for_a_client_of_another_file_stays_and_a_longer_one_or_none_does_not(value, kept):
    line = Line(f"{FOLDER}/90-site.conf:1", "clientaliveinterval", value, first=False)
    assert said(_KEYS, told(line))["ClientAliveInterval"] == (value if kept else "300")
    assert overridden(_KEYS, told(line)) == (() if kept else (f"{line.place} ClientAliveInterval {value}",))
    assert bool(opposed(_KEYS, told(replace(line, first=True)))) != kept
    count = Line(f"{FOLDER}/90-site.conf:2", "clientalivecountmax", "1", first=False)
    assert said(_KEYS, told(count))["ClientAliveCountMax"] == "1"
    effective = replace(_FRESH, effective={"clientaliveinterval": "60", "clientalivecountmax": "0"})
    assert not acts(_KEYS, effective)
    assert acts(_KEYS, replace(effective, effective={"clientaliveinterval": "60"}))


def test_an_agent_is_forwarded_only_if_the_fleet_file_and_every_other_file_allow_it():
    assert said(_KEYS, _FRESH)["AllowAgentForwarding"] == "no"
    allowed = Settings(agent_forwarding="yes")
    assert said(allowed, _FRESH)["AllowAgentForwarding"] == "yes"
    stricter = Line(f"{FOLDER}/90-site.conf:1", "allowagentforwarding", "no", first=False)
    assert said(allowed, told(stricter))["AllowAgentForwarding"] == "no"
    in_vain = f"{stricter.place} says AllowAgentForwarding no, which stays; the fleet file asks for yes"
    assert opposed(allowed, told(stricter)) == (in_vain,)
    assert opposed(allowed, told(replace(stricter, value="yes"), stricter)) == ()
    assert opposed(allowed, told(replace(stricter, match="User a"))) == ()


def test_a_banner_of_the_fleet_file_wins_and_without_one_a_banner_of_another_file_stays():
    shown = Line(f"{FOLDER}/90-site.conf:1", "banner", "/etc/site/Banner", first=False)
    assert said(_KEYS, _FRESH)["Banner"] == "none"
    assert said(_KEYS, told(shown))["Banner"] == "/etc/site/Banner"
    assert (overridden(_KEYS, told(shown)), opposed(_KEYS, told(replace(shown, first=True)))) == ((), ())
    named = Settings(banner="Keep out.")
    assert said(named, told(shown))["Banner"] == "/etc/issue.net"
    assert overridden(named, told(shown)) == (f"{FOLDER}/90-site.conf:1 Banner /etc/site/Banner",)
    assert opposed(named, told(shown)) == ()
    kept = Settings(banner="Keep out.", existing="keep")
    assert opposed(kept, told(shown)) == (
        f"{FOLDER}/90-site.conf:1 says Banner /etc/site/Banner, which stays; the fleet file asks for /etc/issue.net",
    )
    assert opposed(kept, told(replace(shown, value="/etc/issue.net"))) == ()


def test_the_text_is_on_the_host_before_sshd_shows_it():
    named = Settings(banner="Authorized use only.\nAll activity is logged.")
    played = play(sshd, settings=named, facts={**facts(_FRESH), PathState: None})
    assert played.changed == [_SHOWN, _PENDING]
    assert played.uploads["/etc/issue.net.rackwright-new"] == "Authorized use only.\nAll activity is logged.\n"


@pytest.mark.parametrize(
    "text", ["", " \n ", "a\x1b[2J", "a\x00", r"Welcome to \n", "x" * 201, "x\n" * 41, "a\u202eb"]
)
def test_a_banner_is_a_short_text_that_no_terminal_takes_for_a_command(text):
    with pytest.raises(ValidationError):
        Settings(banner=text)


@pytest.mark.parametrize("pinned", [[], ["ssh-ed25519"], ["ecdsa-sha2-nistp256", "ssh-rsa"]])
def test_a_pin_that_sshd_still_shows_locks_nobody_out(pinned):
    assert locks_out(_KEYS, pinned) is None


def test_a_host_pinned_by_a_key_that_sshd_would_no_longer_show_is_refused():
    problem = locks_out(_KEYS, ["ecdsa-sha2-nistp256"])
    assert problem is not None
    assert "would no longer offer (ecdsa-sha2-nistp256)" in problem.what
    assert locks_out(Settings(manage="no"), ["ecdsa-sha2-nistp256"]) is None
