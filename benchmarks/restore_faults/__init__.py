"""Restores under injected faults: how many end as a false success, and what a killed one leaves."""
