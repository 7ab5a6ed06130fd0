"""What the packet filter of one host lets in."""
