from __future__ import annotations

import re

import pytest

from rackwright.operations.facts.sshd import DROP_IN, FOLDER, MAIN, Line, Sshd, SshdState

_DEBIAN = [
    "present",
    "T passwordauthentication yes",
    "T permitrootlogin without-password",
    f"L {MAIN}:12:Include {FOLDER}/*.conf",
    f"L {MAIN}:62:KbdInteractiveAuthentication no",
    f"L {FOLDER}/50-cloud.conf:1:PasswordAuthentication yes   # the image's",
]


def read(*lines: str) -> Sshd:
    return SshdState().process(list(lines))


def test_what_a_fresh_debian_says_is_read_in_sshds_order():
    assert read(*_DEBIAN) == Sshd(
        present=True,
        included=True,
        lines=(
            Line(f"{FOLDER}/50-cloud.conf:1", "passwordauthentication", "yes", first=False),
            Line(f"{MAIN}:62", "kbdinteractiveauthentication", "no", first=False),
        ),
        effective={"passwordauthentication": "yes", "permitrootlogin": "without-password"},
    )


def test_a_host_without_sshd_and_one_that_waits_are_told_apart():
    assert read() == Sshd()
    assert read("present", "pending").pending


@pytest.mark.parametrize("include", [f"Include {FOLDER}/*.conf", "include sshd_config.d/*.conf"])
def test_our_folder_is_read_under_both_its_names(include):
    assert read("present", f"L {MAIN}:1:{include}").included


@pytest.mark.parametrize("main", [[f"L {MAIN}:1:Include /etc/ssh/own/*.conf"], [f"L {MAIN}:1:UsePAM yes"]])
def test_a_folder_that_nobody_reads_is_seen(main):
    assert not read("present", *main).included


def test_a_folder_that_is_read_for_some_only_counts_as_not_read():
    some = read("present", f"L {MAIN}:1:Match User ops", f"L {MAIN}:2:  Include {FOLDER}/*.conf")
    assert not some.included
    again = read(
        "present", f"L {MAIN}:1:Match User ops", f"L {MAIN}:2:Match all", f"L {MAIN}:3:Include {FOLDER}/*.conf"
    )
    assert again.included


def test_what_stands_before_ours_is_first_and_ours_is_no_line_of_others():
    state = read(
        "present",
        f"L {MAIN}:1:X11Forwarding=yes",
        f"L {MAIN}:2:Include {FOLDER}/*.conf",
        f"L {DROP_IN}:3:PasswordAuthentication no",
        f'L {FOLDER}/00-aaa.conf:1:PasswordAuthentication "yes"',
        f"L {FOLDER}/50-x.conf:1:PasswordAuthentication yes",
    )
    assert [(line.place, line.value, line.first) for line in state.lines] == [
        (f"{MAIN}:1", "yes", True),
        (f"{FOLDER}/00-aaa.conf:1", "yes", True),
        (f"{FOLDER}/50-x.conf:1", "yes", False),
    ]


def test_a_match_block_ends_with_its_file():
    state = read(
        "present",
        f"L {MAIN}:1:Include {FOLDER}/*.conf",
        f"L {FOLDER}/90-match.conf:1:Match User backup",
        f"L {FOLDER}/90-match.conf:2:\tPasswordAuthentication yes",
        f"L {MAIN}:2:PermitRootLogin yes",
    )
    assert [(line.keyword, line.match) for line in state.lines] == [
        ("passwordauthentication", "User backup"),
        ("permitrootlogin", ""),
    ]


def test_only_the_keywords_that_were_asked_for_are_told():
    (pattern,) = re.findall(r"grep -E '([^']+)'", SshdState().command(("MACs", "Ciphers")))
    assert pattern == "^(macs|ciphers) "
