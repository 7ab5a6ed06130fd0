import pytest

from rackwright.errors import RackwrightError
from rackwright.lab.quickstart import changed_of


def test_reads_the_total_of_an_apply() -> None:
    assert changed_of({"changed": 0, "failed": 0}) == 0


@pytest.mark.parametrize("document", [{}, [], {"changed": None}])
def test_an_apply_without_a_total_is_an_error_and_not_no_change(document: object) -> None:
    with pytest.raises(RackwrightError, match="no total"):
        changed_of(document)
