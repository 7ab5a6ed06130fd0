"""Shared by every command that connects to hosts: session, lease, control host, survey and records."""
