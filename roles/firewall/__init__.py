"""One host's packet filter: what it lets in, forwards and lets out."""
