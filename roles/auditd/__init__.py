"""Who changed what decides over the host, written down by the kernel."""
