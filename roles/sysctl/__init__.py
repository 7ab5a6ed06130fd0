"""Kernel settings against spoofed packets and curious local users."""
