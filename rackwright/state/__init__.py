"""What outlives one command, kept on hosts: lease, journal, record, audit log and the applied fleet."""
