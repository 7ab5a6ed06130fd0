"""What runs on a schedule: what is due, who carries it out, and what was missed."""
