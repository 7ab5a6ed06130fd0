"""Where the host's own downloads come from: proxy, authorities, apt mirrors, package index."""
