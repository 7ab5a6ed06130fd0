"""Connects the members of a replica over several hosts: they start together, and the loss of one takes it out."""
