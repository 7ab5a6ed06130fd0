"""How sshd lets people in: with keys only, by modern algorithms."""
