"""Which files belong to a role, and which unit tests should fail if one of them is wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    name: str
    texts: tuple[str, ...]
    """Patterns below the repository's root."""
    tests: tuple[str, ...]
    """In the order in which they run: the first failure kills the mutant."""
    sample: int
    """Most mutants that are tried."""


_GATEWAY = ("tests/roles/test_gateway.py", "tests/roles/test_proxy_limits.py")

ROLES = (
    Role(
        "firewall",
        ("roles/firewall/templates/*", "roles/firewall/rules.py", "roles/firewall/role.py"),
        ("tests/roles/test_firewall.py", "tests/roles/test_firewall_packets.py", "tests/roles/test_sandboxes.py"),
        50,
    ),
    Role(
        "host_proxy",
        ("roles/host_proxy/templates/*", "roles/host_proxy/now.py", "roles/host_proxy/configuration.py"),
        (
            "tests/roles/test_host_proxy.py",
            "tests/roles/test_proxy_limits.py",
            "tests/gateway/test_host_proxy.py",
            "tests/gateway/test_requests.py",
        ),
        30,
    ),
    Role(
        "probe",
        ("roles/probe/templates/*", "roles/probe/scripts.py", "roles/probe/units.py", "roles/probe/now.py"),
        (
            "tests/roles/test_sandboxes.py",
            "tests/roles/test_probe_evidence.py",
            "tests/roles/test_probe.py",
            "tests/roles/test_probe_agent.py",
            "tests/roles/test_probe_looks.py",
        ),
        34,
    ),
    Role(
        "backup",
        ("roles/backup/templates/*", "roles/backup/scripts.py", "roles/backup/units.py"),
        (
            "tests/roles/test_sandboxes.py",
            "tests/roles/test_backup_mount.py",
            "tests/roles/test_backup_others.py",
            "tests/roles/test_backup_scripts.py",
            "tests/roles/test_backup.py",
            "tests/roles/test_backup_history.py",
            "tests/roles/test_backup_state.py",
        ),
        40,
    ),
    Role(
        "gateway",
        ("roles/gateway/templates/haproxy.cfg.j2", "roles/gateway/configuration.py"),
        (
            *_GATEWAY,
            "tests/gateway/test_requests.py",
            "tests/gateway/test_engines.py",
            "tests/gateway/test_reuse.py",
            "tests/gateway/test_impostors.py",
            "tests/gateway/test_access_log.py",
            "tests/gateway/test_limits.py",
            "tests/gateway/test_runtime.py",
            "tests/gateway/test_peers.py",
            "tests/gateway/test_downtime.py",
            "tests/gateway/test_reload.py",
            "tests/gateway/test_canary.py",
            "tests/gateway/test_clouds.py",
        ),
        45,
    ),
    Role(
        "cloud",
        ("roles/cloud/templates/*", "roles/cloud/configuration.py", "roles/cloud/units.py"),
        ("tests/roles/test_sandboxes.py", "tests/roles/test_cloud.py", "tests/gateway/test_cloud_addresses.py"),
        30,
    ),
    Role(
        "ledger",
        ("roles/ledger/templates/*", "roles/ledger/units.py"),
        ("tests/roles/test_sandboxes.py", "tests/roles/test_ledger.py", "tests/gateway/test_ledger.py"),
        12,
    ),
    Role(
        "downtime",
        ("roles/gateway/templates/downtime.lua",),
        (*_GATEWAY, "tests/gateway/test_replaced.py", "tests/gateway/test_downtime.py"),
        8,
    ),
    Role(
        "patch",
        # The other scripts need apt: tests/lab tests them.
        ("roles/patch/templates/run.sh", "roles/patch/packages.py", "roles/patch/state.py", "roles/patch/fetch.py"),
        (
            "tests/roles/test_patch_packages.py",
            "tests/roles/test_patch_state.py",
            "tests/lifecycle/patch/test_try_build.py",
            "tests/lifecycle/patch/test_packages.py",
        ),
        20,
    ),
    Role(
        "etcd",
        ("roles/etcd/templates/*", "roles/etcd/configuration.py", "roles/etcd/state.py"),
        (
            "tests/roles/test_sandboxes.py",
            "tests/roles/test_etcd.py",
            "tests/roles/test_etcd_export.py",
            "tests/roles/test_etcd_cluster.py",
        ),
        30,
    ),
    Role("boot", ("roles/boot/templates/*", "roles/boot/scripts.py"), ("tests/roles/test_boot.py",), 30),
    Role(
        "tool",
        ("roles/tool/templates/*", "roles/tool/units.py"),
        ("tests/roles/test_sandboxes.py", "tests/roles/test_tool_units.py", "tests/roles/test_tool.py"),
        24,
    ),
    Role(
        "shares",
        ("roles/gateway/templates/shares.cfg.j2", "roles/gateway/templates/conversation.lua"),
        (*_GATEWAY, "tests/gateway/test_canary.py", "tests/gateway/test_cutovers.py"),
        14,
    ),
    Role(
        "cutover",
        ("roles/cutover/templates/*", "roles/cutover/units.py"),
        ("tests/roles/test_sandboxes.py", "tests/roles/test_cutover.py", "tests/gateway/test_cutovers.py"),
        12,
    ),
    Role(
        "proxies",
        ("rackwright/operations/haproxy/templates/*",),
        (
            *_GATEWAY,
            "tests/roles/test_host_proxy.py",
            "tests/roles/test_sandboxes.py",
            "tests/roles/test_proxy_units.py",
            "tests/gateway/test_tls.py",
            "tests/gateway/test_reload.py",
            "tests/gateway/test_requests.py",
            "tests/gateway/test_host_proxy.py",
            "tests/gateway/test_runtime.py",
        ),
        24,
    ),
)
