import pytest

from rackwright.lifecycle.asking import Response
from rackwright.lifecycle.verify import _no_http


@pytest.mark.parametrize(
    ("status", "exit_code", "refused"),
    [
        pytest.param(0, 7, True, id="no connection"),
        pytest.param(0, 28, True, id="dropped on the way"),
        pytest.param(0, 52, True, id="closed without an answer"),
        pytest.param(400, 0, True, id="told to use TLS"),
        pytest.param(200, 0, False, id="answered"),
        pytest.param(301, 0, False, id="sent elsewhere"),
        pytest.param(0, 49, False, id="never asked"),
        pytest.param(0, 6, False, id="a name that doesn't resolve"),
    ],
)
def test_plain_http_counts_as_refused_only_if_it_was_asked(status: int, exit_code: int, *, refused: bool) -> None:
    assert _no_http(Response(status, "", 0.1, "curl's words", exit_code))[0] is refused
