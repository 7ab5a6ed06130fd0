"""How the kernel treats packets that lie and users who look around."""
