"""The state of hosts, replicas and backups, and what is pending. Read-only."""
