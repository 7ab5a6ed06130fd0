"""The facts that our operations ask of a host, one shell command per question."""
