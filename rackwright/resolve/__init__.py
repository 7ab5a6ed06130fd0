"""From the questions of a fleet file to the answers of its lock. Downloads happen here and nowhere else."""
