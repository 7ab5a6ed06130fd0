# ruff: noqa: E501  (an exact message is written on one line)
from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.load import load_fleet

GOOD = """\
fleet: acme
hosts:
  gate1: {address: 10.0.0.10}
  gpu1: {address: 10.0.0.11}
  gpu2: {address: 10.0.0.12}
models:
  assistant:
    source: hf:acme/tiny
    runtime: {kind: llama_cpp, version: b1}
    place:
      - {on: gpu1, gpus: 0}
    names: [assistant]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/24], clients_from: [10.0.0.0/8]}
"""

CYRILLIC_A = "\N{CYRILLIC SMALL LETTER A}"
REFERENCE = "should be a reference: env:NAME, file:PATH or cmd:COMMAND, never the secret itself"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5jl8YHrR3iahxNpGp7yy9aWKyWFQ9mOS5fFZ6baY9d"
NAME = "should be a letter, then letters, digits and -, all in lower case, 24 at most"
USER = "should be a user name: letters, digits and _ . - @ only"
HTTPS_URL = "should be an https URL like https://mirror.acme.internal:8443/path, without a password, quotes or spaces"
PROXY = (
    "should be like http://proxy.acme.internal:3128; a proxy with a password can't be used, because every user of a "
    "host could read it there; let the proxy admit the hosts by their addresses"
)
DIRECT = "should be a domain like acme.internal, an address or a network like 10.0.0.0/8"
SECRET = "this file must not contain secrets: use env:NAME, file:PATH or cmd:…"
REASON = "should be a few words, of letters, digits, spaces and . , : / ( ) + # @ - only"
SOURCE = "should be hf:OWNER/REPO[@REVISION][#GLOB], https://…#sha256=HEX or file:PATH"
LINE = "has a control character or a newline; write one plain line"

