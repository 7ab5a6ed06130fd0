from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from rackwright.cli import COMMANDS
from rackwright.cli import rackwright as group
from rackwright.cli.common.options import EXIT_CODES
from rackwright.errors import ExitCode
from tests.cli.command_line import rackwright


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from leaves(child, f"{path} {name}")
    else:
        yield path, command


def loaded(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_each_says_of_itself(name):
    assert loaded(name).get_short_help_str(limit=200) == COMMANDS[name]
    assert loaded(name).name == name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json_and_lists_the_exit_codes(name):
    for path, command in leaves(loaded(name), name):
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options, path
        text = command.get_help(click.Context(command))
        assert "Exit codes" in text, path
        assert "12 a proof, check or drill did not pass" in " ".join(text.split()), path


def test_help_lists_commands_and_exit_codes():
    ran = rackwright("--help")
    assert ran.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"  {name} " in ran.stdout
        assert text in ran.stdout
    for code, text in EXIT_CODES:
        assert any(line.split(maxsplit=1) == [code, text] for line in ran.stdout.splitlines())
    assert [code for code, _ in EXIT_CODES] == [str(int(code)) for code in ExitCode]


def test_a_mistyped_command_is_a_usage_error_with_a_suggestion():
    ran = rackwright("statsu")
    assert ran.exit_code == 2
    assert ran.stderr == "error: No such command 'statsu'. Did you mean 'status'?\n  next: rackwright --help\n"


def test_a_mistyped_option_is_a_usage_error_that_names_the_help():
    ran = rackwright("init", "--fore")
    assert ran.exit_code == 2
    assert "next: rackwright init --help" in ran.stderr
    assert "Usage" not in ran.stderr


def test_no_command_shows_the_help_and_is_a_usage_error():
    ran = rackwright()
    assert ran.exit_code == 2
    assert "Commands:" in ran.stdout + ran.stderr


def test_the_version_is_printed():
    assert rackwright("--version").stdout.startswith("rackwright 0.")
