"""What `patch` needs on a host, and the scripts that look at its packages and change them."""
