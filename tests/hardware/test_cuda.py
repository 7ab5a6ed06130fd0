from __future__ import annotations

import pytest

from rackwright.hardware.cuda import Verdict, serves


@pytest.mark.parametrize(
    ("driver", "driver_cuda", "wanted", "verdict"),
    [
        ("580.95.05", "13.0", "13.0", Verdict.YES),
        ("580.95.05", "13.0", "12.8", Verdict.YES),
        ("580.95.05", "13.0", "10.2", Verdict.YES),
        ("580.95.05", "13.0", "13.1", Verdict.MINOR),
        ("580.65.06", "13.0", "13.1", Verdict.MINOR),
        ("550.163.01", "12.4", "12.8", Verdict.MINOR),
        ("550.163.01", "12.4", "12.4.1", Verdict.YES),
        ("525.60.13", "12.0", "12.9", Verdict.MINOR),
        ("525.60.12", "12.0", "12.9", Verdict.NO),
        ("550.163.01", "12.4", "13.0", Verdict.NO),
        ("450.80.02", "11.0", "11.8", Verdict.MINOR),
        ("450.51.05", "11.0", "11.1", Verdict.NO),
        ("418.226.00", "10.1", "10.2", Verdict.NO),
        ("610.1.2", "14.0", "14.1", Verdict.NO),
        ("", "", "12.8", Verdict.NO),
    ],
)
def test_what_a_driver_serves(driver: str, driver_cuda: str, wanted: str, verdict: Verdict):
    assert serves(driver, driver_cuda, wanted) is verdict


@pytest.mark.parametrize("wanted", ["", "12", "new"])
def test_what_is_no_version_is_refused(wanted: str):
    with pytest.raises(ValueError, match=r"should be like 12\.8"):
        serves("580.95.05", "13.0", wanted)
