from __future__ import annotations

import pytest

from rackwright.errors import RackwrightError
from rackwright.state.rollout import read_rollout
from rackwright.state.store import FileStore
from tests.shells import LocalShell


def test_a_rollout_of_which_nothing_is_kept_can_still_be_left(tmp_path):
    store = FileStore(LocalShell(), str(tmp_path))
    with pytest.raises(RackwrightError, match=r"the file of the rollout r1 is missing(.|\n)*rollout abort --leave"):
        read_rollout(store, "r1")