CASES = [
    # (the part of GOOD to replace, its replacement, the messages)
    (
        "gpu1: {address: 10.0.0.11}",
        "gpu1: {addres: 10.0.0.11}",
        [
            "fleet.yml:4 hosts.gpu1: missing key 'address'",
            "fleet.yml:4 hosts.gpu1.addres: unknown key; did you mean 'address'?",
        ],
    ),
    ("fleet: acme", "fleet: acme\nzzz: 1", ["fleet.yml:2 zzz: unknown key; keys here: fleet, timezone, downloads, "
     "ca, hosts, groups, licenses, clouds, models, driver, gateway, teams, firewall, rollout, patch, backup, drill, notify, p2p, people, control, unattended, defaults, extends"]),
    (", domain: llm.acme.internal", "", ["fleet.yml:14 gateway: missing key 'domain'"]),
    ("context: 4096", "context: much", ["fleet.yml:13 models.assistant.context: should be a whole number"]),
    ("context: 4096", "context: true", ["fleet.yml:13 models.assistant.context: should be a whole number"]),
    ("context: 4096", "context: 1", ["fleet.yml:13 models.assistant.context: should be at least 128"]),
    ("version: b1", "version: 1.10", ['fleet.yml:9 models.assistant.runtime.version: should be text; put it in quotes: "1.10"']),
    ("kind: llama_cpp", "kind: llama-cpp", ["fleet.yml:9 models.assistant.runtime.kind: should be 'llama_cpp' or 'vllm'; did you mean 'llama_cpp'?"]),
    ("names: [assistant]", "names: assistant", ["fleet.yml:12 models.assistant.names: should be a list; write [assistant]"]),
    ("context: 4096", "context:", ["fleet.yml:13 models.assistant.context: has no value; should be a whole number"]),
    ("fleet: acme", "fleet: acme\nrollout: {drain_timeout: 10x, soak: 2d, max_unavailable: 0, downtime: wait}", [
        "fleet.yml:2 rollout.downtime: should be 'queue' or 'reject'",
        "fleet.yml:2 rollout.drain_timeout: should be a duration like 30s, 10m, 2h or 1d",
        "fleet.yml:2 rollout.max_unavailable: should be at least 1",
        "fleet.yml:2 rollout.soak: should be at most 86400 seconds",
    ]),
    ("gpu2: {", "gpu1: {", ["fleet.yml:5 hosts.gpu1: the key appears twice, first in line 4; remove one of them"]),
    ("fleet: acme", "fleet: acme\nfleet: acme", ["fleet.yml:2 fleet: the key appears twice, first in line 1; remove one of them"]),
    # people
    ("fleet: acme", f"fleet: acme\npeople: {{root: {{role: operator, keys: [{KEY}]}}}}", [
        "fleet.yml:2 people.root: 'root' is a user or group of the system; choose a person's name"]),
    ("fleet: acme", f"fleet: acme\npeople: {{rw-anna: {{role: operator, keys: [{KEY}]}}}}", [
        "fleet.yml:2 people.rw-anna: names that start with rw- or rackwright are reserved for rackwright; choose a person's name"]),
    ("fleet: acme", f"fleet: acme\npeople: {{Anna: {{role: operator, keys: [{KEY}]}}}}", [f"fleet.yml:2 people.Anna: {NAME}"]),
    ("fleet: acme", f"fleet: acme\npeople: {{anna: {{role: admin, keys: [{KEY}]}}}}", [
        "fleet.yml:2 people.anna.role: should be 'operator' or 'auditor'"]),
    ("fleet: acme", "fleet: acme\npeople: {anna: {role: auditor, keys: []}}", [
        "fleet.yml:2 people.anna.keys: is empty; should have at least one entry"]),
    ("fleet: acme", "fleet: acme\npeople: {anna: {role: auditor, keys: [ssh-ed25519 AAAA]}}", [
        "fleet.yml:2 people.anna.keys[0]: is damaged or incomplete; copy the line of the .pub file again"]),
    ("fleet: acme", "fleet: acme\npeople: {anna: {role: auditor, keys: [\"-----BEGIN OPENSSH PRIVATE KEY-----\"]}}", [
        f"fleet.yml:2 people.anna.keys[0]: contains a private key; {SECRET}"]),
    ("fleet: acme", f"fleet: acme\npeople: {{anna: {{role: operator, keys: [{KEY}], until: soon, on: gpu9, full_name: 'a:b'}}}}", [
        "fleet.yml:2 people.anna.full_name: should be a name: letters, spaces and . ' - only, 64 at most",
        "fleet.yml:2 people.anna.on: unknown host or group 'gpu9'; did you mean 'gpu2'?",
        "fleet.yml:2 people.anna.until: should be a day like 2027-03-31",
    ]),
    ("fleet: acme", f"fleet: acme\npeople:\n  anna: {{role: operator, keys: [{KEY}]}}\n  ben: {{role: auditor, keys: [{KEY} again]}}", [
        "fleet.yml:4 people.ben.keys[0]: is already a key of anna, at fleet.yml:3; each person needs keys of their own, without duplicates"]),
    # names and references
    ("on: gpu1", "on: gpu9", ["fleet.yml:11 models.assistant.place[0].on: unknown host or group 'gpu9'; did you mean 'gpu2'?"]),
    ("on: gpu1", "on: zebra", ["fleet.yml:11 models.assistant.place[0].on: unknown host or group 'zebra'; known names: gate1, gpu1, gpu2"]),
    ("on: [gate1]", "on: [gate]", ["fleet.yml:14 gateway.on[0]: unknown host or group 'gate'; did you mean 'gate1'?"]),
    ("fleet: acme", "fleet: acme\ncontrol: [gate7]", ["fleet.yml:2 control[0]: unknown host or group 'gate7'; did you mean 'gate1'?"]),
    ("fleet: acme", "fleet: acme\ngroups: {gpus: [gpu1, gpu3]}", ["fleet.yml:2 groups.gpus[1]: unknown host 'gpu3'; did you mean 'gpu2'?"]),
    ("fleet: acme", "fleet: acme\ngroups: {gpu1: [gpu2]}", ["fleet.yml:2 groups.gpu1: 'gpu1' is also a host; a group needs a name of its own"]),
    ("on: gpu1", "on: x-gpu", ["fleet.yml:11 models.assistant.place[0].on: 'x-gpu' is not a host or group; "
     "rackwright ignores keys that start with x-"]),
    ("on: gpu1", "on: [[gpu1, gpu2]]", ["fleet.yml:11 models.assistant.place[0].on[0]: llama_cpp can't span several hosts; "
     "a replica over several hosts needs the runtime vllm"]),
    ("on: gpu1", "on: []", ["fleet.yml:11 models.assistant.place[0].on: is empty; should have at least one entry"]),
    ("gpu2: {", f"gpu{CYRILLIC_A}: {{", [
        f"fleet.yml:5 hosts.'gpu\\u0430': contains the character 'Cyrillic small letter a' (U+0430); {NAME}"]),
    ("on: gpu1", f"on: g{CYRILLIC_A}te1", [
        f"fleet.yml:11 models.assistant.place[0].on: contains the character 'Cyrillic small letter a' (U+0430); {NAME}"]),
    ("names: [assistant]", f"names: [{CYRILLIC_A}ssistant]", [
        "fleet.yml:12 models.assistant.names[0]: contains the character 'Cyrillic small letter a' (U+0430); "
        "should be a letter or digit, then letters, digits and . _ : / -, 96 at most"]),
    ("llm.acme", "llm.\N{FULLWIDTH LATIN SMALL LETTER A}cme", [
        "fleet.yml:14 gateway.domain: contains the character 'Fullwidth latin small letter a' (U+FF41); "
        "should be a DNS name in lower case, like llm.acme.internal"]),
    ("fleet: acme", "fleet: Acme", [f"fleet.yml:1 fleet: {NAME}"]),
    ("names: [assistant]", "names: [one, two, one]", ["fleet.yml:12 models.assistant.names[2]: the name 'one' appears twice; remove one of them"]),
    # addresses and networks
    ("10.0.0.12", "10.0.0.11", ["fleet.yml:5 hosts.gpu2.address: gpu1 has the same address and port; each host needs its own"]),
    ("gpu2: {", "gpu2: {ssh: {port: 2222}, service: 10.0.0.11, ", ["fleet.yml:5 hosts.gpu2.service: gpu1 has the same service address; each host needs its own"]),
    ("gpu2: {", "gpu2: {fabric: 10.0.0.11, ", ["fleet.yml:5 hosts.gpu2.fabric: gpu1 has the same fabric address; each host needs its own"]),
    ("10.0.0.12", "10.0.0.300", ["fleet.yml:5 hosts.gpu2.address: should be an IPv4 or IPv6 address"]),
    ("10.0.0.12", "gpu2.acme.internal", ["fleet.yml:5 hosts.gpu2.address: is not an IP address, and there is no 'service'; give it 'service: ADDRESS' too"]),
    ("10.0.0.12", "0.0.0.0", ["fleet.yml:5 hosts.gpu2.address: 0.0.0.0 can't be a machine's address; should be the address of one machine"]),
    ("10.0.0.12", "'fe80::1%eth0;reboot'", ["fleet.yml:5 hosts.gpu2.address: should be an IPv4 or IPv6 address"]),
    ("10.0.0.12", '"@remote"', ["fleet.yml:5 hosts.gpu2.address: should be @local, an IP address or a DNS name"]),
    ("10.0.0.12", '"@local"', ["fleet.yml:5 hosts.gpu2.address: the other hosts can't reach gpu2 at @local; give it 'service: ADDRESS' too"]),
    ("gpu1: {address: 10.0.0.11}\n  gpu2: {address: 10.0.0.12}", 'gpu1: {address: "@local", service: 10.0.0.1}\n  gpu2: {address: "@local", service: 10.0.0.2}',
     ["fleet.yml:5 hosts.gpu2.address: gpu1 is @local already; rackwright runs on one machine"]),
    ("[10.0.0.0/24]", "[10.0.0.5/24]", ["fleet.yml:15 firewall.admin_from[0]: 10.0.0.5/24 is a host address, not a network; write 10.0.0.0/24, or 10.0.0.5 for that host only"]),
    ("[10.0.0.0/24]", "[10.0.0.0/33]", ["fleet.yml:15 firewall.admin_from[0]: should be a network like 10.20.0.0/24 or fd00:20::/64"]),
    # access
    ("[10.0.0.0/24]", "[]", ["fleet.yml:15 firewall.admin_from: is empty, so that neither you nor rackwright could reach sshd; name the networks of your admins"]),
    ("admin_from: [10.0.0.0/24], ", "", ["fleet.yml:15 firewall: missing key 'admin_from'"]),
    ("gpu2: {", "gpu2: {ssh: {jump: 192.168.1.1}, ", ["fleet.yml:5 hosts.gpu2.ssh.jump: the firewall would lock rackwright out of gpu2: its jump host "
     "is not in admin_from; add 192.168.1.1 to firewall.admin_from"]),
    ("gpu2: {", "gpu2: {ssh: {jump: gpu2}, ", ["fleet.yml:5 hosts.gpu2.ssh.jump: gpu2 can't be reached through itself; name another host, or leave jump out"]),
    ("gpu2: {", "gpu2: {ssh: {port: 8150}, ", []),
    ("gpu1: {", "gpu1: {ssh: {port: 8150}, ", ["fleet.yml:4 hosts.gpu1.ssh.port: the replicas use ports 8100 to 8299 on gpu1; choose another port"]),
    ("gate1: {", "gate1: {ssh: {port: 443}, ", ["fleet.yml:3 hosts.gate1.ssh.port: the gateway uses port 443 on gate1; let sshd listen on another port"]),
    ("gate1: {", "gate1: {ssh: {port: 8300}, ", ["fleet.yml:3 hosts.gate1.ssh.port: the gateways use port 8300 between themselves on gate1; choose another port"]),
    ("clients_from", "allow: [{on: gate1, from: 10.0.0.1, port: 8300, why: a}, {on: gpu1, from: 10.0.0.1, port: 8300, why: b}], clients_from",
     ["fleet.yml:15 firewall.allow[0].port: the gateways use port 8300 between themselves on gate1; choose another port"]),
    ("gpu2: {", "gpu2: {baseline: {sshd: {root_login: no}}, ", ["fleet.yml:5 hosts.gpu2.baseline.sshd.root_login: rackwright logs in to gpu2 as root, "
     "so it would be locked out; let it log in as another user with 'ssh: {user: …}', or leave root_login out"]),
    ("gpu2: {", "gpu2: {ssh: {user: ops}, baseline: {sshd: {root_login: no}}, ", []),
    ("gate1: {", "gate1: {disabled: broken, ", ["fleet.yml:14 gateway.on: every gateway is out of service; at least one gateway must be in service"]),
    ("clients_from", "allow: [{on: gate1, from: 10.0.0.1, port: 443, why: a}, {on: gpu1, from: 10.0.0.1, port: 22, why: b}, "
     "{on: gpu1, from: 10.0.0.1, port: 8100, why: c}, {on: gpu1, from: 10.0.0.1, port: 70000, why: d}], clients_from", [
        "fleet.yml:15 firewall.allow[0].port: the gateway uses port 443 on gate1; use clients_from to open it",
        "fleet.yml:15 firewall.allow[1].port: sshd uses port 22 on gpu1; use admin_from to open it",
        "fleet.yml:15 firewall.allow[2].port: the replicas use ports 8100 to 8299 on gpu1; only gateways may reach these ports",
        "fleet.yml:15 firewall.allow[3].port: should be at most 65535",
    ]),
    ("[10.0.0.0/8]", '["0.0.0.0/0"]', []),
    # sources
    ("hf:acme/tiny", "s3://bucket/x", [f"fleet.yml:8 models.assistant.source: {SOURCE}"]),
    ("hf:acme/tiny", "file:nosuch.gguf", ["fleet.yml:8 models.assistant.source: no such file: nosuch.gguf; a relative path starts at the fleet file's folder"]),
    ("hf:acme/tiny", "file:fleet.yml", ["fleet.yml:8 models.assistant.source: the file ends in '.yml'; should end in .safetensors or .gguf"]),
    ("hf:acme/tiny", "hf:acme/tiny@../../main", ["fleet.yml:8 models.assistant.source: has .. in it; should name a repository, a revision or a URL in full"]),
    ("version: b1", "version: b1, build: hf:acme/llama", ["fleet.yml:9 models.assistant.runtime.build: a build doesn't come from a hub; should be https://…#sha256=HEX or file:PATH"]),
    ("version: b1", "version: b1, args: {host: 0.0.0.0}", ["fleet.yml:9 models.assistant.runtime.args: host: set by rackwright itself; leave it out of args"]),
    ("gpus: 0", "gpus: 0, replicas: 64}\n      - {on: gpu1, replicas: 64", ["fleet.yml:12 models.assistant.place[1].replicas: more than 99 replicas on gpu1; use fewer"]),
    # secrets
    ("gpu2: {", "gpu2: {sudo: {password: hunter2}, ", [f"fleet.yml:5 hosts.gpu2.sudo.password: {REFERENCE}"]),
    ("gpu2: {", "gpu2: {sudo: {password: 'env:not a name'}, ", ["fleet.yml:5 hosts.gpu2.sudo.password: should name an environment variable after env:"]),
    ("fleet: acme", "fleet: acme\ndownloads: {hub_token: hf_abcdefghijklmnopqrstuvwxyz}", [f"fleet.yml:2 downloads.hub_token: contains a Hugging Face token; {SECRET}"]),
    ("fleet: acme", "fleet: acme\nx-note: rw-laptop-" + "A" * 43, [f"fleet.yml:2 x-note: contains an API key of a fleet; {SECRET}"]),
    ("fleet: acme", 'fleet: acme\nca: {key: "-----BEGIN EC PRIVATE KEY-----"}', [f"fleet.yml:2 ca.key: contains a private key; {SECRET}"]),
    ("fleet: acme", "fleet: acme\nhf_abcdefghijklmnopqrstuvwxyz: 1", [f"fleet.yml:2 …: contains a Hugging Face token; {SECRET}"]),
    ("fleet: acme", "fleet: acme # hf_abcdefghijklmnopqrstuvwxyz", [f"fleet.yml:1: contains a Hugging Face token; {SECRET}"]),
    ("fleet: acme", 'fleet: acme\ndownloads: {proxy: "http://me:hunter2@proxy:3128"}', [f"fleet.yml:2 downloads.proxy: contains a URL's password; {SECRET}"]),
    ("on: gpu1", "on: hf_abcdefghijklmnopqrstuvwxyz", [f"fleet.yml:11 models.assistant.place[0].on: contains a Hugging Face token; {SECRET}"]),
    # what reaches a host: shell characters, newlines, paths that climb
    ("gpu2: {", "gpu2: {ssh: {user: 'root; reboot'}, ", [f"fleet.yml:5 hosts.gpu2.ssh.user: {USER}"]),
    ("gpu2: {", "gpu2: {models_at: /srv/../etc, ", ["fleet.yml:5 hosts.gpu2.models_at: should be an absolute path without .."]),
    ("gpu2: {", "gpu2: {models_at: '/srv/$(reboot)', ", ["fleet.yml:5 hosts.gpu2.models_at: should have only letters, digits and / . _ - @ +"]),
    ("gpu2: {", "gpu2: {models_at: /etc/models, ", ["fleet.yml:5 hosts.gpu2.models_at: is a folder of the system, or hidden from services; should be like /srv/models"]),
    ("gpu2: {", 'gpu2: {models_at: "/srv\\nx", ', [f"fleet.yml:5 hosts.gpu2.models_at: {LINE}"]),
    ("10.0.0.12", "'a;reboot'", ["fleet.yml:5 hosts.gpu2.address: should be a DNS name in lower case, like llm.acme.internal"]),
    ("gpu2: {", "gpu2: {disabled: '`reboot`', ", [f"fleet.yml:5 hosts.gpu2.disabled: {REASON}"]),
    ("gpu2: {", 'gpu2: {disabled: "a\\u202eb", ', ["fleet.yml:5 hosts.gpu2.disabled: has the invisible character 'Right-to-left override' (U+202E); remove it"]),
    ("gpu2: {", 'gpu2: {ssh: {key: "a\\u200bb"}, ', ["fleet.yml:5 hosts.gpu2.ssh.key: has the invisible character 'Zero width space' (U+200B); remove it"]),
    ("llm.acme.internal", "'llm.acme;x'", ["fleet.yml:14 gateway.domain: should be a DNS name in lower case, like llm.acme.internal"]),
    ("version: b1", "version: ../../bin", ["fleet.yml:9 models.assistant.runtime.version: should be letters, digits and . _ - only, like b10434"]),
    ("version: b1", 'version: b1, args: {x: "a\\nb"}', [f"fleet.yml:9 models.assistant.runtime.args.x: {LINE}"]),
    ("version: b1", "version: b1, args: {'x y': 1}", ["fleet.yml:9 models.assistant.runtime.args.'x y': should be the argument's long name without leading dashes, like flash-attn"]),
    ("version: b1", "version: b1, args: {x: [1]}", ["fleet.yml:9 models.assistant.runtime.args.x: should be a number or text or true or false"]),
    ("hf:acme/tiny", "hf:acme/$(reboot)", [f"fleet.yml:8 models.assistant.source: {SOURCE}"]),
    ("hf:acme/tiny", f"https://a.b/`id`#sha256={'0' * 64}", [f"fleet.yml:8 models.assistant.source: {SOURCE}"]),
    ("names: [assistant]", "names: ['a$b']", ["fleet.yml:12 models.assistant.names[0]: should be a letter or digit, then letters, digits and . _ : / -, 96 at most"]),
    ("fleet: acme", "fleet: acme\ndownloads: {hub: 'https://a b', proxy: 'ftp://x', ca_bundle: 'a.pem'}", [
        "fleet.yml:2 downloads.ca_bundle: no such file: a.pem; a relative path starts at the fleet file's folder",
        f"fleet.yml:2 downloads.hub: {HTTPS_URL}",
        f"fleet.yml:2 downloads.proxy: {PROXY}",
    ]),
    ("fleet: acme", "fleet: acme\ndownloads: {proxy: 'http://me@proxy:3128', no_proxy: [acme.internal, 10.0.0.0/8, '*.acme', 10.0.0.1/8]}", [
        f"fleet.yml:2 downloads.no_proxy[2]: {DIRECT}",
        "fleet.yml:2 downloads.no_proxy[3]: 10.0.0.1/8 is a host address, not a network; write 10.0.0.0/8, or 10.0.0.1 for that host only",
        f"fleet.yml:2 downloads.proxy: {PROXY}",
    ]),
    ("fleet: acme", "fleet: acme\ndownloads: {apt_mirror: {url: 'https://m/debian', suites: [trixie]}}", [
        "fleet.yml:2 downloads.apt_mirror: needs apt_existing, which decides about the hosts' existing apt sources; "
        "write apt_existing: replace (disable them while apt_mirror is set) or apt_existing: keep",
    ]),
    ("fleet: acme", "fleet: acme\ndownloads: {apt_existing: keep, apt_mirror: {url: 'https://m/debian', suites: [trixie], key: no.asc, on: gpu9}}", [
        "fleet.yml:2 downloads.apt_mirror.key: no such file: no.asc; a relative path starts at the fleet file's folder",
        "fleet.yml:2 downloads.apt_mirror.on: unknown host or group 'gpu9'; did you mean 'gpu2'?",
    ]),
    ("fleet: acme", "fleet: acme\ndownloads: {apt_existing: keep, apt_mirror: [{url: 'https://m/debian', suites: ['trixie main'], components: ['a b']}, {suites: []}]}", [
        "fleet.yml:2 downloads.apt_mirror[0].components[0]: should be a component like main or non-free-firmware",
        "fleet.yml:2 downloads.apt_mirror[0].suites[0]: should be a suite like trixie or trixie-security",
        "fleet.yml:2 downloads.apt_mirror[1]: missing key 'url'",
        "fleet.yml:2 downloads.apt_mirror[1].suites: is empty; should have at least one entry",
    ]),
    ("fleet: acme", "fleet: acme\ndownloads: {apt_existing: no, package_index: 'https://me:x y@pypi/simple'}", [
        "fleet.yml:2 downloads.apt_existing: should be 'replace' or 'keep'",
        f"fleet.yml:2 downloads.package_index: {HTTPS_URL}",
    ]),
    ("clients_from", "allow: [{on: gpu1, from: 10.0.0.1, port: 99, why: 'a\" accept; #'}], clients_from", [f"fleet.yml:15 firewall.allow[0].why: {REASON}"]),
    ("fleet: acme", "fleet: acme\ntimezone: Europe/Berln", ["fleet.yml:2 timezone: unknown time zone; did you mean 'Europe/Berlin'?"]),
    ("fleet: acme", "fleet: acme\ntimezone: ../../etc/passwd", ["fleet.yml:2 timezone: should be a time zone like Europe/Berlin or UTC"]),
    # defaults and groups
    ("fleet: acme", "fleet: acme\ndefaults: {ssh: {prt: 22}}", ["fleet.yml:2 defaults.ssh.prt: unknown key; did you mean 'port'?"]),
    ("fleet: acme", "fleet: acme\ndefaults: {address: 10.0.0.1}", ["fleet.yml:2 defaults.address: unknown key; keys here: ssh, sudo, models_at, baseline"]),
    ("fleet: acme", "fleet: acme\ngroups: {gpus: {host: [gpu1]}}", [
        "fleet.yml:2 groups.gpus: missing key 'hosts'",
        "fleet.yml:2 groups.gpus.host: unknown key; did you mean 'hosts'?",
    ]),
    ("fleet: acme", "fleet: acme\ngroups:\n  a: {hosts: [gpu1], ssh: {user: a}}\n  b: {hosts: [gpu1], ssh: {user: b}}", [
        "fleet.yml:4 groups.b.ssh.user: group a sets ssh.user of gpu1 differently, at fleet.yml:3; set it in one of the two groups"]),
    ("fleet: acme", "fleet: acme\nextends: nosuch.yml", ["fleet.yml:2 extends: no such file: nosuch.yml; the path is relative to the file that names it"]),
    ("fleet: acme", "fleet: acme\nextends: fleet.yml", ["fleet.yml:2 extends: extends itself; a file can't extend a file that extends it"]),
    # YAML
    ("fleet: acme", "fleet: !!python/object/apply:os.system [reboot]", ["fleet.yml:1: has a YAML tag (!…); remove it: a fleet file has plain values only"]),
    ("fleet: acme", "fleet: !secret acme", ["fleet.yml:1: has a YAML tag (!…); remove it: a fleet file has plain values only"]),
    ("fleet: acme", "fleet: acme\n\tx: 1", ["fleet.yml:2: the line starts with a tab; indent with spaces"]),
    ("fleet: acme", "fleet: 'acme", ["fleet.yml:1:8: not valid YAML: found unexpected end of stream while scanning a quoted scalar; check indentation, quotes and brackets around this line"]),
    ("gate1]", "gate1", ["fleet.yml:14:48: not valid YAML: expected ',' or ']', but got '}' while parsing a flow sequence; check indentation, quotes and brackets around this line"]),
    ("fleet: acme", "--- \nfleet: a\n---\nfleet: acme", ["fleet.yml:3: a second document starts here; a fleet file is one document; remove the ---"]),
    ("fleet: acme", "x-a: &a [*a]\nfleet: acme", ["fleet.yml:1: the alias *a is inside its own anchor; an alias can't contain itself"]),
    ("fleet: acme", "fleet: *a", ["fleet.yml:1: the alias *a has no anchor; write &a above it"]),
    ("fleet: acme", "fleet: acme\n<<: {a: 1}", ["fleet.yml:2: '<<' is not in YAML 1.2; use defaults, groups, extends or a plain alias"]),
    ("fleet: acme", "%YAML 1.1\n---\nfleet: acme", ["fleet.yml:2: asks for another version of YAML; should be YAML 1.2; remove the %YAML line"]),
    ("fleet: acme", 'fleet: "\\UFFFFFFFF"', ["fleet.yml:1: not valid YAML; check this line and the next"]),
    ("fleet: acme", 'fleet: "\\U00110000"', ["fleet.yml:1: not valid YAML; check this line and the next"]),
    ("context: 4096", "context: " + "9" * 5000, ["fleet.yml:13 models.assistant.context: should be a whole number"]),
    ("fleet: acme", "fleet: acme\nrollout: {soak: 30, drain_timeout: 0}", ["fleet.yml:2 rollout.soak: should be a duration with a unit, like 30s, 10m, 2h or 1d"]),
    ("fleet: acme", "[a]: b\nfleet: acme", ["fleet.yml:1: has a key that is not plain text; a key is one word before a colon"]),
]  # fmt: skip


