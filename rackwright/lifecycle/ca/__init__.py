"""The fleet's CA over time: rotated without an outage, and fetched from the control host if its file is lost."""
