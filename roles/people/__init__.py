"""Who may log in to the host, with which keys, and what they may do there; whoever left is out at once."""
