"""sshd's settings: keys only, modern algorithms."""
