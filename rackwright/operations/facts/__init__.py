"""What our operations ask a host, one shell command per question."""
