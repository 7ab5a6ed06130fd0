"""Temporary bans for addresses with repeated failed logins."""
