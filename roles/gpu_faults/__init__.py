"""Which GPUs of a host don't hold: read for all its replicas from what the driver writes to the kernel's log."""