def messages(path="fleet.yml"):
    try:
        load_fleet(Path(path))
    except FleetError as error:
        return [str(problem) for problem in error.problems] or ["refused without a problem"]
    return []


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text, name="fleet.yml"):
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("old", "new", "expected"), CASES, ids=[re.sub(r"\W+", "-", case[1])[:50] for case in CASES])
def test_says_what_is_wrong(old, new, expected):
    assert old in GOOD
    write(GOOD.replace(old, new, 1))
    assert messages() == expected


@pytest.mark.parametrize(
    ("old", "new"), [("hf:acme/tiny", "file:gone.gguf"), ("version: b1", "version: b1, build: file:gone.tar.gz")]
)
def test_with_a_lock_weights_and_builds_may_be_missing_here(old, new):
    write(GOOD.replace(old, new, 1))
    assert "no such file" in messages()[0]
    write("format: lock/1\n", "fleet.lock")
    assert messages() == []
    write(GOOD.replace(old, new, 1).replace("fleet: acme", "fleet: acme\ndownloads: {ca_bundle: gone.pem}", 1))
    assert len(messages()) == 1, "the hosts' backups have no CA bundle"


def fleet(text, **others):
    for name, other in others.items():
        write(other, f"{name}.yml")
    return load_fleet(write(text))


