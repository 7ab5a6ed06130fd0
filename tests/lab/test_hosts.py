"""A lab host behaves like a bare-metal machine, as far as the tool can tell."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.lab import containers, podman
from rackwright.lab.hosts import Lab, LabFleet, LabSpec, list_labs
from rackwright.operations.facts.clock import CLOCK_COMMAND, Synchronized, parse_clock

pytestmark = pytest.mark.lab

SANDBOX = (
    "-p PrivateNetwork=yes -p DynamicUser=yes -p PrivateUsers=yes -p PrivateDevices=yes -p PrivateTmp=yes"
    " -p ProtectSystem=strict -p ProtectHome=yes -p ProtectClock=yes -p ProtectHostname=yes"
    " -p ProtectKernelTunables=yes -p ProtectKernelModules=yes -p ProtectKernelLogs=yes"
    " -p ProtectControlGroups=yes -p ProtectProc=invisible -p CapabilityBoundingSet= -p NoNewPrivileges=yes"
    " -p RestrictAddressFamilies=AF_UNIX -p RestrictNamespaces=yes -p MemoryDenyWriteExecute=yes"
    " -p SystemCallFilter=@system-service -p SystemCallArchitectures=native -p RuntimeDirectory=tried"
)


def ssh(fleet: LabFleet, host: str, command: str, known_hosts: str | None = None) -> subprocess.CompletedProcess[str]:
    words = ["ssh", "-F", "none", "-i", str(fleet.key), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    words += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known_hosts or fleet.known_hosts}"]
    words += ["-o", "GlobalKnownHostsFile=/dev/null", f"{fleet.user}@{fleet.hosts[host]}", command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_systemd_has_booted_without_a_failed_unit(lab: Lab, lab_fleet: LabFleet) -> None:
    for host in lab_fleet.hosts:
        assert lab.exec(host, "systemctl is-system-running", check=False).out.strip() == "running", host


def test_a_host_says_that_its_clock_belongs_to_the_machine_below(lab: Lab, lab_fleet: LabFleet) -> None:
    clock = parse_clock(lab.exec("gpu1", CLOCK_COMMAND).out)
    assert clock.synchronized is Synchronized.CONTAINER
    assert abs(clock.time - time.time()) < 60


def test_an_ordinary_user_gets_in_by_key_and_has_sudo(lab_fleet: LabFleet) -> None:
    done = ssh(lab_fleet, "gpu1", "id -un; sudo -n id -un; hostname")
    assert done.stdout.split() == ["ops", "root", "gpu1"], done.stderr


def test_a_host_key_that_is_not_pinned_is_refused(lab_fleet: LabFleet) -> None:
    done = ssh(lab_fleet, "gpu1", "true", known_hosts="/dev/null")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_each_host_has_a_host_key_of_its_own(lab_fleet: LabFleet) -> None:
    keys = {line.split()[2] for line in lab_fleet.known_hosts.read_text().splitlines()}
    assert len(keys) == len(lab_fleet.hosts)


def test_a_unit_starts_in_the_whole_sandbox_and_has_no_network(lab: Lab) -> None:
    links = lab.exec("gpu1", f"systemd-run --quiet --wait --pipe --collect {SANDBOX} ls /sys/class/net").out.split()
    assert links == ["lo"]


def test_an_encrypted_credential_reaches_a_unit(lab: Lab) -> None:
    lab.exec("gpu1", "systemd-creds encrypt --quiet --name=word - /root/word.cred", input="sesame")
    unit = "-p DynamicUser=yes -p LoadCredentialEncrypted=word:/root/word.cred"
    run = f"systemd-run --quiet --wait --pipe --collect {unit} sh -c 'cat $CREDENTIALS_DIRECTORY/word'"
    assert lab.exec("gpu1", run).out == "sesame"
    assert "sesame" not in lab.exec("gpu1", "cat /root/word.cred").out
    lab.exec("gpu1", "rm /root/word.cred")


def test_a_packet_filter_inside_acts_on_traffic(lab: Lab, lab_fleet: LabFleet) -> None:
    ping = f"ping -c1 -W1 {lab_fleet.hosts['spare1']}"
    assert lab.exec("gpu1", ping, check=False).code == 0
    lab.exec(
        "spare1",
        "nft add table inet tried && nft add chain inet tried in '{ type filter hook input priority 0; }'"
        f" && nft add rule inet tried in ip saddr {lab_fleet.hosts['gpu1']} drop",
    )
    assert lab.exec("gpu1", ping, check=False).code == 1
    lab.exec("spare1", "nft delete table inet tried")
    assert lab.exec("gpu1", ping, check=False).code == 0


def test_network_settings_of_the_kernel_are_the_hosts_own(lab: Lab) -> None:
    lab.exec("spare1", "sysctl -w net.ipv4.ip_nonlocal_bind=1")
    assert lab.exec("gpu1", "cat /proc/sys/net/ipv4/ip_nonlocal_bind").out.strip() == "0"
    assert lab.exec("spare1", "sysctl -w vm.swappiness=1", check=False).code != 0


def test_a_host_reaches_the_package_mirrors(lab: Lab) -> None:
    lab.exec("spare1", "apt-get update -qq -o APT::Update::Error-Mode=any", timeout=300)


def test_a_reboot_over_ssh_comes_back_under_the_same_address(lab: Lab, lab_fleet: LabFleet) -> None:
    lab.exec("spare1", "echo kept > /var/lib/kept; echo gone > /run/gone")
    lab.reboot("spare1")
    assert lab.fleet() == lab_fleet
    assert ssh(lab_fleet, "spare1", "cat /var/lib/kept; ls /run/gone").stdout == "kept\n"


def test_a_killed_host_stays_off_until_it_is_started(lab: Lab) -> None:
    lab.kill("spare1")
    assert containers.states(lab.name)["spare1"] == "exited"
    with pytest.raises(HostError):
        lab.exec("spare1", "true")
    lab.start("spare1")
    assert lab.exec("spare1", "true").code == 0


def test_a_frozen_host_goes_on_where_it_stood(lab: Lab) -> None:
    started = lab.started_at("spare1")
    lab.freeze("spare1")
    assert containers.states(lab.name)["spare1"] == "paused"
    lab.thaw("spare1")
    assert lab.started_at("spare1") == started


def test_a_host_without_its_cable_answers_again_once_it_is_back(lab: Lab, lab_fleet: LabFleet) -> None:
    ping = f"ping -c1 -W2 {lab_fleet.hosts['spare1']}"
    lab.cut_network("spare1")
    assert lab.exec("gpu1", ping, check=False).code == 1
    lab.mend_network("spare1")
    lab.wait("spare1")
    assert lab.exec("gpu1", ping, check=False).code == 0


def test_a_second_up_leaves_running_hosts_alone(lab: Lab, lab_fleet: LabFleet) -> None:
    started = lab.started_at("gate1")
    assert lab.up(LabSpec(hosts=tuple(lab_fleet.hosts))) == lab_fleet
    assert lab.started_at("gate1") == started


def test_down_removes_one_lab_and_no_other(lab: Lab) -> None:
    other = Lab(f"{lab.name}-other")
    other.up(LabSpec(hosts=("only",)))
    assert {lab.name, other.name} <= set(list_labs())
    other.down()
    assert other.name not in list_labs()
    assert containers.states(other.name) == {}
    assert not other.folder.exists()
    assert lab.exec("gate1", "true").code == 0


def test_down_removes_a_host_whose_monitor_was_killed(lab: Lab) -> None:
    other = Lab(f"{lab.name}-other")
    other.up(LabSpec(hosts=("only",)))
    named = podman.run("inspect", "--format", "{{.ConmonPidFile}}", containers.name_of(other.name, "only")).out
    os.kill(int(Path(named.strip()).read_text()), signal.SIGKILL)
    other.down()
    assert containers.states(other.name) == {}
