"""Which of a host's GPUs have failed, read for all its replicas from the driver's messages in the kernel's log."""