def test_a_missing_file_names_init():
    assert messages() == ["fleet.yml: no such file; should be the fleet file\n  next: rackwright init fleet.yml"]


def test_a_folder_is_no_fleet_file():
    Path("fleet.yml").mkdir()
    assert messages() == ["fleet.yml: is a folder; should be a file"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_file_names_init(text):
    write(text)
    assert messages() == [
        "fleet.yml: is empty; should be the fleet file\n  next: rackwright init other.yml, for an example"
    ]


def test_an_empty_fleet_misses_its_sections():
    write("fleet: acme\nhosts: {}\n")
    assert messages() == [
        "fleet.yml:1: missing key 'models'",
        "fleet.yml:1: missing key 'gateway'",
        "fleet.yml:1: missing key 'firewall'",
        "fleet.yml:2 hosts: is empty; should have at least one entry",
    ]


def test_a_list_is_no_fleet_file():
    write("- fleet: acme\n")
    assert messages() == ["fleet.yml:1: is not a mapping; should start with a key, like 'fleet: acme'"]


def test_5_mb_are_refused_unread():
    write(b"#" * 5_000_000)
    assert messages() == ["fleet.yml: is too large (5.0 MB); a fleet file is at most 1 MB"]


def test_20000_brackets_are_refused():
    write("x-a: " + "[" * 20_000)
    assert messages() == [
        "fleet.yml:1: is nested deeper than 32 levels; a fleet file needs about 6 levels; check the brackets"
    ]


def test_20000_levels_of_lists_are_refused():
    write("- " * 20_000)
    assert messages() == [
        "fleet.yml:1: is nested deeper than 32 levels; a fleet file needs about 6 levels; check the brackets"
    ]


def test_an_alias_bomb_is_refused():
    lines = ["x-0: &a0 [" + "x, " * 9 + "x]"]
    lines += [f"x-{n}: &a{n} [" + f"*a{n - 1}, " * 9 + f"*a{n - 1}]" for n in range(1, 10)]
    write("\n".join(lines))
    assert messages() == [
        "fleet.yml:5: more than 50,000 values, aliases counted in full; shorten the file, or use fewer aliases"
    ]


def test_plain_aliases_are_welcome():
    loaded = fleet(GOOD.replace("address: 10.0.0.11", "ssh: &ssh {user: ops}, address: 10.0.0.11").replace(
        "address: 10.0.0.12", "ssh: *ssh, address: 10.0.0.12"))  # fmt: skip
    assert loaded.file.hosts["gpu2"].ssh.user == "ops"


def test_a_byte_order_mark_is_passed_over():
    assert fleet(b"\xef\xbb\xbf" + GOOD.encode()).file.fleet == "acme"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_another_encoding_is_named(encoding):
    write(GOOD.replace("fleet: acme", "fleet: acme\nx-note: Köln").encode(encoding))
    [message] = messages()
    assert message in (
        "fleet.yml: is UTF-16; should be UTF-8\n  next: iconv -f UTF-16 -t UTF-8 fleet.yml",
        "fleet.yml:1: has the unprintable character U+0000; remove it",
        "fleet.yml:2: has the byte 0xf6, which is not UTF-8; save it as UTF-8",
        "fleet.yml:2: has the byte 0xf6, which is not UTF-8; save it as UTF-8",
    )


def test_a_served_name_leads_to_one_model():
    other = "  other:\n    source: hf:acme/tiny\n    runtime: {kind: llama_cpp, version: b1, build: 'https://a.b/c#sha256="
    other += "0" * 64 + "'}\n    place: [{on: gpu2}]\n    names: [other, assistant]\n    context: 4096\ngateway:"
    write(GOOD.replace("gateway:", other))
    assert messages() == [
        "fleet.yml:16 models.other.runtime.build: model assistant has another build of the same version; "
        "give this build its own version",
        "fleet.yml:18 models.other.names[1]: model assistant already has the name 'assistant', "
        "at fleet.yml:12; each name belongs to one model",
    ]


def test_every_problem_comes_at_once_by_line():
    text = GOOD.replace("fleet: acme", "fleet: Acme").replace("on: gpu1", "on: gpu7").replace("4096", "x")
    write(text.replace("10.0.0.12", "10.0.0.11").replace("domain", "domian"))
    lines = [int(message.split(":")[1].split(" ")[0]) for message in messages()]
    assert lines == [1, 5, 11, 13, 14, 14]


def test_a_secret_is_never_shown():
    secret = "hf_" + "Q" * 30
    write(GOOD.replace("acme", secret).replace("on: gpu1", f"on: {secret}").replace("names: ", f"{secret}: "))
    assert messages()
    assert not [message for message in messages() if "QQQ" in message]


def test_extends_merges_mappings_and_replaces_lists():
    loaded = fleet(
        "extends: base.yml\nhosts: {gpu2: {disabled: RMA 4711}}\nfirewall: {clients_from: [10.9.0.0/16]}\n", base=GOOD
    )
    assert loaded.file.hosts["gpu2"].disabled == "RMA 4711"
    assert str(loaded.file.hosts["gpu2"].address) == "10.0.0.12"
    assert [str(network) for network in loaded.file.firewall.clients_from] == ["10.9.0.0/16"]
    assert [str(network) for network in loaded.file.firewall.admin_from] == ["10.0.0.0/24"]
    assert loaded.sources == (Path("fleet.yml"), Path("base.yml"))
    assert loaded.hosts == ("gate1", "gpu1")


def test_a_problem_in_the_base_names_the_base():
    write(GOOD.replace("on: gpu1", "on: gpu8"), "base.yml")
    write("extends: base.yml\ncontrol: [gate]\n")
    assert messages() == [
        "fleet.yml:2 control[0]: unknown host or group 'gate'; did you mean 'gate1'?",
        "base.yml:11 models.assistant.place[0].on: unknown host or group 'gpu8'; did you mean 'gpu2'?",
    ]


def test_two_files_can_not_extend_each_other():
    write("extends: fleet.yml\n" + GOOD, "base.yml")
    write("extends: base.yml\n")
    assert messages() == ["base.yml:1 extends: extends itself; a file can't extend a file that extends it"]


SETTINGS = """\
defaults: {ssh: {user: ops, port: 22}, models_at: /srv/a}
groups: {gpus: {hosts: [gpu1, gpu2], models_at: /srv/b}}
"""


def test_a_host_wins_over_its_group_and_a_group_over_defaults():
    loaded = fleet(SETTINGS + GOOD.replace("gpu2: {", "gpu2: {models_at: /srv/c, ssh: {port: 23}, "))
    assert {name: host.models_at for name, host in loaded.file.hosts.items()} == {
        "gate1": "/srv/a",
        "gpu1": "/srv/b",
        "gpu2": "/srv/c",
    }
    assert (loaded.file.hosts["gpu2"].ssh.user, loaded.file.hosts["gpu2"].ssh.port) == ("ops", 23)
    assert loaded.file.groups["gpus"] == ("gpu1", "gpu2")
    assert loaded.origins["gpu2"] == {
        "ssh.user": "defaults, fleet.yml:1",
        "ssh.port": "host gpu2, fleet.yml:7",
        "models_at": "host gpu2, fleet.yml:7",
        "address": "host gpu2, fleet.yml:7",
    }
    assert loaded.origins["gpu1"]["models_at"] == "group gpus, fleet.yml:2"


def test_a_mistake_in_defaults_is_named_once():
    write("defaults: {ssh: {port: 0}}\n" + GOOD)
    assert messages() == ["fleet.yml:1 defaults.ssh.port: should be at least 1"]


def test_keys_that_begin_with_x_are_free():
    text = GOOD.replace("gpu2: {", "x-gpu3: hello\n  gpu2: {x-rack: 7, ")
    text = text.replace("version: b1", "version: b1, x-why: [1, {2: 3}]").replace("gpus: 0", "gpus: 0, x-a: ")
    loaded = fleet("x-contact: {mail: ops@acme.internal}\n" + text)
    assert tuple(loaded.file.hosts) == ("gate1", "gpu1", "gpu2")


def test_replicas_are_counted_per_host_and_leave_out_what_is_out():
    places = "- {on: [gpu1, gpu2], replicas: 2}\n      - {on: gpu1, gpus: 2}"
    loaded = fleet(GOOD.replace("- {on: gpu1, gpus: 0}", places).replace("gpu2: {", "gpu2: {disabled: RMA, "))
    assert [(replica.address, replica.gpus) for replica in loaded.replicas] == [
        ("gpu1/assistant@1", 1),
        ("gpu1/assistant@2", 1),
        ("gpu1/assistant@3", 2),
    ]


def test_groups_may_stand_wherever_hosts_may():
    text = "groups: {gates: [gate1], gpus: [gpu1, gpu2]}\ncontrol: [gates]\n" + GOOD
    loaded = fleet(text.replace("on: [gate1]", "on: [gates]").replace("on: gpu1", "on: [gpus]"))
    assert (loaded.gateways, loaded.control) == (("gate1",), ("gate1",))
    assert [replica.host for replica in loaded.replicas] == ["gpu1", "gpu2"]


def test_a_jump_host_from_defaults_is_reached_directly():
    loaded = fleet("defaults: {ssh: {jump: gate1}}\n" + GOOD)
    assert {name: host.ssh.jump for name, host in loaded.file.hosts.items()} == {
        "gate1": None,
        "gpu1": "gate1",
        "gpu2": "gate1",
    }


def test_a_jump_host_is_in_service_and_reached_directly():
    text = GOOD.replace("gpu1: {", "gpu1: {ssh: {jump: gpu2}, ").replace("gpu2: {", "gpu2: {ssh: {jump: gate1}, ")
    write(text.replace("on: [gate1]", "on: [gpu1]").replace("gate1: {", "gate1: {disabled: RMA, "))
    assert messages() == [
        "fleet.yml:4 hosts.gpu1.ssh.jump: gpu2 is itself reached through another host; name one that is reached directly",
        "fleet.yml:5 hosts.gpu2.ssh.jump: gate1 is out of service; name a host in service",
    ]


def test_one_local_machine_is_a_fleet():
    text = GOOD.replace("  gate1: {address: 10.0.0.10}\n", "").replace("  gpu2: {address: 10.0.0.12}\n", "")
    loaded = fleet(text.replace("10.0.0.11", '"@local"').replace("on: [gate1]", "on: [gpu1]"))
    assert loaded.hosts == ("gpu1",)
    assert loaded.is_local("gpu1")
    assert loaded.service("gpu1") == ip_address("127.0.0.1")


def test_ipv6_and_service_addresses_are_read():
    loaded = fleet(GOOD.replace("10.0.0.12", "gpu2.acme.internal, service: 'fd00::12'"))
    assert loaded.service("gpu2") == ip_address("fd00::12")
    assert loaded.service("gpu1") == ip_address("10.0.0.11")
    assert not loaded.is_local("gpu1")


def test_a_file_beside_the_fleet_file_is_a_source():
    write(b"GGUF", "tiny.gguf")
    assert fleet(GOOD.replace("hf:acme/tiny", "file:tiny.gguf")).file.models["assistant"].source == "file:tiny.gguf"


def test_words_that_yaml_1_1_took_for_booleans_are_text():
    assert fleet(GOOD.replace("names: [assistant]", "names: [no, on, yes]")).file.models["assistant"].names == (
        "no",
        "on",
        "yes",
    )
