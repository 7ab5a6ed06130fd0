"""The scripts of a prune, run by a real shell in a folder on this machine."""

from __future__ import annotations

import pytest

from rackwright.lifecycle.prune.scripts import LOOK, REMOVE, parse
from rackwright.roles.p2p.settings import UNIT
from rackwright.state.shell import command
from tests.lifecycle.prune.test_procedure import LEFT, OLD, placed
from tests.shells import LocalShell


def test_what_a_unit_names_stays_whether_it_runs_or_not(tmp_path):
    root, units = tmp_path / "models", tmp_path / "units"
    folder = placed(root, "assistant", OLD)
    units.mkdir()
    look = command(LOOK.replace("/etc/systemd/system", str(units)), root)

    def used() -> bool:
        (weights,) = parse(LocalShell().run(look).stdout, str(root)).weights
        return weights.used

    assert not used()
    (units / "rackwright-assistant@1.service").write_text(f'ExecStart="llama-server" \\\n  "{folder}/model.gguf"\n')
    assert used()
    (units / "rackwright-assistant@1.service").write_text(f"BindReadOnlyPaths=/opt/x {folder}\n")
    assert used()


def test_a_removal_that_fails_says_so_and_leaves_the_marker(tmp_path):
    folder = placed(tmp_path, "assistant", OLD)
    answer = LocalShell().run(command(f"find() {{ return 1; }}\n{REMOVE}", tmp_path, f"assistant/{OLD[:16]}"))
    assert (answer.exit_status, answer.stdout) == (1, "")
    assert (folder / ".verified").exists()


def test_what_lost_its_marker_after_the_look_stays(tmp_path):
    folder = placed(tmp_path, "assistant", OLD, marker=LEFT)
    answer = LocalShell().run(command(REMOVE, tmp_path, f"assistant/{OLD[:16]}"))
    assert (answer.exit_status, answer.stdout) == (1, "")
    assert answer.stderr.strip() == f"assistant/{OLD[:16]}: has lost its marker, so it stays"
    assert (folder / "model.gguf").exists()


@pytest.mark.parametrize("active", [True, False])
def test_what_is_arriving_from_another_host_stays_until_that_has_ended(tmp_path, active):
    part = tmp_path / ".p2p" / OLD[:16]
    part.mkdir(parents=True)
    (part / "a").write_text("half")
    asked = tmp_path / "asked"
    systemctl = f'systemctl() {{ echo "$@" >"{asked}"; return {0 if active else 3}; }}\n'
    answer = LocalShell().run(command(systemctl + REMOVE, tmp_path, f".p2p/{OLD[:16]}"))
    assert asked.read_text() == f"is-active -q {UNIT}\n"
    assert (answer.ok, part.exists()) == (not active, active)
