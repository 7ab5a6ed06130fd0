"""One virtual address for several gateways: one that answers has it."""
