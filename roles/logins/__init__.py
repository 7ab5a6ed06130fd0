"""Forgotten logins at the console end; passwords must be strong."""
