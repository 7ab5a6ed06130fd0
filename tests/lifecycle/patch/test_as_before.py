"""What is worse on a host than before, in words."""

from __future__ import annotations

import pytest

from rackwright.lifecycle.patch.as_before import worse

SHA, OTHER = "a" * 64, "b" * 64
GPU = "GPU-0a1b"
BEFORE = (
    "clock synchronized",
    "driver 580.95.05 library 580.95.05 fabric 580.95.05",
    f"filter inet rackwright {SHA}",
    f"gpu {GPU} ecc on width 16",
    "instance MIG-1",
    "mount / ext4",
    "mount /srv/models xfs",
    "unit rackwright-backup@disk.timer active",
    "unit rackwright-gateway.service running",
    "unit small.service failed",
    "xid 31 0000:43:00.0 93.027938",
)


def after(*, gone: str = "", new: str = "") -> tuple[str, ...]:
    """Return the facts without the one that begins so, and with another one."""
    assert not gone or sum(fact.startswith(gone) for fact in BEFORE) == 1
    return (*(fact for fact in BEFORE if not gone or not fact.startswith(gone)), *((new,) if new else ()))


def test_a_host_that_is_as_before_is_not_worse() -> None:
    assert worse(BEFORE, BEFORE, rebooted=False) == ()
    assert worse((), (), rebooted=True) == ()


@pytest.mark.parametrize(
    ("gone", "new", "said"),
    [
        ("unit rackwright-gateway", "", "rackwright-gateway.service ran before and doesn't run now"),
        ("unit rackwright-backup", "", "rackwright-backup@disk.timer was active before and isn't active now"),
        (
            "unit rackwright-gateway",
            "unit rackwright-gateway.service failed",
            "rackwright-gateway.service has failed; it ran before",
        ),
        ("", "unit rackwright-gpus.service failed", "rackwright-gpus.service has failed"),
        ("mount /srv", "", "/srv/models (xfs) was mounted before and isn't now"),
        (
            "mount /srv",
            "mount /srv/models ext4",
            "/srv/models was a file system of type xfs before and is ext4 now",
        ),
        ("filter", "", "the packet filter's table inet rackwright was there before and isn't now"),
        ("", f"filter ip nat {SHA}", "the packet filter's table ip nat wasn't there before"),
        (
            "filter",
            f"filter inet rackwright {OTHER}",
            "the packet filter's table inet rackwright has other rules than before",
        ),
        ("clock", "", "the clock was synchronized before and isn't now"),
        ("driver", "", "the NVIDIA driver was loaded before and isn't now"),
        (
            "driver",
            "driver 580.95.05 library 580.105.08 fabric 580.95.05",
            "the NVIDIA driver's parts have different versions: module 580.95.05, libraries 580.105.08, Fabric "
            "Manager 580.95.05",
        ),
        (
            "driver",
            "driver 580.105.08 library 580.105.08,580.95.05 fabric 580.105.08",
            "the NVIDIA driver's parts have different versions: module 580.105.08, libraries 580.105.08 and "
            "580.95.05, Fabric Manager 580.105.08",
        ),
        (
            "driver",
            "driver 580.105.08 library 580.105.08 fabric 580.95.05",
            "the NVIDIA driver's parts have different versions: module 580.105.08, libraries 580.105.08, Fabric "
            "Manager 580.95.05",
        ),
        (
            "driver",
            "driver 580.95.05 library - fabric 580.95.05",
            "the NVIDIA driver had libraries 580.95.05 before and has none now",
        ),
        ("gpu", "", f"{GPU} was there before and isn't now"),
        (
            "gpu",
            f"gpu {GPU} ecc off width 16",
            f"{GPU}: error correction (ECC) was on before and is off now",
        ),
        (
            "gpu",
            f"gpu {GPU} ecc - width 16",
            f"{GPU}: error correction (ECC) was on before and is not reported now",
        ),
        ("gpu", f"gpu {GPU} ecc on width 8", f"{GPU}: its PCI Express link had 16 lanes before; now: 8"),
        ("gpu", f"gpu {GPU} ecc on width -", f"{GPU}: its PCI Express link had 16 lanes before; now: not reported"),
        ("instance", "", "GPU instance MIG-1 was there before and isn't now"),
        (
            "",
            "xid 79 0000:43:00.0 100.000000",
            "the GPU at 0000:43:00.0 has a new Xid 79: the GPU has fallen off the bus",
        ),
        (
            "xid",
            "xid 31 0000:43:00.0 94.000000",
            "the GPU at 0000:43:00.0 has a new Xid 31: a program used memory that isn't its own",
        ),
    ],
)
def test_each_thing_that_is_worse_is_named(gone: str, new: str, said: str) -> None:
    assert worse(BEFORE, after(gone=gone, new=new), rebooted=False) == (said,)


@pytest.mark.parametrize(
    ("gone", "new"),
    [
        ("driver", "driver 580.105.08 library 580.105.08 fabric 580.105.08"),
        ("unit small", ""),
        ("unit small", "unit small.service running"),
        ("", "unit new.service running"),
        ("", "mount /mnt ext4"),
        ("", "gpu GPU-2 ecc on width 16"),
        ("gpu", f"gpu {GPU} ecc on width 32"),
        ("xid", ""),
        ("", "what a later version says"),
    ],
)
def test_what_changed_and_is_not_worse_is_not_named(gone: str, new: str) -> None:
    assert worse(BEFORE, after(gone=gone, new=new), rebooted=False) == ()


def test_parts_of_the_driver_must_agree_even_if_they_did_not_before() -> None:
    differing = ("driver 580.95.05 library 580.105.08 fabric -",)
    (said,) = worse(differing, differing, rebooted=False)
    assert said == ("the NVIDIA driver's parts have different versions: module 580.95.05, libraries 580.105.08")


def test_what_a_host_did_not_report_before_is_not_missed() -> None:
    before = ("driver 580.95.05 library - fabric -", f"gpu {GPU} ecc - width -")
    now = ("driver 580.95.05 library - fabric -", f"gpu {GPU} ecc off width 1")
    assert worse(before, now, rebooted=False) == ()


def test_an_xid_that_breaks_nothing_is_not_worse() -> None:
    """Engines are ended, and that may cause one."""
    assert worse(BEFORE, (*BEFORE, "xid 45 0000:43:00.0 95.000000"), rebooted=False) == ()


def test_after_a_reboot_every_xid_is_new() -> None:
    assert worse(BEFORE, BEFORE, rebooted=True) == (
        "the GPU at 0000:43:00.0 has a new Xid 31: a program used memory that isn't its own",
    )


def test_everything_is_named_at_once_in_a_fixed_order() -> None:
    said = worse(BEFORE, (f"filter inet rackwright {OTHER}", "xid 79 0000:43:00.0 1.0"), rebooted=True)
    words = ("timer", "gateway", "/ (ext4)", "/srv", "filter", "clock", "driver", GPU, "MIG-1", "Xid")
    assert [word in line for word, line in zip(words, said, strict=True)] == [True] * len(words)
    assert worse(tuple(reversed(BEFORE)), (), rebooted=True) == worse(BEFORE, (), rebooted=True)
