"""Where the host's own downloads come from: proxy, CAs, apt mirrors, package index."""
