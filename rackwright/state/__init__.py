"""State that outlasts one command, stored on hosts: lease, journal, record, audit log and the applied fleet."""
