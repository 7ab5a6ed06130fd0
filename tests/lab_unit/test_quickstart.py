import pytest

from rackwright.errors import RackwrightError
from rackwright.lab.quickstart import changed_of

PRINTED = """\
       changed  unchanged  failed  skipped
gate1        1         28       0        0
total        3        114       0        0
"""


def test_the_number_of_changes_is_taken_from_what_apply_prints() -> None:
    assert changed_of(PRINTED) == 3


@pytest.mark.parametrize("printed", ["", "gate1        1         28       0        0\n", "totally 3\n"])
def test_what_apply_did_not_print_is_said(printed: str) -> None:
    with pytest.raises(RackwrightError, match="apply printed no total"):
        changed_of(printed)
