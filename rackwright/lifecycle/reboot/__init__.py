"""Reboots of hosts under traffic: which boot a host is in, the change of one host, and a rollout over several."""
