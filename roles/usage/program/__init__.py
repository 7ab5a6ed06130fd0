"""The program that adds up a gateway's usage. It runs there, with the host's own Python and nothing else."""
