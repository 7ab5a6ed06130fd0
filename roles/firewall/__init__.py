"""What the packet filter of one host lets in, lets through and lets out."""
