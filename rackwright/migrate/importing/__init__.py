"""Reads requests from logs that exist already, in the same memory for any length. Asks nothing but these files."""
