"""Recovery drills: restore backups to scratch hosts, prove that the service comes back, and keep the evidence."""
