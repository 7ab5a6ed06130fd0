"""Snapshots of hosts: make, check and list them."""
