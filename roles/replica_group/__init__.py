"""The members of a replica over several hosts: they start together, and a lost member takes the replica out."""
