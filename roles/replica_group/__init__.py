"""What binds the members of a replica over several hosts: a lost one takes it out, and they start together."""
