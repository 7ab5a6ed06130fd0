"""Lease, journal and documents in etcd, whose members run on the control hosts."""
