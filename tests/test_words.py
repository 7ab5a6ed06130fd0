from __future__ import annotations

from pathlib import Path

import pytest

from tests.words.check import found

OLD = {
    "a.md": "It stands beside the file.\n",
    "b.py": '"""It is told."""\n',
    "c.py": "x = 1  # Done anew.\n",
    "d.sh": "echo told # Held back.\n",
    "e.py": 'say(f"{name} stands: {told}")\n',
}
FINE = {
    "a.md": "Run `told` next to the file; 12 stand-ins.\n",
    "b.py": "told = standing['held']  # Print it.\n",
    "c.py": 'x = ("held", "beside")\n',
    "d.sh": "told=1\n",
    "e.md": "a staging site\n",
}


@pytest.mark.parametrize("name", OLD)
def test_an_old_word_in_text_is_found_with_its_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\n" + OLD[name])
    places = {place for place, _, better in found(tmp_path, [name]) if better}
    assert places == {f"{name}:2"}


@pytest.mark.parametrize("name", FINE)
def test_code_names_and_other_words_are_left(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FINE[name])
    assert not list(found(tmp_path, [name]))
