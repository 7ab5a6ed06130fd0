"""The mount of the folder in which engines create their sockets."""

from __future__ import annotations

from rackwright.roles.layout.settings import SOCKETS

# Each engine owns its folder there. With links it could pass another engine's answers off as its own.
UNIT_TEXT = f"""\
# Made by rackwright: the folder of the engines' sockets, in which nobody follows a link.
[Unit]
Description=rackwright engine sockets

[Mount]
What=tmpfs
Where={SOCKETS}
Type=tmpfs
Options=mode=0755,size=64M,nosuid,nodev,noexec,nosymfollow
"""
