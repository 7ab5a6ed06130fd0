"""What control hosts store about things that are due at certain times."""
