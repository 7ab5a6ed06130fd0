import pytest

from rackwright.lab.cgroups import file_system_at, is_hybrid

PURE = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = (
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)


@pytest.mark.parametrize(("mounts", "hybrid"), [(PURE, False), (HYBRID, True), ("", True), (HYBRID + PURE, False)])
def test_knows_a_pure_cgroup2_from_anything_else(mounts: str, hybrid: bool) -> None:
    assert is_hybrid(mounts) is hybrid


def test_the_last_mount_on_a_path_is_the_one_that_shows() -> None:
    assert file_system_at(PURE + HYBRID, "/sys/fs/cgroup") == "tmpfs"
    assert file_system_at(HYBRID, "/sys/fs/cgroup/unified") == "cgroup2"
    assert file_system_at(HYBRID, "/elsewhere") is None


def test_optional_fields_before_the_dash_do_not_matter() -> None:
    assert file_system_at("1 2 0:4 mnt:[42] /run/x rw shared:3 master:1 - nsfs nsfs rw", "/run/x") == "nsfs"
