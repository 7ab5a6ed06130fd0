"""What must be as before after patching: the script on recorded outputs of programs, and the parser."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.roles.patch.well import parse_well
from tests.hardware.outputs import output, printed
from tests.roles.well_machine import RULES, VERSION, Machine
from tests.stand_in_gpu import nvidia_smi


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_script_is_short_and_shellcheck_finds_nothing() -> None:
    text = (Path(__file__).parents[2] / "roles/patch/templates/well.sh").read_text()
    assert len(text.splitlines()) < 60
    assert max(map(len, text.splitlines())) <= 120
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_units_that_start_by_themselves_are_facts_and_those_that_come_and_go_are_not(machine: Machine) -> None:
    assert machine.facts("unit") == [
        "unit dbus.socket active",
        "unit rackwright-backup@disk.timer active",
        "unit rackwright-gateway.service running",
        "unit rackwright-gpus.service failed",
        "unit ssh.service running",
    ]


def test_file_systems_are_facts_but_not_those_mounted_on_demand_or_by_containers(machine: Machine) -> None:
    assert machine.facts("mount") == ["mount / ext4", r"mount /data\x20one nfs4", "mount /srv/models xfs"]


def test_a_clock_is_synchronized_or_the_clock_of_a_containers_machine(machine: Machine) -> None:
    assert machine.facts("clock") == ["clock synchronized"]
    machine.prints("timedatectl", "no\n")
    assert machine.facts("clock") == []
    machine.prints("timedatectl", "yes\n")
    machine.does("systemd-detect-virt", "exit 0")
    assert machine.facts("clock") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("10.0.0.2 }", "10.0.0.9 }"),
        ("\t\tcounter accept\n", "\t\tcounter accept\n\t\tip daddr 172.17.0.2 accept\n"),
        ("\tchain DOCKER {\n\t\tcounter accept\n\t}\n\n", ""),
        ("ip saddr 192.0.2.7 reject", "ip saddr 192.0.2.8 reject"),
        ("\t\ttcp dport 22 counter jump f2b-sshd\n", ""),
    ],
)
def test_what_programs_change_in_the_packet_filter_is_no_fact(machine: Machine, before: str, after: str) -> None:
    facts = machine.facts("filter")
    assert [fact.rsplit(" ", 1)[0] for fact in facts] == ["filter inet mine"]
    assert before in RULES
    (machine.folder / "rules").write_text(RULES.replace(before, after))
    assert machine.facts("filter") == facts


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("8083 }", "8084 }"),
        ("counter drop", "counter accept"),
        ("policy accept", "policy drop"),
        ("tcp dport @fixed counter accept", "tcp dport @fixed counter drop"),
        ("\t\tjump DOCKER-USER\n", ""),
        ("timeout 1h", "timeout 2h"),
    ],
)
def test_other_rules_are_another_fact(machine: Machine, before: str, after: str) -> None:
    facts = machine.facts("filter")
    assert before in RULES
    (machine.folder / "rules").write_text(RULES.replace(before, after))
    assert machine.facts("filter") != facts


def test_the_versions_of_the_drivers_parts_are_facts(machine: Machine) -> None:
    assert machine.facts("driver") == [f"driver {VERSION} library {VERSION} fabric {VERSION}"]
    (machine.folder / "libcuda.so.1").unlink()
    (machine.folder / "libcuda.so.580.95.05").touch()
    (machine.folder / "libcuda.so.1").symlink_to("libcuda.so.580.95.05")
    assert machine.facts("driver") == [f"driver {VERSION} library {VERSION},580.95.05 fabric {VERSION}"]
    machine.does("systemctl", f'[ "$1" = show ] || exit 1\ncat {machine.folder}/systemctl.out')
    machine.does("ldconfig", ":")
    assert machine.facts("driver") == [f"driver {VERSION} library - fabric -"]
    (machine.folder / "version").unlink()
    assert machine.facts("driver") == []


def test_each_gpu_is_a_fact_with_error_correction_and_lanes(machine: Machine) -> None:
    facts = [fact.split(" ", 2) for fact in machine.facts("gpu")]
    assert [said for _, _, said in facts].count("ecc on width 16") == 7
    assert [said for _, _, said in facts].count("ecc on width 8") == 1
    assert all(uuid.startswith("GPU-") for _, uuid, _ in facts)
    machine.does("nvidia-smi", nvidia_smi(output("mismatch.txt"), code=18))
    assert machine.facts("gpu") == []


def test_the_instances_of_a_divided_gpu_are_facts(machine: Machine) -> None:
    machine.does("nvidia-smi", nvidia_smi(output("a100-mig.xml"), listing=output("a100-mig-list.txt")))
    assert len(machine.facts("gpu", "instance")) == 4


def test_a_gpu_without_a_uuid_that_can_be_one_is_no_fact(machine: Machine) -> None:
    text = output("a100-mig.xml").replace("<uuid>GPU-", "<uuid>GPU ")
    text = text.replace("<mig_device>", "<mig_device><uuid>MIG \x7f</uuid>")
    assert "MIG \x7f" in text
    machine.does("nvidia-smi", nvidia_smi(text))
    assert machine.facts("gpu", "instance") == []


def test_the_last_one_of_equal_xids_is_a_fact(machine: Machine) -> None:
    assert machine.facts("xid") == ["xid 31 0000:43:00.0 193.500000", "xid 79 0000:cb:00.0 86500.250000"]


def test_a_host_whose_units_can_not_be_read_says_nothing_that_can(machine: Machine) -> None:
    machine.does("systemctl", "exit 1")
    with pytest.raises(subprocess.CalledProcessError):
        machine.says()


WHOLE = f"unit ssh.service running\nhardware\n{printed(facts='')}end\n"


def test_a_host_without_anything_has_no_facts() -> None:
    assert parse_well(f"hardware\n{printed(facts='')}end\n").facts == ()
    assert parse_well(WHOLE).facts == ("unit ssh.service running",)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "incomplete"),
        (WHOLE.removesuffix("end\n"), "incomplete"),
        (WHOLE.replace("hardware\n", ""), "incomplete"),
        ("unit ssh.service running\nend\n", "incomplete"),
        (f"motd: be good\n{WHOLE}", "isn't a fact"),
        (f"unit \x1b[2J.service running\n{WHOLE}", "isn't a fact"),
        (f"unit {'a' * 300} running\n{WHOLE}", "isn't a fact"),
        (f"mount /a\x85b ext4\n{WHOLE}", "isn't a fact"),
        (f"filter inet mine {'a' * 63}\n{WHOLE}", "isn't a fact"),
        (f"driver 1.2 library 1.2 fabric -\n{WHOLE}", "isn't a fact"),
        ("clock synchronized\n" * 5001 + WHOLE, "more than 5000 lines"),
    ],
)
def test_what_is_no_answer_is_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        parse_well(text)
