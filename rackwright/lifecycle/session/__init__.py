"""What every command that reaches hosts shares: the session, the lease, the control host, the survey, the records."""
